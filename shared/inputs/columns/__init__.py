"""Parsed rows as columns: texts, numbers and names of many rows at once."""
