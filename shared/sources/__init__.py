"""Delivery of bridges: payloads in batches, sent in order and kept until accepted.

`batcher` groups payloads, `outbox` posts the batches with backoff, `receipts` tells the senders,
`feed_choice` reads `binance:BTCUSDT,ETHUSDT`.

Imports `adapter`, `wire`, `market` and `runtime`.
"""
