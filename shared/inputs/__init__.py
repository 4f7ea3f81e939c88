"""Parsers of raw batches: a module for each format, pure functions from bytes to rows and rejects.

`formats` is the table of formats. Text parsers (`lines`, `objects`, `fix`) and those of exchanges
(`venue_feeds`, `binance`, `alpaca`, `ccxt`) end in `parsed` rows; `assemble` makes ticks of them,
with common scales and the check against the clock; `outgoing` makes events of those.

Imports `market`, `wire`, `runtime` for settings, and `adapter` for the events.
"""
