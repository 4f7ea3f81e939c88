"""Stored ticks and candles of a range, wherever they are: one plan over Postgres and the lake.

`ranges` yields ticks, `recompute` makes candles of them, `stored_candles` reads stored ones.

Imports `lake`, `stores`, `candles`, `wire` and `market`.
"""
