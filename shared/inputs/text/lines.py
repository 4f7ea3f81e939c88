"""Many CSV lines at once: array operations over the bytes of a whole batch.

Regular lines (digits with at most one point, whole times, buy or sell, ids of digits or printable
text) are parsed here; every other line, and all of a small batch, go to `line.py`, which also gives
the reason of a reject. Both agree where both apply (property test).

The first line of a payload determines its dialect: the delimiter, and the order of the columns if
it is a header.
"""

from __future__ import annotations

from collections import Counter
from functools import cache, lru_cache
from typing import Final

import numpy as np

from shared.inputs.columns.distinct_symbols import good_symbols
from shared.inputs.columns.packed_text import FEW, Bools, Spans, Text
from shared.inputs.columns.parsed import Parsed
from shared.inputs.columns.rows import Rejected, Rows, from_lines, joined, no_rows
from shared.inputs.objects.fields import Field
from shared.inputs.objects.trades import absent
from shared.inputs.text.dialects import COLUMNS, PLAIN, Dialect, dialect_of, first_of
from shared.inputs.text.line import (
    BYTE_ORDER_MARK,
    EARLIEST_US,
    MAX_TRADE_ID_BYTES,
    RejectedLineError,
    VoidLineError,
    parse_line,
)
from shared.inputs.venues.messages import payload_at
from shared.market.symbols import MAX_SYMBOL_BYTES
from shared.market.timestamps import scaled_us
from shared.wire.raw_batch import FORMAT_CSV_DECIMAL_COMMA, RawBatch
from shared.wire.ticks import INTEGER_ID, NO_ID, TEXT_ID, Int64s, Texts

_NEWLINE, _RETURN, _COMMA, _ZERO, _MINUS = b"\n\r,0-"
_HASH, _EQUALS, _QUOTE, _PLUS, _NINE = b'#="+9'
_SIDES: Final = {b"": 0, b"buy": 1, b"b": 1, b"sell": 2, b"s": 2, b"a": 2, b"n": 0}
_SIDES_OF: Final = {
    Field.BUYER_MAKER: {b"": 0, b"true": 2, b"false": 1},
    Field.TYPE: {b"": 0, b"buy": 1, b"b": 1, b"sell": 2, b"s": 2},
}

_TRANSLATED: Final = {
    (delimiter, decimal_comma): bytes.maketrans(
        delimiter.encode() + (b",." if decimal_comma else b","),
        b"," + (b".;" if decimal_comma else b";"),
    )
    for delimiter in "\t;"
    for decimal_comma in (False, True)
}
"""To commas between fields and a point within numbers; what was a comma is no digit."""


def parse_lines(batch: RawBatch) -> Parsed:
    """Parse every line of the batch into ticks and rejects."""
    text = Text(batch.payloads)
    lines, payload, number = _split(text, batch)
    empty = np.flatnonzero(np.bincount(payload, minlength=len(batch.lengths)) == 0)
    rejected = [
        Rejected(int(i), 0, b"", "empty_payload", "the datagram or body holds no line")
        for i in empty.tolist()
    ]
    rows, unread, skipped = no_rows(), Counter[str](), Counter[str]()
    for dialect, selected in _by_dialect(batch, text, lines, payload):
        part = lines.at(selected)
        parsed, refused, void_count = _parse(
            batch, text, part, payload[selected], number[selected], dialect
        )
        rows = joined(rows, parsed)
        if void_count:
            skipped["void"] += void_count
        rejected += refused
        if dialect.layout is not None:
            unread.update(dict.fromkeys(dialect.layout.unread, len(part.start)))
    rejected.sort(key=lambda reject: (reject.payload, reject.line))
    return Parsed(rows, rejected, skipped=skipped, unread=unread)


def _split(text: Text, batch: RawBatch) -> tuple[Spans, Int64s, Int64s]:
    """Return the spans of all nonblank lines, their payloads and line numbers."""
    payload_end = np.cumsum(batch.lengths)
    newline = np.flatnonzero(text.bytes == _NEWLINE)
    # A line ends at a newline or at the end of its payload; of equal ends the payload's is first.
    ends = np.concatenate([payload_end * 2, newline * 2 + 1])
    ends.sort(kind="stable")  # merge of two sorted runs
    end, of_payload = ends >> 1, (ends & 1) == 0
    start = np.concatenate([[0], end[:-1] + (ends[:-1] & 1)])
    # The payload number increases at each payload end.
    payload = np.concatenate([[0], np.cumsum(of_payload)[:-1]])
    first_line = np.concatenate([[0], np.flatnonzero(of_payload)[:-1] + 1])
    number = np.arange(len(ends)) - first_line[payload] if len(ends) else payload
    if BYTE_ORDER_MARK[0] in batch.payloads:  # a byte is found ten times as fast
        marked = start[first_line]
        marked = np.array(
            [batch.payloads.startswith(BYTE_ORDER_MARK, at) for at in marked.tolist()]
        )
        start[first_line[marked]] += len(BYTE_ORDER_MARK)
    if len(text.bytes):
        end -= (end > start) & (text.bytes[end - 1] == _RETURN)
    filled = end > start
    return Spans(start[filled], end[filled]), payload[filled], number[filled]


def _by_dialect(
    batch: RawBatch, text: Text, lines: Spans, payload: Int64s
) -> list[tuple[Dialect, Int64s | slice]]:
    """Return the dialects of the payloads, each with its line numbers."""
    decimal_comma = batch.format == FORMAT_CSV_DECIMAL_COMMA
    first = np.flatnonzero(np.diff(payload, prepend=-1))
    comments = (text.byte(lines.start[first]) == _HASH) | (
        text.byte(lines.start[first] + len(b"sep")) == _EQUALS
    )
    headers: dict[int, bytes] = {}
    for n in np.flatnonzero(comments).tolist():
        rows = range(int(first[n]), int(np.searchsorted(payload, payload[first[n]], "right")))
        at, headers[rows[at]] = first_of(text.cut(lines, row) for row in rows)
        first[n] = rows[at]
    irregular = first
    if not decimal_comma and b";" not in batch.payloads and b"\t" not in batch.payloads:
        # A header's second field is a name, where a tick has a price.
        second = text.byte(text.commas[np.searchsorted(text.commas, lines.start[first])] + 1)
        irregular = first[(second < _PLUS) | (second > _NINE) | (second == _COMMA)]
    if not len(irregular):
        return [(PLAIN, slice(None))] if len(payload) else []
    dialects = {PLAIN: 0}
    of_payload = np.zeros(len(batch.lengths), dtype=np.int64)
    header = np.zeros(len(payload), dtype=bool)
    for row in irregular.tolist():
        line = headers.get(row, b"") or text.cut(lines, row)
        dialect = dialect_of(line, decimal_comma=decimal_comma)
        of_payload[payload[row]] = dialects.setdefault(dialect, len(dialects))
        header[row] = dialect.header is not None
    of_line = np.where(header, -1, of_payload[payload])
    groups = [(dialect, np.flatnonzero(of_line == i)) for dialect, i in dialects.items()]
    return [(dialect, selected) for dialect, selected in groups if len(selected)]


def _parse(
    batch: RawBatch, text: Text, lines: Spans, payload: Int64s, number: Int64s, dialect: Dialect
) -> tuple[Rows, list[Rejected], int]:
    """Parse lines of one dialect; also return the number of void ones."""
    rows, plain = no_rows(), np.zeros(len(payload), dtype=bool)
    if len(payload) > FEW:
        rows, plain = _parse_plain(batch, text, lines, payload, number, dialect)
    rejected = []
    parsed = []
    parsed_rows = []
    void_count = 0
    for row in np.flatnonzero(~plain).tolist():
        original = text.cut(lines, row)
        try:
            parsed.append(parse_line(original, dialect))
            parsed_rows.append(row)
        except VoidLineError:
            void_count += 1
        except RejectedLineError as error:
            if original == dialect.header:  # a header of a further table
                continue
            position = int(payload[row]), int(number[row])
            whole = _with_header(original, dialect)
            rejected.append(Rejected(*position, whole, error.code, str(error)))
    if parsed_rows:
        rows = joined(rows, from_lines(parsed, payload[parsed_rows], number[parsed_rows]))
    return rows, rejected, void_count


def _parse_plain(
    batch: RawBatch, text: Text, lines: Spans, payload: Int64s, number: Int64s, dialect: Dialect
) -> tuple[Rows, Bools]:
    """Parse the regular lines; return their rows and which lines those are."""
    numbers = text
    if dialect.delimiter != ",":
        table = _TRANSLATED[dialect.delimiter, dialect.decimal_comma]
        numbers = Text(batch.payloads.translate(table))
    first = np.searchsorted(numbers.commas, lines.start)
    commas = np.searchsorted(numbers.commas, lines.end) - first

    @cache
    def end(k: int) -> Int64s:
        return np.where(commas > k, numbers.commas.take(first + k, mode="clip"), lines.end)

    def field(column: Field) -> Spans:
        """Return the span of a column in each line; empty where the line is too short."""
        k = dialect.places[COLUMNS.index(column)]
        if k < 0:
            return Spans(lines.end, lines.end)
        return Spans(np.minimum(end(k - 1) + 1, lines.end) if k else lines.start, end(k))

    symbols, prices, sizes, times, sides, ids, conditions = map(field, COLUMNS)
    minus = numbers.byte(prices.start) == _MINUS
    if minus.any():
        prices = Spans(prices.start + minus, prices.end)
    price, price_scale, price_ok = numbers.decimals(prices)
    size, size_scale, size_ok = numbers.decimals(sizes)
    time, _, time_ok = numbers.decimals(times, point=False)
    time_us, in_range = scaled_us(time)
    no_time = times.length == 0
    side = text.equal(sides, _SIDES_OF.get(dialect.side, _SIDES))
    trade_id, _, digits = text.decimals(ids, point=False)
    id_length = ids.length
    leading_zero = (id_length > 1) & (text.byte(ids.start) == _ZERO)
    integer = digits & ~leading_zero & (id_length <= 18)
    kind = np.where(id_length == 0, NO_ID, np.where(integer, INTEGER_ID, TEXT_ID))
    plain = (commas >= 1) & (commas < dialect.width)
    plain &= dialect.is_regular
    plain &= (symbols.length >= 1) & (symbols.length <= MAX_SYMBOL_BYTES)
    plain &= price_ok
    plain &= size_ok | (sizes.length == 0)
    plain &= no_time | (time_ok & in_range & (time_us >= EARLIEST_US))
    plain &= side >= 0
    plain &= id_length <= MAX_TRADE_ID_BYTES
    if b'"' in batch.payloads:  # a delimiter may stand between quotes, in any column
        quote = np.flatnonzero(text.bytes == _QUOTE)
        plain &= np.searchsorted(quote, lines.start) == np.searchsorted(quote, lines.end)
    texts = _text_ids(text, ids, kind, plain)

    names, symbol = good_symbols(text, symbols, plain)
    rows = slice(None) if plain.all() else np.flatnonzero(plain)
    return Rows(
        names,
        symbol,
        np.where(minus, -price, price)[rows] if minus.any() else price[rows],
        price_scale[rows],
        np.where(sizes.length == 0, 0, size)[rows],
        size_scale[rows],
        np.where(no_time, -1, time_us)[rows],
        side[rows].astype(np.uint8),
        kind[rows].astype(np.uint8),
        np.where(kind == INTEGER_ID, trade_id, 0)[rows],
        None if texts is None else texts[rows],
        payload[rows],
        number[rows],
        conditions=_conditions(text, conditions.at(rows)),
    ), plain


def _conditions(text: Text, spans: Spans) -> Texts | None:
    """Extract the conditions, each distinct text once; None if no line has any."""
    if not spans.length.any():
        return None
    one_each, number = text.distinct(spans)
    texts = [text.cut(spans, row).decode(errors="replace") for row in one_each.tolist()]
    columns: Texts = np.array(texts, dtype=object)[number]
    return columns


def _text_ids(text: Text, ids: Spans, kind: Int64s, plain: Bools) -> Texts | None:
    """Extract text trade ids; lines with an id of other than printable ASCII are not regular."""
    rows = np.flatnonzero(plain & (kind == TEXT_ID))
    if not len(rows):
        return None
    texts = np.full(len(plain), "", dtype=object)
    for row in rows.tolist():
        id_ = text.cut(ids, row).decode("latin-1")
        if id_.isascii() and id_.isprintable() and absent(id_.strip()) == id_:
            texts[row] = id_
        else:
            plain[row] = False
    return texts


def _with_header(line: bytes, dialect: Dialect) -> bytes:
    """Return a line with its header, without which it could not be parsed again."""
    return line if dialect.header is None else dialect.header + b"\n" + line


def line_at(batch: RawBatch, payload: int, number: int) -> bytes:
    """Return a line as received, after the header of its payload if there is one."""
    decimal_comma = batch.format == FORMAT_CSV_DECIMAL_COMMA
    lines, dialect = _lines_of(payload_at(batch, payload), decimal_comma=decimal_comma)
    return _with_header(lines[number], dialect)


@lru_cache(maxsize=1)
def _lines_of(payload: bytes, *, decimal_comma: bool) -> tuple[list[bytes], Dialect]:
    """Return the lines of a payload, of which many may be refused, and its dialect."""
    content = payload.removeprefix(BYTE_ORDER_MARK)
    lines = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    _, first = first_of(filter(None, lines))
    return lines, dialect_of(first, decimal_comma=decimal_comma)
