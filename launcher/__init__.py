"""Sets up and runs everything from one command. Standard library only: it starts before anything is installed."""
