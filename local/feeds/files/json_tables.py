"""Trades in JSON: objects, one per line or in an array, and freqtrade's rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from local.feeds.files.blocks import BATCH_ROWS, Tables, line_blocks, numbered
from local.feeds.files.errors import FileError, excerpt
from local.feeds.files.event_kinds import tell_trades
from local.feeds.files.layouts import (
    FIELDS,
    MAKER,
    Choice,
    Layout,
    layout_of_names,
    needed,
)
from local.feeds.files.opening import Part
from shared.inputs.objects.fields import Field, layout_of
from shared.inputs.text.dialects import COLUMNS

_BLANKS: Final = " \t\v\f\ufeff"
"""Characters stripped from lines; concatenated files contain byte order marks."""
_SIDE: Final = COLUMNS.index(Field.SIDE)
_FREQTRADE_ROW: Final = ("timestamp", "id", "type", "side", "price", "amount", "cost")

_ONE_A_LINE: Final = "write one trade a line, for instance with jq -c '.results[]'"
_BY_OBJECT: Final = "JSON"
_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_lines(part: Part, choice: Choice) -> Tables:
    """Read one object per line; numbers stay text. Raises FileError."""
    blocks = line_blocks(part)
    first = next(blocks)
    everything = chain([first], blocks)
    layout = _layout(part, list(_objects(part, _filled(first)[:1000].to_pylist())), choice)
    if layout.name == _BY_OBJECT:
        return layout, numbered(_json_tables(part, everything))
    texts = (text for lines in everything for text in _filled(lines).to_pylist())
    return layout, numbered(tables_of(_objects(part, texts), needed(layout)))


def _layout(part: Part, objects: Sequence[Mapping[str, object]], choice: Choice) -> Layout:
    """Return the layout by the first objects; they may differ, where only their names tell it."""
    _check_messages(part, objects)
    names = list(dict.fromkeys(name for each in objects for name in each))
    if not choice.columns and Field.PRICE not in layout_of(tuple(names)).places:
        pairs = (pair for each in objects for pair in each.items())
        if key := next((key for key, each in pairs if each and isinstance(each, dict | list)), ""):
            raise FileError(f"{part}: its trades are nested in {key!r}: {_ONE_A_LINE}")
    seen = layout_of_names(part.name, names, choice)
    if choice.columns or seen.ids_within or seen.conditions_of or seen.unit:
        return seen
    columns = {name: name for name in FIELDS}
    told = {kind for kind in seen.kinds if tell_trades(str(each.get(kind)) for each in objects)}
    unread = [*seen.unread, *sorted(told.difference(seen.unread))]
    return Layout(_BY_OBJECT, columns, symbol=seen.symbol, unread=unread)


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


def _json_tables(part: Part, blocks: Iterator[pa.Array]) -> Iterator[pa.Table]:
    """Read objects, those of a block at once if they are alike; numbers stay text."""
    number = 1
    for lines in map(_filled, blocks):
        texts = lines.to_pylist()
        if objects := _alike(texts):
            yield _columns(objects)
        else:
            rows = _objects(part, texts, number)
            yield from tables_of(map(_fields, rows), FIELDS)
        number += len(texts)


def _alike(texts: Sequence[str]) -> list[dict[str, msgspec.Raw]]:
    """Return flat objects of the same names without escapes; none if the lines are others."""
    body = "\n".join(texts)
    if "\\" in body or body.count("{") > len(texts) or body.count("[") > body.count("[]"):
        return []
    try:
        objects = [_decode(text) for text in texts]
    except (msgspec.DecodeError, RecursionError):
        return []
    return objects if len(set(map(tuple, objects))) == 1 else []


def _columns(objects: Sequence[Mapping[str, msgspec.Raw]]) -> pa.Table:
    """Return the fields of objects with the same names."""
    empty = pa.array([""] * len(objects), pa.string())
    columns = []
    for keys in _keys_of(tuple(objects[0])):
        column = empty
        for key in reversed(keys):
            raw = pa.array([bytes(each[key]) for each in objects], pa.string())
            value = pc.utf8_trim(pc.if_else(pc.equal(raw, "null"), "", raw), '"')
            column = value if key == keys[-1] else pc.if_else(pc.equal(value, ""), column, value)
        columns.append(column)
    maker, side = columns.pop(), columns[_SIDE]
    sold = pc.is_in(maker, pa.array(list(MAKER)))
    derived = pc.if_else(sold, "sell", pc.if_else(pc.equal(maker, ""), "", "buy"))
    columns[_SIDE] = pc.if_else(pc.equal(side, ""), derived, side)
    return pa.table(columns, FIELDS)


@lru_cache(maxsize=1024)
def _keys_of(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the names of each field, in the order of FIELDS, and of the maker flag."""
    keys_of = layout_of(names).places
    return tuple(keys_of.get(field, ()) for field in (*COLUMNS, Field.BUYER_MAKER))


def read_array(part: Part, choice: Choice) -> Tables:
    """Read an array of objects, or of freqtrade's rows; numbers stay text."""
    try:
        parsed = json.loads(part.stream.read(), parse_float=str, parse_int=str, parse_constant=str)
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
    if layout.name == _BY_OBJECT:
        return layout, numbered(tables_of(map(_fields, everything), FIELDS))
    return layout, numbered(tables_of(everything, needed(layout)))


def _fields(trade: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of one object by our names."""
    keys_of = layout_of(tuple(trade)).places
    fields: dict[str, object] = {}
    for name, field in zip(FIELDS, COLUMNS, strict=True):
        values = (trade[key] for key in keys_of.get(field, ()))
        fields[name] = next((value for value in values if value not in (None, "")), None)
    if fields["side"] is None and (flags := keys_of.get(Field.BUYER_MAKER)):
        maker = next((trade[key] for key in flags if trade[key] not in (None, "")), None)
        fields["side"] = None if maker is None else MAKER.get(str(maker), "buy")
    return fields


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
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _objects(part: Part, lines: Iterable[str], first: int = 1) -> Iterator[dict[str, object]]:
    for number, line in enumerate(lines, first):
        try:
            parsed = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
        except (ValueError, RecursionError) as error:
            hint = f"; {_ONE_A_LINE}" if number == 1 else ""
            raise FileError(f"{part}: row {number} is not JSON: {error}{hint}") from None
        if not isinstance(parsed, dict):
            raise FileError(f"{part}: row {number} is not an object: {excerpt(line)}")
        if isinstance(head := parsed.get("hd"), dict):  # Databento's
            parsed |= head
        yield parsed
