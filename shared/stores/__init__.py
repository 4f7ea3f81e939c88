"""Postgres, Redis and object storage: connections, limits, and ticks as segments.

`postgres`, `redis` and `s3` connect, with timeouts; `limits` bounds what a statement may take;
`migrations` is the schema; `segments` and `segment_columns` are stored ticks as columns;
`partitions` are days made ahead; `applied` and `commits` say which events are stored.

Imports `candles`, `market`, `wire` and `runtime`.
"""
