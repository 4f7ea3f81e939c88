"""Payloads of events: batches as columns, and their form on the wire.

`events` names every type and header of a CloudEvent. A module for each body: `raw_batch`, `ticks`,
`quotes`, `busts`, `rejects`, `late`, `gaps`, `feed_status`, `candle_columns`, `candle_history`,
`patterns`; each encodes, and decodes with checks (PermanentError names the field). `columns`,
`varints`, `instrument_table` and `compression` are what they share; `candle_json` is a candle as
HTTP shows it.

Imports `market` and `schema`, the generated messages.
"""
