"""What a lean FastAPI application does with the same events: the yardstick, kept as short as such programs are."""
