"""Hostile inputs: extreme values, truncated and flipped messages, decompression bombs."""

from __future__ import annotations

import functools
import json
import os
from decimal import Decimal
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from shared.schema import candles_pb2, ticks_pb2
from shared.wire.candle import Candle
from shared.wire.candle_columns import encode_batch
from shared.wire.compression import compress

TIMES: Final = int(os.environ.get("KANDLE_FUZZ", "1"))

_INTEGERS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(2**31), 2**31 - 1),
}

_TIMES: Final = st.sampled_from([0, 1, 1_600_000_000_000_000, 10**17, -(10**16), 2**63 - 1])

texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        ["", "\0", "A" * 300, "1m", "7m", "0m", "NaN", "-Infinity", "1e999999999", "-1"]
    ),
)
"""Surrogates aside, which no protobuf writer encodes."""


def tries(count: int) -> settings:
    """Settings for `count` examples, times KANDLE_FUZZ, without a deadline: machines differ."""
    return settings(
        max_examples=count * TIMES,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def integers(low: int, high: int) -> st.SearchStrategy[int]:
    """Small integers, and the extremes of their type."""
    return st.one_of(
        st.integers(max(low, -3), min(high, 3)),
        st.sampled_from([low, high, low + 1, high - 1, high // 2]),
        st.integers(low, high),
    )


@st.composite
def messages(draw: st.DrawFn, kind: type[Message]) -> Message:
    """A message with arbitrary values in its fields."""
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        if not draw(st.booleans()):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        count = draw(st.integers(0, 3)) if field.is_repeated else 1
        for _ in range(count):
            _fill(draw, message, field)
    return message


def _fill(draw: st.DrawFn, message: Message, field: Any) -> None:
    if field.message_type is not None:
        part = draw(messages(field.message_type._concrete_class))
        place = getattr(message, field.name)
        (place.add() if field.is_repeated else place).CopyFrom(part)
        return
    if field.cpp_type in _INTEGERS:
        value: Any = draw(integers(*_INTEGERS[field.cpp_type]))
    elif field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        value = draw(st.booleans())
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        value = draw(st.binary(max_size=9) if field.type == field.TYPE_BYTES else texts)
    else:
        value = draw(st.floats())
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


@st.composite
def tick_batches(draw: st.DrawFn) -> ticks_pb2.TickBatch:
    """Batches whose columns have matching lengths and arbitrary values."""
    entries = draw(st.lists(st.tuples(texts, st.integers(1, 3)), min_size=1, max_size=3))
    count = sum(rows for _, rows in entries)

    def column(low: int = -(2**63), high: int = 2**63 - 1) -> list[int]:
        return draw(st.lists(integers(low, high), min_size=count, max_size=count))

    def days() -> list[int]:
        """Times as differences, mostly of one day, since every other day becomes a partition."""
        return [
            draw(_TIMES),
            *(draw(st.one_of(st.integers(0, 9), _TIMES)) for _ in range(count - 1)),
        ]

    scale = st.one_of(st.integers(0, 20), integers(0, 2**32 - 1))
    batch = ticks_pb2.TickBatch(
        source=draw(texts),
        instruments=ticks_pb2.InstrumentTable(
            name=[name for name, _ in entries],
            price_scale=[draw(scale) for _ in entries],
            size_scale=[draw(scale) for _ in entries],
            count=[rows for _, rows in entries],
            shard_entries=[len(entries) - draw(st.integers(0, 1)), draw(st.integers(0, 1))],
        ),
        event_time_us=days(),
        price=column(),
        size=column(low=draw(st.sampled_from([0, -(2**63)]))),
        receive_time_us=column(),
        sequence=column(),
    )
    if draw(st.booleans()):
        batch.side.extend(column(0, 3))
    if draw(st.booleans()):
        batch.flags.extend(column(0, 256))
    if draw(st.booleans()):
        batch.wide_price.extend(draw(st.lists(_NUMBERS, min_size=count, max_size=count)))
    return batch


_NUMBERS: Final = st.sampled_from(
    ["0", "1", "-1", "0.000000000000000001", "1e30", "-9.99e37", "1e37", "75000.5", "100", "101"]
)


@st.composite
def candle_batches(draw: st.DrawFn) -> candles_pb2.CandleBatch:
    """Candles of a few series with numeric fields that are numbers, and all else arbitrary."""
    names = st.one_of(st.sampled_from(["A", "B"]), texts)
    timeframes = st.one_of(st.sampled_from(["1m", "1m", "1h", "1d"]), texts)
    starts = st.one_of(
        st.integers(0, 50).map(lambda minute: 1_600_000_020_000_000 + minute * 60_000_000), _TIMES
    )
    candles = [
        Candle(
            draw(names),
            draw(timeframes),
            draw(starts),
            Decimal(draw(_NUMBERS)),
            Decimal(draw(_NUMBERS)),
            Decimal(draw(_NUMBERS)),
            Decimal(draw(_NUMBERS)),
            Decimal(draw(_NUMBERS)),
            Decimal(draw(_NUMBERS)),
            draw(integers(0, 2**63 - 1)),
            Decimal(draw(_NUMBERS)),
            Decimal(draw(_NUMBERS)),
            draw(_TIMES),
            draw(_TIMES),
            closed=draw(st.booleans()),
            complete=draw(st.booleans()),
            revision=draw(integers(0, 2**63 - 1)),
        )
        for _ in range(draw(st.integers(1, 8)))
    ]
    return candles_pb2.CandleBatch.FromString(encode_batch(candles))


_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)

jsons: Final = st.one_of(
    _VALUES.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=60),
    st.sampled_from([b"[" * 5_000, b'{"a":' * 5_000, b"1" * 5_000, b'"\\ud800"', b"NaN", b""]),
)
"""JSON of any shape, JSON that is none, and what is too deep."""


def encoded(kind: st.SearchStrategy[Message]) -> st.SearchStrategy[bytes]:
    """Messages as bytes: whole, truncated, or with a flipped byte."""
    return st.one_of(
        kind.map(lambda message: message.SerializeToString()),
        st.builds(_damaged, kind, st.integers(0, 10**6), st.integers(0, 255)),
        st.binary(max_size=200),
    )


def _damaged(message: Message, place: int, byte: int) -> bytes:
    body = bytearray(message.SerializeToString())
    if not body:
        return bytes([byte])
    place %= len(body)
    if byte == body[place]:
        return bytes(body[:place])
    body[place] = byte
    return bytes(body)


@functools.cache
def bombs() -> list[bytes]:
    """Small bodies that decompress to many bytes, or claim much memory."""
    entry = ticks_pb2.InstrumentTable(
        name=["A"], price_scale=[0], size_scale=[0], count=[2**32 - 1], shard_entries=[1]
    )
    thousand = ticks_pb2.InstrumentTable()
    for _ in range(1000):
        thousand.MergeFrom(entry)
    return [
        compress(bytes(512 * 1024 * 1024)),
        compress(bytes(2 * 1024 * 1024)),
        ticks_pb2.TickBatch(instruments=thousand).SerializeToString(),
        ticks_pb2.TickBatch(
            instruments=entry, trade_id_kind_all=ticks_pb2.TRADE_ID_TEXT
        ).SerializeToString(),
    ]
