"""Backfill over REST: an exchange's history, and missing trades."""
