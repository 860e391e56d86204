"""Stream sessions."""
