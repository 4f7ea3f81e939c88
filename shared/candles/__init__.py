"""From trades to candles, bars and order flow: array operations, pure.

`trades` brings an instrument's ticks into the total order, each trade once (`trade_identity`);
`partials` makes base candles of them, `folds` and `roll_up` longer ones; `bar_ends` and `bar_fold`
make information bars, `order_flow` sides and volume by price.

Imports `market` and `wire`.
"""
