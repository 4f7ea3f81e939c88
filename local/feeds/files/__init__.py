"""Recorded files of trades: what people of this field really have, read as columns in batches."""
