"""A run of the platform in a terminal, from start to stop."""
