"""Connections to an exchange: made, watched, made again with backoff."""
