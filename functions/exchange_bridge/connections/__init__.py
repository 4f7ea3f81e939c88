"""Connections to an exchange: connect, supervise, reconnect with backoff."""
