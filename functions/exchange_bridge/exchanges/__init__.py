"""One module for each exchange."""
