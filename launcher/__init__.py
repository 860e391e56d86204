"""Sets up and runs everything from one command. It starts before anything is installed."""
