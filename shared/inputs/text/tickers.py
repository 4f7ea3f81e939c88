"""Many TickerUpdates at once: array operations over the bytes of a whole batch.

Regular messages (known fields in order of their numbers, as every protobuf writer emits) with
prices of at most 15 digits are parsed here; every other message, and all of a small batch, go to
`ticker.py`. Both agree where both apply (property test).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.inputs.columns.distinct_symbols import good_symbols
from shared.inputs.columns.packed_text import FEW, Bools, Spans, Text
from shared.inputs.columns.rows import Rejected, Rows, from_lines, joined, no_rows
from shared.inputs.text.line import EARLIEST_US, RejectedLineError
from shared.inputs.text.ticker import parse_ticker
from shared.inputs.venues.messages import payload_at
from shared.market.symbols import MAX_SYMBOL_BYTES
from shared.market.timestamps import scaled_us
from shared.wire.raw_batch import FORMAT_TICKER, RawBatch, delimited
from shared.wire.ticks import NO_ID, Int64s

_SYMBOL, _PRICE, _VOLUME, _TIMESTAMP, _SIZE = 0x0A, 0x11, 0x18, 0x20, 0x2A
"""The tags: number and wire type of each field."""

_EXACT_DIGITS: Final = 15
"""Distinct decimals of this many digits are distinct doubles (DBL_DIG)."""


def parse_tickers(batch: RawBatch) -> tuple[Rows, list[Rejected]]:
    """Parse every message of the batch into ticks and rejects."""
    text = Text(batch.payloads)
    messages, payload, number = _split(batch)
    rejected = [
        Rejected(int(i), 0, b"", "empty_payload", "the datagram or body holds no message")
        for i in np.flatnonzero(np.bincount(payload, minlength=len(batch.lengths)) == 0)
    ]
    payload_end = np.cumsum(batch.lengths)
    whole = messages.end <= payload_end[payload]
    rows, plain = no_rows(), np.zeros(len(payload), dtype=bool)
    if len(payload) > FEW:
        rows, plain = _parse_plain(text, messages, whole, payload, number)
    parsed = []
    parsed_rows = []
    for row in np.flatnonzero(~plain).tolist():
        position = int(payload[row]), int(number[row])
        if not whole[row]:
            start, end = int(messages.start[row]), int(payload_end[payload[row]])
            detail = f"{end - start} bytes are there, its length says {messages.end[row] - start}"
            original = batch.payloads[start:end]
            rejected.append(
                Rejected(*position, original, "truncated", f"message cut off: {detail}")
            )
            continue
        original = text.cut(messages, row)
        try:
            parsed.append(parse_ticker(original))
            parsed_rows.append(row)
        except RejectedLineError as error:
            rejected.append(Rejected(*position, original, error.code, str(error)))
    if parsed_rows:
        rows = joined(rows, from_lines(parsed, payload[parsed_rows], number[parsed_rows]))
    rejected.sort(key=lambda reject: (reject.payload, reject.line))
    return rows, rejected


def message_at(batch: RawBatch, payload: int, number: int) -> bytes:
    """Return a message as received."""
    content = payload_at(batch, payload)
    if batch.format == FORMAT_TICKER:
        return content
    message = list(delimited(content))[number]
    return content[message.start : message.end]


def _split(batch: RawBatch) -> tuple[Spans, Int64s, Int64s]:
    """Return the spans of all messages, their payloads and numbers in them."""
    end = np.cumsum(batch.lengths)
    start = end - batch.lengths
    if batch.format == FORMAT_TICKER:
        payload = np.flatnonzero(batch.lengths)
        return Spans(start[payload], end[payload]), payload, np.zeros_like(payload)
    spans = [
        (i, number, first + message.start, first + message.end)
        for i, (first, past) in enumerate(zip(start.tolist(), end.tolist(), strict=True))
        for number, message in enumerate(delimited(batch.payloads[first:past]))
    ]
    columns = np.array(spans, dtype=np.int64).reshape(-1, 4).T
    return Spans(columns[2], columns[3]), columns[0], columns[1]


def _parse_plain(
    text: Text, messages: Spans, whole: Bools, payload: Int64s, number: Int64s
) -> tuple[Rows, Bools]:
    """Parse the regular messages; return their rows and which messages those are."""
    plain = whole.copy()
    at = messages.start
    length = text.byte(at + 1)
    plain &= (text.byte(at) == _SYMBOL) & (length >= 1) & (length <= MAX_SYMBOL_BYTES)
    symbols = Spans(at + 2, at + 2 + length)
    at = symbols.end
    plain &= (text.byte(at) == _PRICE) & (at + 9 <= messages.end)
    price, price_scale, price_ok = _shortest(text.eight(at + 1).view(np.float64))
    at = at + 9
    volume, at, volume_ok = _optional_varint(text, _VOLUME, at, messages.end)
    time, at, time_ok = _optional_varint(text, _TIMESTAMP, at, messages.end)
    has_size = (at < messages.end) & (text.byte(at) == _SIZE)
    size_length = np.where(has_size, text.byte(at + 1), 0)
    size_start = at + 2 * has_size
    at = size_start + size_length
    plain &= price_ok & volume_ok & time_ok & (at == messages.end)
    time_us, in_range = scaled_us(time)
    plain &= (time == 0) | (in_range & (time_us >= EARLIEST_US))
    plain &= size_length < 0x80
    sizes = Spans(np.where(plain, size_start, 0), np.where(plain, at, 0))
    size, size_scale, size_ok = text.decimals(sizes)
    has_size = sizes.length > 0
    plain &= size_ok | ~has_size

    names, symbol = good_symbols(text, symbols, plain)
    rows = np.flatnonzero(plain)
    zeros = np.zeros(len(rows), dtype=np.uint8)
    return Rows(
        names,
        symbol,
        price[rows],
        price_scale[rows],
        np.where(has_size, size, volume)[rows],
        np.where(has_size, size_scale, 0)[rows],
        np.where(time == 0, -1, time_us)[rows],
        zeros,
        zeros + np.uint8(NO_ID),
        np.zeros(len(rows), dtype=np.int64),
        None,
        payload[rows],
        number[rows],
    ), plain


def _optional_varint(text: Text, tag: int, at: Int64s, end: Int64s) -> tuple[Int64s, Int64s, Bools]:
    """Return the field's value (0 if absent), the position after it, and whether it is valid."""
    is_present = (at < end) & (text.byte(at) == tag)
    value, size = text.varint(at + 1)
    return (
        np.where(is_present, value, 0),
        at + np.where(is_present, 1 + size, 0),
        ~is_present | (size > 0),
    )


def _shortest(price: NDArray[np.float64]) -> tuple[Int64s, Int64s, Bools]:
    """Return mantissa and scale of the shortest decimal that round-trips each double.

    A decimal of at most 15 digits that round-trips is unique. Below 2^53 the mantissa and the power
    of ten are exact doubles, so their quotient is rounded once, like a parsed decimal. If there is
    no such decimal the last result is False.
    """
    mantissa = np.zeros(len(price), dtype=np.int64)
    scale = np.zeros(len(price), dtype=np.int64)
    limit = 10.0**_EXACT_DIGITS
    with np.errstate(invalid="ignore"):
        open_ = np.flatnonzero((price != 0) & (np.abs(price) < limit))
    for decimals in range(_EXACT_DIGITS + 1):
        if not len(open_):
            break
        power = 10.0**decimals
        exact = price[open_]
        scaled = np.rint(exact * power)
        reads_back = (np.abs(scaled) < limit) & (scaled / power == exact)
        rows = open_[reads_back]
        mantissa[rows] = scaled[reads_back].astype(np.int64)
        scale[rows] = decimals
        open_ = open_[~reads_back & (np.abs(scaled) < limit)]
    return mantissa, scale, mantissa != 0
