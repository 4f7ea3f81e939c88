"""Alert rules: their grammar, their conditions over candles, quotes, gaps and feeds, and messages.

Imports `analysis`, `wire` and `market`.
"""
