"""The live feed over gRPC, a separate process: `python -m functions.live_feed.grpc_server`.

functions-framework serves HTTP/1.1 only, and gRPC needs HTTP/2, here without TLS behind the proxy.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from functions.live_feed.hub import Hub
from functions.live_feed.protocols.grpc_feed import SERVICE, Feed
from functions.live_feed.settings import LiveSettings
from shared.adapter.access import AccessRules
from shared.adapter.process import on_stop, run_process, serve_metrics
from shared.adapter.tracing import Tracing
from shared.errors import TransientError
from shared.runtime import metrics
from shared.runtime.settings import FromEnvironment, integer, nested, text
from shared.runtime.tasks import end

_OPEN: Final = ("/grpc.health.v1.Health/",)
"""A kubelet has no token."""

Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Next = Callable[[grpc.HandlerCallDetails], Awaitable[Method]]
log = logging.getLogger(__name__)
MAX_REQUEST_BYTES: Final = 64 * 1024
_LEAVE_S: Final = 1.0
"""Time for a call's final message; a client that does not read is cut off."""
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.keepalive_time_ms", 30_000),  # detects dead clients
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),  # a port in use is an error, not a second server
)


class Tokens(grpc.aio.ServerInterceptor):
    """Rejects calls without a valid token; open if no tokens are configured."""

    def __init__(self, rules: AccessRules) -> None:
        self._rules = rules

    async def intercept_service(
        self, continuation: Next, handler_call_details: grpc.HandlerCallDetails
    ) -> Method:
        """Return the handler, or one that fails with UNAUTHENTICATED."""
        handler = await continuation(handler_call_details)
        if not self._rules.tokens or handler_call_details.method.startswith(_OPEN):
            return handler
        header = dict(handler_call_details.invocation_metadata).get("authorization", "")
        scheme, _, token = str(header).partition(" ")
        if scheme.lower() == "bearer" and self._rules.knows(token.strip()):
            return handler
        metrics.REQUESTS_REFUSED.labels("token").inc()
        # Streams of no messages: every client understands their status.
        refusing: Method = grpc.stream_stream_rpc_method_handler(_refuse)
        return refusing


async def _refuse(_: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "send authorization: Bearer <token>")


@dataclass(frozen=True, kw_only=True)
class Settings(FromEnvironment):
    """Settings of the server, from its environment."""

    live: LiveSettings = nested(LiveSettings.read)
    access: AccessRules = nested(AccessRules.read)
    host: str = text("GRPC_HOST", "127.0.0.1")
    port: int = integer("GRPC_PORT", 50_051, 1, 65_535)
    metrics_host: str = text("GRPC_HOST", "127.0.0.1", overridden_by="METRICS_HOST")
    metrics_port: int = integer("METRICS_PORT", 9090, 1, 65_535)
    drain_s: int = integer("DRAIN_S", 8, 0, 3_600)


def address_of(host: str, port: int) -> str:
    """Return an address as gRPC reads it, with brackets around one of IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def serve(settings: Settings, _: Tracing) -> None:
    """Serve until SIGTERM or SIGINT; then end every call with a status, and the server.

    The metrics thread ends with the process.
    """
    replica = settings.live.replica()
    hub, feed = replica.hub, Feed(replica)
    server = grpc.aio.server(interceptors=(Tokens(settings.access),), options=_OPTIONS)
    server.add_generic_rpc_handlers((feed.handler,))
    state = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    address = address_of(settings.host, settings.port)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot serve gRPC on {address}: {error}") from error
    await _set_serving(state, ready=False)
    stop = asyncio.Event()
    on_stop(stop.set)
    await server.start()
    serve_metrics(settings.metrics_host, settings.metrics_port)
    readying = asyncio.create_task(_serve_once_ready(hub, state))
    log.info("gRPC on %s", address)
    try:
        await stop.wait()
        readying.cancel()
        await state.enter_graceful_shutdown()
        feed.leave()
        await server.stop(min(settings.drain_s, _LEAVE_S))
    finally:
        await end(readying)
        await replica.interest.close()
        await hub.close()


async def _serve_once_ready(hub: Hub, state: health.aio.HealthServicer) -> None:
    while True:
        try:
            await hub.ready()
        except TransientError as error:
            log.warning("not ready: %s", error)
        else:
            await _set_serving(state, ready=True)
            return


async def _set_serving(state: health.aio.HealthServicer, *, ready: bool) -> None:
    statuses = health_pb2.HealthCheckResponse
    for name in (SERVICE, health.OVERALL_HEALTH):
        await state.set(name, statuses.SERVING if ready else statuses.NOT_SERVING)


if __name__ == "__main__":
    run_process("live-feed", Settings, serve)
