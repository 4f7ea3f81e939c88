"""Trades in JSON: objects, one per line or in an array, and freqtrade's rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from local.feeds.files.blocks import BATCH_ROWS, Tables, line_blocks, numbered
from local.feeds.files.errors import FileError, excerpt
from local.feeds.files.layouts import FIELDS, Choice, Layout, layout_of_names, needed
from local.feeds.files.opening import Part
from shared.inputs.objects.fields import Field, layout_of
from shared.inputs.objects.trades import Texts, trade_of

_BLANKS: Final = " \t\v\f\ufeff"
"""Characters stripped from lines; concatenated files contain byte order marks."""
_FREQTRADE_ROW: Final = ("timestamp", "id", "type", "side", "price", "amount", "cost")

_ONE_A_LINE: Final = "write one trade a line, for instance with jq -c '.results[]'"
_STATUS, _VOID = "status", "void"
_decode: Final = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str).decode
_LEFT_OUT: Final = ("",) * len(FIELDS) + (_VOID,)


def read_lines(part: Part, choice: Choice) -> Tables:
    """Read one object per line; numbers stay text. Raises FileError."""
    texts = (text for lines in line_blocks(part) for text in _filled(lines).to_pylist())
    return _of_objects(part, _objects(part, texts), choice)


def _layout(part: Part, objects: Sequence[Mapping[str, object]], choice: Choice) -> Layout:
    """Return the layout by the first objects; they may differ, where only their names tell it."""
    _check_messages(part, objects)
    names = list(dict.fromkeys(name for each in objects for name in each))
    if not choice.columns and Field.PRICE not in layout_of(tuple(names)).places:
        pairs = (pair for each in objects for pair in each.items())
        if key := next((key for key, each in pairs if each and isinstance(each, dict | list)), ""):
            raise FileError(f"{part}: its trades are nested in {key!r}: {_ONE_A_LINE}")
    seen = layout_of_names(part.name, names, choice)
    if choice.columns:
        return seen
    unread = dict.fromkeys(name for each in objects for name in layout_of(tuple(each)).unread)
    return Layout(
        "JSON",
        {name: name for name in FIELDS},
        symbol=seen.symbol,
        kinds=seen.kinds,
        left_out={_STATUS: _VOID},
        unread=[*unread],
    )


def _check_messages(part: Part, objects: Sequence[Mapping[str, object]]) -> None:
    """Raise FileError for a WebSocket message, which field names of trades would misread."""
    for each in objects:
        if "product_id" in each and each.get("type") in ("match", "last_match", "ticker", "open"):
            feed = "coinbase"
        elif "e" in each and "E" in each and each["e"] not in ("trade", "aggTrade"):
            feed = "binance"
        else:
            continue
        raise FileError(
            f"{part}: holds messages of a WebSocket ({excerpt(each)}): POST them to /ingest with"
            f" Content-Type application/x-ndjson; feed={feed}"
        )


def _filled(lines: pa.Array) -> pa.Array:
    """Return the stripped lines, without blank ones."""
    lines = pc.utf8_trim(lines, _BLANKS)
    return lines.filter(pc.not_equal(lines, ""))


def read_array(part: Part, choice: Choice) -> Tables:
    """Read an array of objects, or of freqtrade's rows; numbers stay text."""
    try:
        content = part.stream.read()
        parsed = _decode(content.decode(json.detect_encoding(content)))
    except (ValueError, RecursionError) as error:
        raise FileError(f"{part}: is not JSON: {error}") from None
    if parsed and isinstance(parsed[0], list):
        names = _FREQTRADE_ROW[: len(parsed[0])]
        invalid = next((n for n, row in enumerate(parsed, 1) if len(row) != len(names)), None)
        if invalid is not None:
            raise FileError(f"{part}: row {invalid} has not {len(names)} values as the first")
        objects: Iterator[dict[str, object]] = (
            dict(zip(names, row, strict=True)) for row in parsed
        )
        return _of_objects(part, objects, choice)
    for number, each in enumerate(parsed, 1):
        if not isinstance(each, dict):
            raise FileError(f"{part}: element {number} is not an object: {excerpt(each)}")
    return _of_objects(part, iter(parsed), choice)


def _of_objects(part: Part, objects: Iterator[dict[str, object]], choice: Choice) -> Tables:
    first = list(islice(objects, 1000))
    everything, layout = chain(first, objects), _layout(part, first, choice)
    if choice.columns:
        return layout, numbered(tables_of(everything, needed(layout)))
    return layout, numbered(_by_object(everything, layout.kinds))


def _by_object(objects: Iterator[dict[str, object]], kinds: Sequence[str]) -> Iterator[pa.Table]:
    """Yield objects as tables of our fields, each by its own names."""
    while chunk := list(islice(objects, BATCH_ROWS)):
        columns = zip(*(_row(each, kinds) for each in chunk), strict=True)
        yield pa.table([pa.array(c, pa.string()) for c in columns], [*FIELDS, _STATUS, *kinds])


def _row(values: Mapping[str, object], kinds: Sequence[str]) -> tuple[str, ...]:
    texts = Texts((name, _text(value)) for name, value in values.items())
    trade = trade_of(texts.__getitem__, layout_of(tuple(values)))
    return (*(_LEFT_OUT if trade is None else (*trade, "")), *(texts[each] for each in kinds))


def tables_of(
    objects: Iterator[dict[str, object]], names: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Yield objects as text tables with the named columns, or those of the first object."""
    while chunk := list(islice(objects, BATCH_ROWS)):
        columns = names if names is not None else list(chunk[0])
        yield pa.table(
            {
                name: pa.array([_text(each.get(name)) for each in chunk], type=pa.string())
                for name in columns
            }
        )


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value)


def _objects(part: Part, lines: Iterable[str], first: int = 1) -> Iterator[dict[str, object]]:
    for number, line in enumerate(lines, first):
        try:
            parsed = _decode(line)
        except (ValueError, RecursionError) as error:
            hint = f"; {_ONE_A_LINE}" if number == 1 else ""
            raise FileError(f"{part}: row {number} is not JSON: {error}{hint}") from None
        if not isinstance(parsed, dict):
            raise FileError(f"{part}: row {number} is not an object: {excerpt(line)}")
        if isinstance(head := parsed.get("hd"), dict):  # Databento's
            parsed |= head
        yield parsed
