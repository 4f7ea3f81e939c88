"""Reads of the lake: planned, pruned, and bounded in memory."""
