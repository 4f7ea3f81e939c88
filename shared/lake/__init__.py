"""The lake: Iceberg tables of ticks and candles in object storage, and their maintenance.

`tables`, `tick_table` and `candle_table` are the tables; `snapshot` and `candle_days` copy from
Postgres, `compaction` folds small files, `expiry` and `retention` end what is past its term;
`recovery`, `states` and `takeover` bring data back; `plan`, `reader` and `cold` read.

Imports `stores` and what that imports, and `realtime` for the state's keys.
"""
