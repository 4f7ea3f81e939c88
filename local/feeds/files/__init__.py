"""Recorded files of trades, read as columns in batches."""
