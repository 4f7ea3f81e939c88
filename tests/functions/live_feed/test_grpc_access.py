"""Access to gRPC with tokens."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from functions.live_feed.grpc_server import Tokens, address_of
from shared.adapter.access import AccessRules

TOKEN = "a-token-of-some-length"
METHOD = "/kandle.v1.CandleFeed/StreamTicks"


async def _answer(_: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    await context.write(b"open")


async def _call(tokens: str, metadata: tuple[tuple[str, str], ...]) -> grpc.StatusCode:
    rules = AccessRules.from_env({"API_TOKENS": tokens})
    server = grpc.aio.server(interceptors=(Tokens(rules),))
    method: Any = grpc.unary_stream_rpc_method_handler(_answer)
    _, service, name = METHOD.split("/")
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {name: method}),)
    )
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            probe = await stub.Check(health_pb2.HealthCheckRequest())
            assert probe.status == health_pb2.HealthCheckResponse.SERVING
            ask: Any = channel.unary_stream(METHOD)
            call = ask(b"", metadata=metadata)
            async with asyncio.timeout(60):
                with contextlib.suppress(grpc.aio.AioRpcError):
                    assert [each async for each in call] == [b"open"]
                code: grpc.StatusCode = await call.code()
            return code
    finally:
        await server.stop(0)


@pytest.mark.parametrize(
    ("tokens", "said", "code"),
    [
        ("", None, grpc.StatusCode.OK),
        (TOKEN, f"Bearer {TOKEN}", grpc.StatusCode.OK),
        (TOKEN, None, grpc.StatusCode.UNAUTHENTICATED),
        (TOKEN, f"Bearer {TOKEN}x", grpc.StatusCode.UNAUTHENTICATED),
        (TOKEN, TOKEN, grpc.StatusCode.UNAUTHENTICATED),
    ],
)
def test_a_call_needs_a_token_if_tokens_are_configured(
    tokens: str, said: str | None, code: grpc.StatusCode
) -> None:
    """With tokens a call needs one, and the probe does not."""
    metadata = () if said is None else (("authorization", said),)
    assert asyncio.run(_call(tokens, metadata)) is code


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::", "localhost"])
def test_addresses_of_both_kinds_are_served(host: str) -> None:
    """The server binds addresses of IPv4 and IPv6, and names."""
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        assert server.add_insecure_port(address_of(host, 0)) > 0
        server.stop(None)
