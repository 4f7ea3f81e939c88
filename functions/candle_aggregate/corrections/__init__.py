"""Closed candles made again: late ticks, cancels, gaps, and a venue's candles."""
