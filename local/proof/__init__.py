"""Proof of an installation: trades in, pods deleted, candles compared, one line out."""
