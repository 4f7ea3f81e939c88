"""The live state in Redis, and the channels of the live feed.

`keys` names every key; `readers` read latest trades and candles, `instrument_records` is
the form of their records; `leases` are what somebody watches, `watchlist` what somebody
chose; `pattern_series` are the series of detect-pattern; `channels` are what clients subscribe to.

Imports `stores`, `analysis`, `wire` and `market`.
"""
