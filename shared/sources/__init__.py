"""How bridges send: payloads in batches, each delivered in order or kept until it is.

`batcher` groups payloads, `outbox` posts the batches with backoff, `receipts` tells the senders,
`feed_choice` reads `binance:BTCUSDT,ETHUSDT`.

Imports `adapter`, `wire`, `market` and `runtime`.
"""
