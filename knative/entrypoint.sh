#!/bin/sh
# Serves the function FUNCTION_TARGET of FUNCTION_SOURCE on PORT. ASGI_APP is an app that wraps
# functions-framework's, which has no WebSockets. `exec`, so that SIGTERM reaches the server: it then
# refuses new requests and finishes pending ones, for up to DRAIN_S seconds.
set -eu
export FUNCTION_SIGNATURE_TYPE=http
exec python -m uvicorn "${ASGI_APP:-functions_framework.aio:app}" \
    --host "${HOST:-0.0.0.0}" --port "${PORT:-8080}" \
    --no-access-log --log-level warning \
    --loop uvloop --http shared.adapter.bounded_http:BoundedHttp \
    --ws-max-size 65536 --ws-per-message-deflate false \
    --timeout-graceful-shutdown "${DRAIN_S:-25}"
