"""Many CSV lines at once: array operations over the bytes of a whole batch, no loop per tick.

Lines of the plain form (digits with at most one point, whole times, buy or sell, ids of digits or
printable text) are parsed here; every other line goes to `line.py` one by one, which also says why
a line is rejected. Both ways give the same answer where both apply; a property test sees to it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from shared.inputs.line import (
    EARLIEST_MS,
    FIELDS,
    MAX_SYMBOL_BYTES,
    MAX_TRADE_ID_BYTES,
    RejectedLineError,
    parse_line,
)
from shared.inputs.rejected import Rejected
from shared.inputs.rows import Rows, from_lines, joined
from shared.inputs.symbols import good_symbols
from shared.inputs.words import Bools, Spans, Text
from shared.raw import RawBatch
from shared.ticks import INTEGER_ID, NO_ID, TEXT_ID, Int64s, Texts

_NEWLINE, _RETURN, _COMMA, _ZERO = b"\n\r,0"
_SIDES: Final = {b"": 0, b"buy": 1, b"b": 1, b"sell": 2, b"s": 2}


def parse_lines(batch: RawBatch) -> tuple[Rows, list[Rejected]]:
    """Parse every line of the batch: the rows that are ticks, and the lines that are none."""
    text = Text(batch.payloads)
    lines, payload, number = _split(text, batch.lengths)
    rows, plain = _parse_plain(text, lines, payload, number)
    rejected = [
        Rejected(int(i), 0, b"", "empty_payload", "the datagram or body holds no line")
        for i in np.flatnonzero(np.bincount(payload, minlength=len(batch.lengths)) == 0)
    ]
    others = np.flatnonzero(~plain)
    parsed = []
    kept = []
    for row in others.tolist():
        original = text.cut(lines, row)
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


def _split(text: Text, lengths: Int64s) -> tuple[Spans, Int64s, Int64s]:
    """Return the spans of all lines that are not blank, their payloads and numbers within them."""
    payload_end = np.cumsum(lengths)
    newline = np.flatnonzero(text.bytes == _NEWLINE)
    # A line ends at a newline, or where its payload ends; at equal places the payload ends first.
    ends = np.concatenate([payload_end * 2, newline * 2 + 1])
    ends.sort()
    end, of_payload = ends >> 1, (ends & 1) == 0
    start = np.concatenate([[0], end[:-1] + (ends[:-1] & 1)])
    # The k-th end of a payload itself is where the payload number grows.
    payload = np.concatenate([[0], np.cumsum(of_payload)[:-1]])
    first_line = np.concatenate([[0], np.flatnonzero(of_payload)[:-1] + 1])
    number = np.arange(len(ends)) - first_line[payload] if len(ends) else payload
    if len(text.bytes):
        end -= (end > start) & (text.bytes[end - 1] == _RETURN)
    filled = end > start
    return Spans(start[filled], end[filled]), payload[filled], number[filled]


def _parse_plain(text: Text, lines: Spans, payload: Int64s, number: Int64s) -> tuple[Rows, Bools]:
    """Parse the lines of the plain form; return their rows and which lines those are."""
    comma = np.flatnonzero(text.bytes == _COMMA)
    # Nothing between two lines is a comma: the commas of a line begin where the last line's end.
    bound = np.searchsorted(comma, lines.end)
    first = np.concatenate([[0], bound[:-1]]) if len(bound) else bound
    commas = bound - first
    comma = np.append(comma, np.full(len(FIELDS), len(text.bytes)))

    def field(k: int) -> Spans:
        """Span the k-th field of each line; it is empty where the line is shorter."""
        start = np.where(commas >= k, comma[first + k - 1] + 1, lines.end) if k else lines.start
        return Spans(start, np.where(commas > k, comma[first + k], lines.end))

    symbols, prices, sizes, times, sides, ids = map(field, range(len(FIELDS)))
    price, price_scale, price_ok = text.decimals(prices)
    size, size_scale, size_ok = text.decimals(sizes)
    time_ms, _, time_ok = text.decimals(times, point=False)
    no_time = times.length == 0
    side = text.equal(sides, _SIDES)
    trade_id, _, digits = text.decimals(ids, point=False)
    id_length = ids.length
    leading_zero = (id_length > 1) & (text.byte(ids.start) == _ZERO)
    kind = np.where(id_length == 0, NO_ID, np.where(digits & ~leading_zero, INTEGER_ID, TEXT_ID))
    plain = (commas >= 1) & (commas < len(FIELDS))
    plain &= (symbols.length >= 1) & (symbols.length <= MAX_SYMBOL_BYTES)
    plain &= price_ok
    plain &= size_ok | (sizes.length == 0)
    plain &= no_time | (time_ok & (times.length <= 15) & (time_ms >= EARLIEST_MS))
    plain &= side >= 0
    plain &= id_length <= MAX_TRADE_ID_BYTES
    texts = _text_ids(text, ids, kind, plain)

    names, symbol = good_symbols(text, symbols, plain)
    rows = np.flatnonzero(plain)
    return Rows(
        names,
        symbol,
        price[rows],
        price_scale[rows],
        np.where(sizes.length == 0, 0, size)[rows],
        size_scale[rows],
        np.where(no_time, -1, time_ms * 1000)[rows],
        side[rows].astype(np.uint8),
        kind[rows].astype(np.uint8),
        np.where(kind == INTEGER_ID, trade_id, 0)[rows],
        None if texts is None else texts[rows],
        payload[rows],
        number[rows],
    ), plain


def _text_ids(text: Text, ids: Spans, kind: Int64s, plain: Bools) -> Texts | None:
    """Cut out text trade ids; lines whose id is not printable ASCII leave the plain form."""
    rows = np.flatnonzero(plain & (kind == TEXT_ID))
    if not len(rows):
        return None
    texts = np.full(len(plain), "", dtype=object)
    for row in rows.tolist():
        id_ = text.cut(ids, row).decode("latin-1")
        if id_.isascii() and id_.isprintable():
            texts[row] = id_
        else:
            plain[row] = False
    return texts


def line_at(batch: RawBatch, payload: int, number: int) -> bytes:
    """Return a line as it came."""
    start = int(batch.lengths[:payload].sum())
    text = batch.payloads[start : start + int(batch.lengths[payload])]
    return text.split(b"\n")[number].removesuffix(b"\r")
