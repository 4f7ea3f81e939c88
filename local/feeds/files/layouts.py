"""Layouts: mapping of a table's columns to trade fields, with their notation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import chain
from typing import Any, Final

from local.feeds.files import symbols
from local.feeds.files.errors import FileError, UnknownLayoutError
from local.feeds.files.event_kinds import names_a_kind
from local.feeds.files.time_columns import is_time_number, may_be_time, names_a_time
from shared.inputs.objects.fields import Field, layout_of
from shared.inputs.objects.trades import SIDES
from shared.inputs.text.dialects import COLUMNS
from shared.market.symbols import is_time

FIELDS: Final = ("symbol", "price", "size", "time", "side", "trade_id", "conditions")
"""The fields of an input line, in order."""
UNITS: Final = {
    "s": Decimal(1_000_000), "ms": Decimal(1_000), "us": Decimal(1), "ns": Decimal("0.001")
}  # fmt: skip
"""Microseconds per unit."""

_SIDE: Final = FIELDS.index("side")


@dataclass(frozen=True, slots=True)
class Layout:
    """Layout of a table of trades.

    `columns`: field -> column name. `unit`: of numeric times; empty: by magnitude.
    `price_decimals`: decimal places of integer prices; 0: plain prices. `side`: the field of the
    side column. `kinds`: columns that may say the kind of an event, so that rows of others than
    trades are left out. `symbol_of`: instrument from the file name. `symbol`: instrument of all
    rows. `mid_of`: bid and ask columns of quotes whose mid is the price. `midnight`: time zone and
    date (YYYYMMDD) from whose midnight times count. `notation`: how its times are read, where they
    are ambiguous. The others are as in shared/inputs/objects/fields.py.
    """

    name: str
    columns: Mapping[str, str]
    header: bool = True
    names: Sequence[str] = ()
    unit: str = ""
    price_decimals: int = 0
    nano_prices: str = ""
    side: Field = Field.SIDE
    left_out: Mapping[str, str] = field(default_factory=dict)
    kinds: Sequence[str] = ()
    symbol_of: Callable[[str], str | None] | None = None
    symbol: str | None = None
    midnight: tuple[str, str] | None = None
    conditions_of: str = ""
    mid_of: tuple[str, str] | None = None
    ids_within: Sequence[str] = ()
    tape: str = ""
    date: str = ""
    notation: str = ""
    unread: Sequence[str] = ()

    def describe(self) -> str:
        """Return the layout in one line."""
        parts = [f"{name}={column or 'column 1'}" for name, column in self.columns.items()]
        if self.unit and "time" in self.columns:
            parts = [f"{each}:{self.unit}" if each.startswith("time=") else each for each in parts]
        if self.symbol:
            parts.insert(0, f"symbol is {self.symbol}")
        if self.midnight:
            parts.append(f"times since midnight of {self.midnight[1]} in {self.midnight[0]}")
        if self.date:
            parts.append(f"date={self.date}")
        if self.notation:
            parts.append(self.notation)
        if self.unread:
            parts.append(f"not read: {', '.join(self.unread)}")
        return f"{self.name}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class Choice:
    """User options for a file. `columns`: field -> column, with `unit` for the time."""

    symbol: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    zone: str = ""


def parse_columns(text: str) -> tuple[dict[str, str], str]:
    """Parse `symbol=pair,price=px,time=ts:us`. Return columns and the time's unit.

    Raises FileError that names the fix.
    """
    columns: dict[str, str] = {}
    unit = ""
    for each in filter(None, (part.strip() for part in text.split(","))):
        name, equals, column = each.partition("=")
        if not equals or name not in (*FIELDS, "date") or not column:
            fields = ", ".join((*FIELDS, "date"))
            raise FileError(f"--columns: {each!r} is not FIELD=COLUMN; fields: {fields}")
        if name == "time" and column.rpartition(":")[2] in UNITS:
            column, _, unit = column.rpartition(":")
        columns[name] = column
    if "date" in columns and unit:
        raise FileError(
            f"--columns: date=... is for times of day, time=...:{unit} for times since 1970:"
            " leave out one of the two"
        )
    return columns, unit


_BINANCE: Final = (
    "id price qty quote_qty time is_buyer_maker is_best_match",
    "agg_trade_id price quantity first_trade_id last_trade_id transact_time is_buyer_maker"
    " is_best_match",
)
_NINJATRADER: Final = {3: "time last volume", 5: "time last bid ask volume"}
_PLAIN: Final = Layout("csv", {name: name for name in FIELDS}, header=False, names=FIELDS)
_LEAN_FOREX: Final = "time bid ask"
_LEAN_CRYPTO: Final = "time price size"
_LEAN: Final = "time price size exchange conditions suspicious"
_LEAN_MEMBER: Final = re.compile(
    r"(?P<date>\d{8})_(?P<symbol>[^_]+)_(?P<kind>.+?)(?:_(?P<contract>\d{6,8}))?\.csv", re.ASCII
)
_LEAN_ARCHIVE: Final = re.compile(r"(?P<symbol>[^-]+)-(?P<date>\d{8})-(?P<kind>[a-z]+)\.(csv|zip)")


def layout_of_rows(
    name: str, archive: str, rows: Sequence[Sequence[str]], choice: Choice
) -> Layout:
    """Detect the layout of a table from its file name and first rows.

    Raises UnknownLayoutError that names the option to set.
    """
    layout = (
        _by_option(rows[0], choice)
        or _lean(name, archive, rows, choice)
        or _by_header([each.strip() for each in rows[0]])
        or _by_position(name, rows)
    )
    if layout is None and not choice.columns:
        raise UnknownLayoutError(
            f"{name}: cannot tell which column is which; its first row is"
            f" {','.join(rows[0])[:120]!r}. Say it with --columns symbol=...,price=...,time=...:ms"
            f" (by the names of a header, or by number, 1 to {len(rows[0])}, where there is none)"
        )
    layout = layout or Layout("table", {})
    names = [each.strip() for each in rows[0]] if layout.header else layout.names
    if "time" not in layout.columns and names[0] == "" and may_be_time(rows[-1][0].strip()):
        layout = replace(layout, columns={**layout.columns, "time": ""})  # the index of pandas
    layout = chosen(layout, choice, names, name)
    unread = zip(names, map(str.strip, rows[-1] if layout.header else ()), strict=False)
    _check_time(name, layout, [n for n, cell in unread if may_be_time(cell)])
    return layout


def _by_option(first: Sequence[str], choice: Choice) -> Layout | None:
    """Return a layout for user columns, by number, or by names of a header."""
    requested = set(choice.columns.values())
    numbers = tuple(str(n) for n in range(1, len(first) + 1))
    if requested and requested <= set(numbers):
        return Layout("table", {}, header=False, names=numbers)
    if requested and requested <= {each.strip() for each in first} and _by_header(first) is None:
        return Layout("table", {})
    return None


def layout_of_names(name: str, names: Sequence[str], choice: Choice) -> Layout:
    """Return the layout of a table with column names. Raises UnknownLayoutError."""
    layout = _by_header(names)
    if layout is None and not choice.columns:
        raise UnknownLayoutError(
            f"{name}: no columns of a price and a time among {', '.join(names)[:200]}:"
            " say which with --columns symbol=...,price=...,time=...:ms"
        )
    return chosen(layout or Layout("table", {}), choice, names, name)


def chosen(layout: Layout, choice: Choice, names: Sequence[str], name: str) -> Layout:
    """Apply the user's options to a layout; require an instrument."""
    kinds = {*filter(names_a_kind, names)} - {*choice.columns.values(), *layout.left_out}
    layout = replace(layout, kinds=sorted(kinds))
    if choice.columns:
        columns = {**layout.columns, **choice.columns}
        layout = replace(layout, date=columns.pop("date", "" if choice.unit else layout.date))
        if unknown := [each for each in choice.columns.values() if each not in names]:
            raise UnknownLayoutError(
                f"{name}: --columns names {unknown[0]!r}; the columns are {', '.join(names)[:200]}"
            )
        unread = [each for each in layout.unread if each not in choice.columns.values()]
        layout = replace(layout, columns=columns, unit=choice.unit or layout.unit, unread=unread)
    symbol = choice.symbol
    if symbol is None and "symbol" not in layout.columns and layout.symbol is None:
        of_name = (layout.symbol_of, symbols.of_freqtrade, symbols.of_binance)
        symbol = next(filter(None, (each(name) for each in of_name if each)), None)
        if symbol is None:
            raise UnknownLayoutError(
                f"{name}: neither a column nor the file's name says which instrument this is:"
                " give it with --symbol"
            )
    if layout.date and "time" not in layout.columns:
        raise UnknownLayoutError(
            f"{name}: date={layout.date} needs a time of day: add time=... to --columns, or name"
            " the column by time=... if it has both"
        )
    if "price" not in layout.columns:
        raise UnknownLayoutError(f"{name}: no column is the price: say it with --columns price=...")
    _check_time(name, layout, [each for each in layout.unread if names_a_time(each)])
    return layout if symbol is None else replace(layout, symbol=symbol)


def _check_time(name: str, layout: Layout, candidates: Sequence[str]) -> None:
    """Raise UnknownLayoutError if no column is the time and an unread one may be."""
    if "time" not in layout.columns and any(each in layout.unread for each in candidates):
        raise UnknownLayoutError(
            f"{name}: no column is known to be the time, among {', '.join(layout.unread)[:200]}:"
            " say it with --columns time=..."
        )


def needed(layout: Layout) -> list[str]:
    """Return the columns to read."""
    others = (
        *layout.left_out,
        *layout.kinds,
        *layout.ids_within,
        *filter(None, (layout.date, layout.tape)),
    )
    return list(dict.fromkeys([*layout.columns.values(), *others]))


def _by_header(names: Sequence[str]) -> Layout | None:
    """Return a layout by column names, None if they are not those of trades."""
    if any(each.strip()[:1].isdigit() for each in names):
        return None
    found = layout_of(tuple(names), is_table=True)
    if Field.PRICE not in found.places:
        return None
    side = next((each for each in SIDES if each in found.places), Field.SIDE)
    fields = (side if each is Field.SIDE else each for each in COLUMNS)
    pairs = zip(FIELDS, fields, strict=True)
    of_objects = (found.places.get(each, ()) for each in (Field.SIGNED_SIZE, Field.IS_BLOCK))
    return Layout(
        "table",
        {name: found.places[each][0] for name, each in pairs if each in found.places},
        nano_prices=found.nano_prices,
        side=side,
        left_out=found.left_out,
        conditions_of=found.conditions_of,
        ids_within=found.ids_within,
        tape=found.tape if found.tape in names else "",
        date=found.date,
        unread=[*found.unread, *chain.from_iterable(of_objects)],
    )


def _headless(name: str, names: str, **other: Any) -> Layout:
    """Return the layout of columns in the order of these names."""
    found = _by_header(names.split()) or Layout("", {})
    return replace(found, name=name, header=False, names=names.split(), unread=(), **other)


def _by_position(name: str, rows: Sequence[Sequence[str]]) -> Layout | None:
    """Return a layout of a table without a header, by the form of its first row."""
    row = [each.strip() for each in rows[0]]
    numeric = [_is_number(each) for each in row]
    for names in _BINANCE:
        last = names.split().index("is_buyer_maker")
        if (
            len(row) - last in (1, 2)
            and all(numeric[:last])
            and row[last].lower() in ("true", "false")
        ):
            return _headless("Binance trades", names, symbol_of=symbols.of_binance)
    if (
        len(row) in _NINJATRADER
        and re.fullmatch(r"\d{8} \d{6}( \d{7})?", row[0])
        and all(numeric[1:])
    ):
        names = _NINJATRADER[len(row)]
        return _headless("NinjaTrader ticks", names, symbol_of=symbols.of_ninjatrader)
    if len(row) == 3 and all(numeric):
        is_bitcoincharts = symbols.of_bitcoincharts(name) is not None
        symbol_of = symbols.of_bitcoincharts if is_bitcoincharts else symbols.of_pair
        vendor = "bitcoincharts" if is_bitcoincharts else "Kraken"
        names = "timestamp price volume"
        return _headless(f"{vendor} trades", names, unit="s", symbol_of=symbol_of)
    if 2 <= len(row) <= len(FIELDS) and numeric[1]:
        # A symbol may be a number (600519): the side column then identifies it.
        is_sided = len(row) > _SIDE and row[_SIDE].lower() in ("buy", "sell")
        is_symbol = (not numeric[0] and not is_time(row[0])) or is_sided
        return _PLAIN if is_symbol and not is_time_number(row[1]) else None
    return None


def _lean(name: str, archive: str, rows: Sequence[Sequence[str]], choice: Choice) -> Layout | None:
    match = _LEAN_MEMBER.fullmatch(name) or _LEAN_ARCHIVE.fullmatch(archive)
    if match is None or not all(_is_number(each) for each in rows[0][:3]):
        return None
    kind = match["kind"].lower()
    width = len(rows[0])
    is_forex = "quote" in kind and "tick" in kind and width == len(_LEAN_FOREX.split())
    if not is_forex and ("quote" in kind or ("tick" not in kind and kind != "trade")):
        raise FileError(f"{name}: holds {kind}, not trade ticks")
    contract = match.groupdict().get("contract") or ""
    symbol = match["symbol"].upper() + contract
    zone = "UTC"
    if is_forex:
        columns = {"time": "time", "price": "bid"}
        layout = _headless("Lean forex quotes, their middle", _LEAN_FOREX, columns=columns)
        layout, symbol = replace(layout, mid_of=("bid", "ask")), f"{symbol}.MID"
    elif width == len(_LEAN_CRYPTO.split()):
        layout = _headless("Lean crypto ticks", _LEAN_CRYPTO)
        symbol = symbols.split_pair(symbol) or symbol
    else:
        zone, decimals = "America/New_York", 0 if contract else 4
        layout = _headless("Lean ticks", _LEAN, conditions_of="lean", price_decimals=decimals)
    return replace(layout, symbol=symbol, midnight=(choice.zone or zone, match["date"]))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text.strip()) is not None
