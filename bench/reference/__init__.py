"""The yardstick: what a lean FastAPI application does with the same events, as short as such programs are."""
