"""Parsers of raw batches: one module per format, pure functions from bytes to rows and rejects."""
