"""Many CSV lines at once: array operations over the bytes of a whole batch, no loop per tick.

Lines of the plain form (digits with at most one point, whole times, buy or sell, ids of digits or
printable text) are parsed here; every other line goes to `line.py` one by one, which also says why
a line is rejected. Both ways give the same answer where both apply; a property test sees to it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from functions.normalize.line import (
    EARLIEST_MS,
    MAX_SYMBOL_BYTES,
    MAX_TRADE_ID_BYTES,
    SYMBOL,
    RejectedLineError,
    parse_line,
)
from functions.normalize.rows import Rows, from_lines, joined
from shared.raw import RawBatch
from shared.ticks import INTEGER_ID, NO_ID, TEXT_ID, Bytes8, Int64s, Texts

Bools = NDArray[np.bool_]

_NEWLINE, _RETURN, _COMMA, _POINT, _ZERO = b"\n\r,.0"
_DIGITS: Final = 18
"""Longest number of the fast way: any 18 digits fit 63 bits."""
_POWERS: Final = 10 ** np.arange(_DIGITS + 1, dtype=np.int64)


class Rejected(NamedTuple):
    """A line that is no tick, and where it stood."""

    payload: int
    line: int
    original: bytes
    code: str
    detail: str


class Spans(NamedTuple):
    """Where each line, or a field of each line, stands in the payload bytes: [start, end)."""

    start: Int64s
    end: Int64s

    @property
    def length(self) -> Int64s:
        """Bytes of each."""
        return self.end - self.start


def parse_lines(batch: RawBatch) -> tuple[Rows, list[Rejected]]:
    """Parse every line of the batch: the rows that are ticks, and the lines that are none."""
    bytes_ = np.frombuffer(batch.payloads, dtype=np.uint8)
    lines, payload, number = _split(bytes_, batch.lengths)
    rows, plain = _parse_plain(bytes_, batch.payloads, lines, payload, number)
    rejected = [
        Rejected(int(i), 0, b"", "empty_payload", "the datagram or body holds no line")
        for i in _payloads_without_lines(payload, len(batch.lengths))
    ]
    others = np.flatnonzero(~plain)
    parsed = []
    kept = []
    for row in others.tolist():
        original = batch.payloads[lines.start[row] : lines.end[row]]
        try:
            parsed.append(parse_line(original))
            kept.append(row)
        except RejectedLineError as error:
            place = int(payload[row]), int(number[row])
            rejected.append(Rejected(*place, original, error.code, str(error)))
    if kept:
        rows = joined(rows, from_lines(parsed, payload[kept], number[kept]))
    rejected.sort(key=lambda reject: (reject.payload, reject.line))
    return rows, rejected


def _payloads_without_lines(payload: Int64s, count: int) -> Int64s:
    return np.setdiff1d(np.arange(count), payload)


def _split(bytes_: Bytes8, lengths: Int64s) -> tuple[Spans, Int64s, Int64s]:
    """Return the spans of all lines that are not blank, their payloads and numbers within them."""
    payload_end = np.cumsum(lengths)
    newline = np.flatnonzero(bytes_ == _NEWLINE)
    # A line ends at a newline, or where its payload ends; at equal places the payload ends first.
    ends = np.concatenate([payload_end * 2, newline * 2 + 1])
    ends.sort()
    end = ends >> 1
    start = np.concatenate([[0], end[:-1] + (ends[:-1] & 1)])
    # The k-th end of a payload itself (even) is where the payload number grows.
    payload = np.concatenate([[0], np.cumsum((ends & 1) == 0)[:-1]])
    first_line = np.concatenate([[0], np.flatnonzero((ends & 1) == 0)[:-1] + 1])
    number = np.arange(len(ends)) - first_line[payload] if len(ends) else payload
    end = end - ((end > start) & (bytes_[np.maximum(end - 1, 0)] == _RETURN) if len(bytes_) else 0)
    filled = end > start
    return Spans(start[filled], end[filled]), payload[filled], number[filled]


def _parse_plain(
    bytes_: Bytes8, raw: bytes, lines: Spans, payload: Int64s, number: Int64s
) -> tuple[Rows, Bools]:
    """Parse the lines of the plain form; return their rows and which lines those are."""
    comma = np.append(np.flatnonzero(bytes_ == _COMMA), len(bytes_))
    first = np.searchsorted(comma, lines.start)
    commas = np.searchsorted(comma, lines.end) - first
    plain = (commas >= 1) & (commas <= 5)

    def field(k: int) -> Spans:
        """Span the k-th field of each line; it is empty where the line is shorter."""
        before = comma[np.minimum(first + k - 1, len(comma) - 1)] + 1 if k else lines.start
        start = np.where(commas >= k, before, lines.end)
        after = comma[np.minimum(first + k, len(comma) - 1)]
        return Spans(start, np.where(commas > k, after, lines.end))

    symbols = field(0)
    plain &= (symbols.length >= 1) & (symbols.length <= MAX_SYMBOL_BYTES)
    price, price_scale, ok = _decimals(bytes_, field(1))
    plain &= ok & (price > 0)
    size, size_scale, ok = _decimals(bytes_, field(2))
    plain &= ok | (field(2).length == 0)
    time_ms, _, ok = _decimals(bytes_, field(3), point=False)
    no_time = field(3).length == 0
    plain &= no_time | (ok & (field(3).length <= 15) & (time_ms >= EARLIEST_MS))
    side, ok = _sides(bytes_, field(4))
    plain &= ok
    ids = field(5)
    trade_id, _, digits = _decimals(bytes_, ids, point=False)
    leading_zero = (ids.length > 1) & (_at(bytes_, ids.start) == _ZERO)
    kind = np.where(ids.length == 0, NO_ID, np.where(digits & ~leading_zero, INTEGER_ID, TEXT_ID))
    plain &= ids.length <= MAX_TRADE_ID_BYTES

    names, symbol = _symbols(bytes_, Spans(symbols.start[plain], symbols.end[plain]))
    bad = np.array([SYMBOL.fullmatch(name) is None for name in names], dtype=bool)
    if bad.any():
        plain[np.flatnonzero(plain)[bad[symbol]]] = False
        names, symbol = _symbols(bytes_, Spans(symbols.start[plain], symbols.end[plain]))
    text: Texts | None = None
    if (kind[plain] == TEXT_ID).any():
        plain, text = _texts(raw, ids, kind, plain)
        names, symbol = _symbols(bytes_, Spans(symbols.start[plain], symbols.end[plain]))
    return Rows(
        tuple(names),
        symbol,
        price[plain],
        price_scale[plain],
        size[plain],
        size_scale[plain],
        np.where(no_time, -1, time_ms * 1000)[plain],
        side[plain],
        kind[plain].astype(np.uint8),
        np.where(kind == INTEGER_ID, trade_id, 0)[plain],
        text,
        payload[plain],
        number[plain],
    ), plain


def _decimals(bytes_: Bytes8, spans: Spans, *, point: bool = True) -> tuple[Int64s, Int64s, Bools]:
    """Parse digits with at most one point: mantissas, scales, and which fields are of that form."""
    n = len(spans.start)
    length = spans.length
    ok = (length >= 1) & (length <= _DIGITS)
    width = int(length[ok].max()) if ok.any() else 0
    value = np.zeros(n, dtype=np.int64)
    scale = np.zeros(n, dtype=np.int64)
    points = np.zeros(n, dtype=np.int64)
    for column in range(width):
        inside = ok & (column < length)
        byte = _at(bytes_, spans.start + column)
        digit = byte.astype(np.int64) - _ZERO
        is_digit = inside & (digit >= 0) & (digit <= 9)
        is_point = inside & (byte == _POINT)
        value = np.where(is_digit, value * 10 + digit, value)
        scale += is_digit & (points > 0)
        points += is_point
        ok &= ~inside | is_digit | is_point
    allowed = 1 if point else 0
    ok &= (points <= allowed) & (length > points)
    # Without trailing zeros, so that equal numbers have equal forms.
    for _ in range(_DIGITS):
        trailing = ok & (scale > 0) & (value % 10 == 0)
        if not trailing.any():
            break
        value = np.where(trailing, value // 10, value)
        scale -= trailing
    return value, scale, ok


def _sides(bytes_: Bytes8, spans: Spans) -> tuple[Bytes8, Bools]:
    """Parse `buy`, `b`, `sell`, `s` of any case, or nothing."""
    side = np.zeros(len(spans.start), dtype=np.uint8)
    ok = spans.length == 0
    for word, value in ((b"buy", 1), (b"b", 1), (b"sell", 2), (b"s", 2)):
        match = spans.length == len(word)
        if not match.any():
            continue
        for offset, letter in enumerate(word):
            match &= (_at(bytes_, spans.start + offset) | 0x20) == letter
        side[match] = value
        ok |= match
    return side, ok


def _symbols(bytes_: Bytes8, spans: Spans) -> tuple[list[str], Int64s]:
    """Return the distinct symbols and, for each span, the index of its own."""
    n = len(spans.start)
    if n == 0:
        return [], np.zeros(0, dtype=np.int64)
    length = spans.length
    width = -(-int(length.max()) // 8) * 8
    letters = np.zeros((n, width), dtype=np.uint8)
    for column in range(int(length.max())):
        inside = column < length
        letters[:, column] = np.where(inside, _at(bytes_, spans.start + column), 0)
    words = letters.view(np.uint64)
    if width == 8:
        keys, index = np.unique(words[:, 0], return_inverse=True)
        found = keys.view(np.uint8).reshape(-1, 8)
    else:
        rows, index = np.unique(words, axis=0, return_inverse=True)
        found = rows.view(np.uint8).reshape(-1, width)
    names = [row.tobytes().rstrip(b"\0").decode("latin-1") for row in found]
    return names, index.reshape(-1).astype(np.int64)


def _texts(raw: bytes, ids: Spans, kind: NDArray[np.int64], plain: Bools) -> tuple[Bools, Texts]:
    """Cut out text trade ids; lines whose id is not printable ASCII leave the plain form."""
    texts = np.full(len(plain), "", dtype=object)
    plain = plain.copy()
    for row in np.flatnonzero(plain & (kind == TEXT_ID)).tolist():
        text = raw[ids.start[row] : ids.end[row]]
        if text.isascii() and text.decode().isprintable():
            texts[row] = text.decode()
        else:
            plain[row] = False
    return plain, texts[plain]


def _at(bytes_: Bytes8, position: Int64s) -> Bytes8:
    return bytes_[np.minimum(position, len(bytes_) - 1)]
