"""Arbitrary HTTP requests: a bad one is a client's error, never a 5xx."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from functions.history_query.api.openapi import DOCUMENT
from functions.udp_bridge.ingest import Ingest
from shared.adapter.sink import Sink
from shared.inputs.clock import ClockRule
from shared.inputs.columns.parsed import FeedRules
from shared.schema import ticker_pb2
from shared.wire.compression import compress
from tests.functions.history_query.conftest import House, house
from tests.fuzz.inputs import encoded, jsons, messages, texts, tick_batches, tries
from tests.local.broker.subscriber import Subscriber

__all__ = ["house"]

WORDS: Final = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(["", "0", "-1", "1m", "7m", "1d", "9999d", "1000", "1e3", "-24h", "-999999d"]),
    st.sampled_from(["9" * 14, "2024-01-01", "2024-02-30", "9999-12-31T23:59:59Z", "NaN", "\0"]),
)
PARAMETERS: Final = sorted(
    {
        parameter["name"]
        for path in DOCUMENT["paths"].values()
        for parameter in path.get("get", {}).get("parameters", ())
        if parameter["in"] == "query"
    }
)
NAMES: Final = st.one_of(st.sampled_from(PARAMETERS), st.sampled_from(PARAMETERS), WORDS)


def routes(house: House) -> list[str]:
    """Every GET route of the app."""
    found = [
        route.path
        for route in house.app.routes
        if isinstance(route, Route) and "GET" in (route.methods or ())
    ]
    return [path for path in found if path.startswith(("/api", "/prices"))]


def test_no_query_makes_the_api_fail(house: House) -> None:
    """Any symbol and parameters of any route are 200 or a problem."""
    paths = routes(house)
    text = " ".join(paths)
    assert all(topic in text for topic in ("candles", "ticks", "patterns", "alerts", "feeds"))

    @tries(150)
    @given(
        st.sampled_from(paths),
        st.one_of(st.sampled_from(["A", "BTC-USD", "a/b", "%00", "..", "x" * 99]), WORDS),
        st.dictionaries(NAMES, WORDS, max_size=4),
    )
    def holds(path: str, symbol: str, parameters: dict[str, str]) -> None:
        address = path
        for place in ("{symbol:path}", "{symbol}", "{id}"):
            address = address.replace(place, quote(symbol))
        answer = house.get(address, **parameters)
        assert answer.status_code in (200, 400, 404), answer.text
        if answer.status_code != 200:
            assert answer.headers["content-type"] == "application/problem+json"

    holds()


@st.composite
def scanner_objects(draw: st.DrawFn) -> bytes:
    """Objects of a scanner with arbitrary values, one or several."""
    names = st.sampled_from(["symbol", "price", "size", "volume", "timestamp", "side", "bid"])
    objects = st.dictionaries(names, texts | st.integers() | st.floats() | st.none(), max_size=6)
    found = draw(st.lists(objects, max_size=3))
    if draw(st.booleans()):
        return json.dumps(found).encode()
    return b"\n".join(json.dumps(each).encode() for each in found)


@pytest.fixture
def sink() -> Iterator[Subscriber]:
    started = Subscriber()
    yield started
    started.close()


def test_no_body_makes_ingest_fail(sink: Subscriber) -> None:
    """Any body under any headers is accepted or refused with a problem."""
    runner = asyncio.Runner()
    target = Sink(sink.url, "/fuzz")
    ingest = Ingest(target, "http-1", 10_000, FeedRules(), ClockRule(5_000_000))
    app = Starlette(routes=[Route("/ingest", ingest.post, methods=["POST"])])
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://fuzz")
    types = [b"text/csv", b"text/plain; x", b"application/x-protobuf", b"\xff", b"", b"a/b"]
    types += [b"application/json", b"application/x-ndjson"]

    @tries(150)
    @given(
        st.one_of(
            st.binary(max_size=12_000),
            jsons,
            scanner_objects(),
            encoded(tick_batches()),
            encoded(messages(ticker_pb2.TickerUpdate)),
            st.integers(0, 2**64).map(_varint),
        ),
        st.sampled_from(types),
        st.one_of(st.none(), st.binary(max_size=140)),
        st.sampled_from([b"", b"gzip", b"deflate", b"zstd", b"br", b"\xff"]),
        st.booleans(),
    )
    def holds(body: bytes, type_: bytes, key: bytes | None, coding: bytes, packed: bool) -> None:
        headers = [(b"content-type", type_), (b"content-encoding", coding)]
        if packed and coding in (b"gzip", b"zstd"):
            body = gzip.compress(body) if coding == b"gzip" else compress(body)
        if key is not None:
            headers.append((b"idempotency-key", key))
        before = len(sink.received)
        answer = runner.run(client.post("/ingest", headers=headers, content=body))
        assert answer.status_code in (202, 400, 413, 415), answer.text
        assert len(sink.received) - before == int(answer.status_code == 202)

    try:
        holds()
    finally:
        runner.run(target.close())
        runner.run(client.aclose())
        runner.close()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
