"""Values of a market, pure: numbers, times, names, timeframes and candle records.

No I/O, no messages, no settings. `decimals` and `int128` are exact numbers, `timestamps` and
`utc_days` times, `symbols` and `instruments` names, `bounds` their limits, `shards` the division of
instruments; `order` is the total order of ticks; `timeframes`, `calendar_timeframes`,
`trading_days` and `resolution` say where candles begin and what they are made of; `bar_types` are
the types of information bars; `blocks` are candles as fixed-width records, merged as arrays.

Imports `errors` alone.
"""
