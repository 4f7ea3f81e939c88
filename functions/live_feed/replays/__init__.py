"""Replays of stored trades and patterns, as the live feed would have sent them."""
