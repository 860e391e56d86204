"""Measures the server against what its database and a lean reference application can do."""
