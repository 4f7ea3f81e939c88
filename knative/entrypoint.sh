#!/bin/sh
# Serves the function that FUNCTION_SOURCE and FUNCTION_TARGET name, on PORT. ASGI_APP names an app
# that stands before functions-framework's, which carries no WebSockets. `exec`, so that SIGTERM
# reaches the server: it takes no new requests and finishes those it has, for DRAIN_S seconds.
set -eu
export FUNCTION_SIGNATURE_TYPE=http
exec python -m uvicorn "${ASGI_APP:-functions_framework.aio:app}" \
    --host "${HOST:-0.0.0.0}" --port "${PORT:-8080}" \
    --no-access-log --log-level warning \
    --loop uvloop --http httptools --ws-max-size 65536 --ws-per-message-deflate false \
    --timeout-graceful-shutdown "${DRAIN_S:-25}"
