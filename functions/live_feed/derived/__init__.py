"""Channels computed on demand for watchers: longer candles, information bars and indicators."""
