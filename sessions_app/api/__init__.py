"""Doorways over HTTP."""
