"""Each decoder returns a value or raises a PermanentError with a reason."""

from __future__ import annotations

import contextlib
import json
import tomllib
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any, Final

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PermanentError
from shared.inputs.columns.parsed import FeedRules
from shared.inputs.formats import parse
from shared.schema import (
    candles_pb2,
    feeds_pb2,
    gaps_pb2,
    late_pb2,
    patterns_pb2,
    quotes_pb2,
    raw_pb2,
    rejects_pb2,
    ticker_pb2,
)
from shared.wire import candle_columns, rejects
from shared.wire.compression import compress, decompress
from shared.wire.feed_status import FeedStatus
from shared.wire.gaps import decode_gaps
from shared.wire.late import decode_late
from shared.wire.patterns import decode_patterns
from shared.wire.quotes import Quotes
from shared.wire.raw_batch import RawBatch
from shared.wire.ticks import Ticks
from tests.fuzz.inputs import bombs, encoded, messages, tick_batches, tries

DECODERS: Final[dict[str, tuple[Callable[[bytes], Any], st.SearchStrategy[Message]]]] = {
    "RawBatch": (RawBatch.decode, messages(raw_pb2.RawBatch)),
    "TickBatch": (Ticks.decode, tick_batches()),
    "RejectBatch": (rejects.decode, messages(rejects_pb2.RejectBatch)),
    "CandleBatch": (candle_columns.decode_batch, messages(candles_pb2.CandleBatch)),
    "LateBatch": (decode_late, messages(late_pb2.LateBatch)),
    "PatternBatch": (decode_patterns, messages(patterns_pb2.PatternBatch)),
    "QuoteBatch": (Quotes.decode, messages(quotes_pb2.QuoteBatch)),
    "GapBatch": (decode_gaps, messages(gaps_pb2.GapBatch)),
    "FeedStatus": (FeedStatus.decode, messages(feeds_pb2.FeedStatus)),
}


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_returns_or_raises_a_permanent_error(name: str) -> None:
    """Extreme, truncated and flipped messages are decoded or raise PermanentError."""
    decode, kind = DECODERS[name]

    @tries(100)
    @given(encoded(kind))
    def holds(body: bytes) -> None:
        with contextlib.suppress(PermanentError):
            decode(body)

    holds()


@pytest.mark.parametrize("name", DECODERS)
def test_a_small_body_takes_little_memory(name: str) -> None:
    """A table that claims four billion rows takes memory only for the rows that it has."""
    decode, _ = DECODERS[name]
    for body in bombs():
        tracemalloc.start()
        try:
            with contextlib.suppress(PermanentError):
                decode(body)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 64 * 1024 * 1024


@tries(200)
@given(st.one_of(st.binary(max_size=100), st.binary(max_size=100).map(compress)))
def test_decompression_returns_or_raises_a_permanent_error(body: bytes) -> None:
    """Any bytes are decompressed or raise PermanentError."""
    with contextlib.suppress(PermanentError):
        decompress(body)


CSV_PIECES: Final = st.one_of(
    st.sampled_from([b",", b"\n", b"\r\n", b"A", b"1", b"-1", b"1e9", b"0.1", b"9" * 30, b"buy"]),
    st.sampled_from([b"\0", b"\xff", b" ", b".", b"nan", b"inf", "ü".encode(), b'"']),
    st.binary(max_size=4),
)


def raw(format_: int, payloads: list[bytes]) -> RawBatch:
    return RawBatch.decode(
        raw_pb2.RawBatch(
            format=format_,  # type: ignore[arg-type]
            source="fuzz",
            lengths=[len(each) for each in payloads],
            receive_time_us=[0] * len(payloads),
            payloads=b"".join(payloads),
        ).SerializeToString()
    )


@tries(200)
@given(st.lists(st.lists(CSV_PIECES, max_size=12).map(b"".join), min_size=1, max_size=4))
def test_every_csv_line_is_a_tick_or_a_reject(payloads: list[bytes]) -> None:
    """Each line that is not blank is a tick or a reject."""
    rows, rejected, *_ = parse(raw(raw_pb2.FORMAT_CSV, payloads), FeedRules())
    lines = [line for each in payloads for line in each.split(b"\n") if line.strip(b" \t\r")]
    assert len(rows.line) + len(rejected) >= len(lines)


@tries(150)
@given(st.lists(encoded(messages(ticker_pb2.TickerUpdate)), min_size=1, max_size=4))
def test_every_ticker_update_is_a_tick_or_a_reject(payloads: list[bytes]) -> None:
    """Each payload of a TickerUpdate is a tick or a reject."""
    rows, rejected, *_ = parse(raw(raw_pb2.FORMAT_TICKER, payloads), FeedRules())
    assert len(rows.line) + len(rejected) == len(payloads)


@tries(150)
@given(st.integers(0, 12), st.lists(st.binary(max_size=60), min_size=1, max_size=4))
def test_payloads_of_any_format_are_parsed_or_refused(format_: int, payloads: list[bytes]) -> None:
    """Payloads of any format, also unknown ones, are parsed or raise PermanentError."""
    with contextlib.suppress(PermanentError):
        parse(raw(format_, payloads), FeedRules())


_MESSAGES = tomllib.loads((Path(__file__).parents[2] / "benchmarks/messages.toml").read_text())[
    "message"
]
_SAMPLES = {each["name"]: each for each in _MESSAGES if each["text"].startswith(("{", "["))}
_ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    0,
    10**19,
    -(10**19),
    1e300,
    "",
    "x",
    "-1",
    "1e3",
    "9" * 40,
    [],
    {},
    ["a"],
)


@pytest.mark.parametrize("name", _SAMPLES)
@tries(40)
@given(data=st.data())
def test_a_message_with_an_odd_value_is_parsed_or_a_reject(name: str, data: st.DataObject) -> None:
    """A feed's message with a value of another kind or size never keeps its batch from parsing."""
    sample = _SAMPLES[name]
    values = {"id": 7, "now": 1_764_340_200_000, "symbol": "BTCUSDT", "price": 61.25, "size": 0.5}
    message = json.loads(Template(sample["text"]).substitute(values))
    place, key = message, data.draw(_key(message))
    while isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(_key(place))
    place[key] = data.draw(st.sampled_from(_ODD))
    format_ = raw_pb2.Format.Value(f"FORMAT_{sample['format']}")
    parse(raw(format_, [json.dumps(message).encode()]), FeedRules())


def _key(place: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place))))
