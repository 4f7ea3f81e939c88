"""TickerUpdates: exact values, the checks of a CSV line, and no harm from any bytes."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.inputs.assemble import assemble
from shared.inputs.clock import ClockRule
from shared.inputs.columns.packed_text import FEW
from shared.inputs.text.line import Line, RejectedLineError
from shared.inputs.text.ticker import parse_ticker
from shared.inputs.text.tickers import parse_tickers
from shared.schema.ticker_pb2 import TickerUpdate
from shared.wire.raw_batch import FORMAT_TICKER, FORMAT_TICKER_STREAM, RawBatch

NOW_US = 1_800_000_000_000_000


@pytest.fixture(autouse=True, scope="module", params=[0, FEW])
def few(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run each test with arrays for the smallest batch, and one by one for a small one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.inputs.text.tickers.FEW", request.param)
        yield


def batch(*payloads: bytes, format_: int = FORMAT_TICKER) -> RawBatch:
    return RawBatch.of(format_, "udp-1", 0, payloads, NOW_US)


def update(symbol: str = "BTC-USD", price: float = 101.25, **fields: object) -> bytes:
    return TickerUpdate(symbol=symbol, price=price, **fields).SerializeToString()  # type: ignore[arg-type]


def behind_lengths(*messages: bytes) -> bytes:
    assert all(len(message) < 128 for message in messages)
    return b"".join(bytes([len(message)]) + message for message in messages)


def outcomes(raw: RawBatch) -> dict[tuple[int, int], object]:
    """The outcome of each message: its values, or the code of its reject."""
    rows, rejected = parse_tickers(raw)
    found: dict[tuple[int, int], object] = {
        (int(rows.payload[i]), int(rows.line[i])): (
            rows.names[rows.symbol[i]],
            (int(rows.price[i]), int(rows.price_scale[i])),
            (int(rows.size[i]), int(rows.size_scale[i])),
            int(rows.time_us[i]),
        )
        for i in range(len(rows))
    }
    found |= {(r.payload, r.line): r.code for r in rejected}
    assert len(found) == len(rows) + len(rejected)
    return found


def expected(message: bytes) -> object:
    if not message:
        return "empty_payload"
    try:
        tick = parse_ticker(message)
    except RejectedLineError as error:
        return error.code
    time_us = -1 if tick.time_us is None else tick.time_us
    return tick.symbol, tuple(tick.price), tuple(tick.size), time_us


updates = st.builds(
    update,
    st.one_of(st.sampled_from(["BTC-USD", "A", "L" * 32, "L" * 33, "", "é", "'; --"])),
    st.one_of(
        st.floats(),
        st.integers(1, 10**9).map(lambda n: n / 10**4),
        st.decimals("1e-9", "1e9", places=8).map(float),
    ),
    volume=st.one_of(st.just(0), st.integers(0, 2**64 - 1), st.integers(0, 10**6)),
    timestamp=st.one_of(
        st.just(0), st.integers(-(2**63), 2**63 - 1), st.integers(315_532_800_000, 10**13)
    ),
    size=st.sampled_from(["", "0.25", "-1", "1e3", "007.50", "NaN", "٣", "9" * 19]),
)
broken = st.builds(
    lambda message, cut, tail: message[: len(message) - cut] + tail,
    updates,
    st.integers(0, 12),
    st.one_of(
        st.sampled_from([b"", b"\x32\x01x", b"\x18\x05", b"\x30\x80"]), st.binary(max_size=9)
    ),
)
messages = st.one_of(updates, broken, st.binary(max_size=40))


@given(st.lists(messages, min_size=1, max_size=8))
@example([b""])
@example([update() + update()])  # protobuf: the last value of a field wins
@example([update() + b"\x18\x80\x00"])  # a varint longer than necessary
@example([b"\x11" + struct.pack("<d", 1.5) + b"\x0a\x01A"])  # fields in another order
def test_both_parsers_agree_on_every_message(some: list[bytes]) -> None:
    """Both parsers give the same values and the same rejects for any bytes."""
    assert outcomes(batch(*some)) == {(i, 0): expected(one) for i, one in enumerate(some)}


@given(st.lists(messages.filter(lambda m: 0 < len(m) < 128), min_size=1, max_size=8))
def test_length_prefixed_messages_equal_datagrams(some: list[bytes]) -> None:
    """Length-prefixed messages of a body are numbered in it and parsed as datagrams are."""
    stream = batch(behind_lengths(*some), format_=FORMAT_TICKER_STREAM)
    assert outcomes(stream) == {(0, i): expected(one) for i, one in enumerate(some)}


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_no_stream_of_bytes_does_harm(some: list[bytes]) -> None:
    """Garbage in place of lengths becomes rejects, and every payload has an outcome."""
    stream = batch(*some, format_=FORMAT_TICKER_STREAM)
    assert {payload for payload, _ in outcomes(stream)} == set(range(len(some)))


@given(st.floats(min_value=1e-12, max_value=1e15))
@example(0.1 + 0.2)
@example(5e-324)
@example(123456789.12345678)
@example(999999999999999.9)
def test_a_price_is_the_shortest_decimal_of_its_double(price: float) -> None:
    """A price is the decimal of Python's `repr` of the double, exact from there on."""
    (found,) = outcomes(batch(update(price=price))).values()
    if isinstance(found, str):
        assert found == "out_of_range"
        return
    mantissa, scale = found[1]  # type: ignore[index]
    assert Decimal(mantissa).scaleb(-scale) == Decimal(repr(price))
    assert scale == 0 or mantissa % 10 != 0


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (update(price=math.nan), "bad_price"),
        (update(price=math.inf), "bad_price"),
        (update(price=0.0), "bad_price"),
        (update(symbol=""), "bad_symbol"),
        (update(symbol="'; DROP TABLE ticks; --"), "bad_symbol"),
        (update(price=1e300), "out_of_range"),
        (update(volume=2**63), "out_of_range"),
        (update(size="-1"), "bad_size"),
        (update(size="many"), "bad_size"),
        (update(timestamp=-1), "bad_time"),
        (update(timestamp=20_250_220), "bad_time"),
        (update() + b"\x30\x01", "unknown_field"),
        (b"\x08\x01", "unknown_field"),
        (update()[:-3], "bad_protobuf"),
        (b"BTC-USD,101.25", "bad_protobuf"),
        (b"", "empty_payload"),
    ],
)
def test_each_fault_has_the_code_of_a_line(message: bytes, code: str) -> None:
    """Each fault has the code of a CSV line, a reject with the bytes, and parsing goes on."""
    rows, rejected = parse_tickers(batch(message, update()))
    assert [(r.original, r.code) for r in rejected] == [(message, code)]
    assert len(rows) == 1


def test_size_takes_precedence_over_volume() -> None:
    """`size`, which may be fractional, takes precedence over `volume`; without both it is 0."""
    assert parse_ticker(update(volume=3, size="0.250")).size == (25, 2)
    assert parse_ticker(update(volume=3)).size == (3, 0)
    assert parse_ticker(update()).size == (0, 0)


def test_a_truncated_stream_loses_only_its_last_message() -> None:
    """In a truncated stream only the incomplete last message is a reject."""
    whole, cut = update(timestamp=1_700_000_000_000), update(volume=7)
    stream = behind_lengths(whole, cut)[:-2]
    rows, rejected = parse_tickers(
        batch(stream, behind_lengths(whole), format_=FORMAT_TICKER_STREAM)
    )
    assert rows.payload.tolist() == [0, 1]
    assert [(r.payload, r.line, r.original, r.code) for r in rejected] == [
        (0, 1, cut[:-2], "truncated")
    ]


def test_a_plain_batch_needs_no_loop_over_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain batch is parsed without a Python loop over its messages."""

    def refuse(message: bytes) -> Line:
        raise AssertionError(message)

    monkeypatch.setattr("shared.inputs.text.tickers.parse_ticker", refuse)
    rows, rejected = parse_tickers(
        batch(*(update(price=(10_000 + i) / 100, volume=i, timestamp=1_700_000_000_000 + i,
                       size="0.5" if i % 2 else "") for i in range(200)))
    )  # fmt: skip
    assert len(rows) == 200
    assert rejected == []


def test_a_message_from_the_future_is_a_reject_with_its_bytes() -> None:
    """A message beyond the allowed clock skew is a reject, as a line is."""
    ahead = update(timestamp=NOW_US // 1000 + 60_001)
    for raw in (
        batch(update(), ahead),
        batch(behind_lengths(update(), ahead), format_=FORMAT_TICKER_STREAM),
    ):
        rows, _ = parse_tickers(raw)
        ticks, _, late = assemble(raw, rows, ClockRule(60_000_000), 1)
        assert len(ticks) == 1
        assert [(r.original, r.code) for r in late] == [(ahead, "time_in_future")]
