"""The event adapter: CloudEvents over HTTP to a function's handler, and its events to K_SINK.

`app` is the ASGI application under functions-framework, with health, metrics and who may come in
(`access`, `door`, `identity`); `process` runs a process without it; `event` is an event in and out,
`sink` posts, `display` posts what screens show; `tracing` and `spans` carry the trace, `logs` the
log lines.

Imports `runtime` and `wire`.
"""
