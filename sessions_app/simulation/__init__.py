"""Invented traffic for a demo: hosts, edges and sessions that reach a server over HTTP, as real ones do."""
