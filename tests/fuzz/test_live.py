"""Arbitrary requests of a live client, over WebSocket and event stream, get a response."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import orjson
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from functions.live_feed.protocols.frames import Form
from functions.live_feed.protocols.sse import sse_endpoint
from tests.functions.live_feed.conftest import room
from tests.fuzz.inputs import integers, jsons, texts, tries

CHANNELS = st.one_of(
    st.sampled_from(["ticks:*", "candles:1m:A", "candles:*:*", "patterns:A", "candles:7x:A"]), texts
)
SEQS = st.one_of(integers(-(2**64), 2**64), st.booleans(), st.floats(), texts, st.none())
REQUESTS = st.one_of(
    jsons,
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["subscribe", "unsubscribe", "ping", "x"]) | texts,
            "channels": st.lists(CHANNELS, max_size=4) | texts | st.none(),
        },
        optional={"from_seq": SEQS, "stream": texts | st.integers()},
    ).map(lambda request: json.dumps(request).encode()),
)


def test_any_request_over_websocket_is_answered(servers: dict[str, str]) -> None:
    """Any request gets a JSON frame, and subscriptions are released at the end."""
    runner = asyncio.Runner()
    context = room(servers)
    made = runner.run(context.__aenter__())

    async def answered(request: bytes) -> list[dict[str, Any]]:
        session = made.replica(1_000).session(Form.JSON)
        await session.receive(request)
        frames = [orjson.loads(frame) for frame in await session.client.next()]
        session.close()
        assert not session.client.wanted
        return frames

    @tries(150)
    @given(REQUESTS)
    def holds(request: bytes) -> None:
        frames = runner.run(answered(request))
        assert frames[0]["type"] in ("pong", "subscribed", "unsubscribed", "error")

    try:
        holds()
    finally:
        runner.run(context.__aexit__(None, None, None))
        runner.close()


def test_any_query_of_an_event_stream_is_answered(servers: dict[str, str]) -> None:
    """Any query gets a problem; no place is free, so a valid one is refused too."""
    runner = asyncio.Runner()
    context = room(servers)
    made = runner.run(context.__aenter__())
    endpoint = sse_endpoint(made.replica(max_clients=0))
    app = Starlette(routes=[Route("/sse", endpoint)])
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://fuzz")

    @tries(100)
    @given(
        st.lists(CHANNELS, max_size=3).map(",".join),
        st.none() | texts | integers(-9, 2**70).map(lambda seq: f"KANDLE_LIVE/{seq}"),
    )
    def holds(channels: str, last: str | None) -> None:
        query = {"channels": channels} | ({} if last is None else {"last_event_id": last})
        answer = runner.run(client.get("/sse", params=query))
        assert answer.status_code in (400, 503), answer.text
        assert answer.headers["content-type"] == "application/problem+json"

    try:
        holds()
    finally:
        runner.run(context.__aexit__(None, None, None))
        runner.run(client.aclose())
        runner.close()
