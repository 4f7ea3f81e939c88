"""Field names of trades in JSON and in CSV headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from shared.inputs.conditions import POLYGON


class Field(StrEnum):
    """A field of a trade or quote."""

    SYMBOL = "symbol"
    PRICE = "price"
    SIZE = "size"
    TIME = "time"
    SIDE = "side"
    TRADE_ID = "trade id"
    CONDITIONS = "conditions"
    BUYER_MAKER = "buyer is maker"
    SIDE_NUMBER = "side number"
    SIGNED_SIZE = "signed size"
    TYPE = "type"
    BOOK_SIDE = "book side"
    IS_BLOCK = "is block"
    BID = "bid"
    ASK = "ask"
    BID_SIZE = "bid size"
    ASK_SIZE = "ask size"


_NAMES: Final[Mapping[Field, str]] = {
    Field.SYMBOL: "symbol ticker instrument instrument_name product_id s pair market inst_id sym"
    " currency_pair contract coin code",
    Field.PRICE: "price p px trade_price last_px",
    Field.SIZE: "size qty quantity q volume_of_trade sz trade_size last_qty trade_volume"
    " base_amount amount",
    Field.TIME: "time_ns timestamp_ns time_us timestamp_us microtimestamp time_ms timestamp_ms"
    " create_time_ms trade_timestamp timestamp time ts T datetime time_s date_time mts trade_time"
    " transact_time ts_event sip_timestamp participant_timestamp time_exchange event_time exec_time"
    " executed_at traded_at exchange_time match_time fill_time filled_at exec_date date trade_date"
    " created_time created_at create_time last_updated biddate quote_time s_t"
    " __index_level_0__",
    Field.SIDE: "side S taker_side aggressor aggressor_side direction",
    Field.TRADE_ID: "trade_id id tid agg_trade_id trd_match_id exec_id trade_report_id i"
    " sequential_id guid",
    Field.CONDITIONS: "conditions condition cond sale_condition sale_conditions c",
    Field.BUYER_MAKER: "is_buyer_maker buyer_maker m taker_side_sell",
    Field.TYPE: "type",
    Field.BOOK_SIDE: "ask_bid",
    Field.BID: "bid bid_price best_bid best_bid_price",
    Field.ASK: "ask ask_price best_ask best_ask_price",
    Field.BID_SIZE: "bid_size bid_qty best_bid_size bid_volume bidsz best_bid_amount",
    Field.ASK_SIZE: "ask_size ask_qty best_ask_size ask_volume asksz best_ask_amount",
}
"""By field, the one that counts where several are there first. Letter case, blanks, _ and - do not
matter, but in names of one letter."""


class _Vendor(NamedTuple):
    """A vendor's trades, identified by the names in `mark`.

    `means`: fields of names beside those; None: no part of a tick, or read by its name. The others
    are as in Layout, names in their plain form.
    """

    mark: str
    means: Mapping[str, Field | None] = {}
    ids_within: str = ""
    conditions_of: str = ""
    tape: str = ""
    left_out: Mapping[str, str] = {}
    nano_prices: str = ""


_S_T: Final = {"s": Field.SIZE, "t": Field.TIME, "x": None}
_POLYGON: Final[Mapping[str, Any]] = {
    "ids_within": "exchange trfid",
    "conditions_of": POLYGON,
    "left_out": {"correction": "^(7|8|10|11|12)$"},
}
"""Ids count within the exchange, and the reporting facility if any. `correction` is NYSE TAQ's
trade correction indicator: an error (7), cancelled (8), the records that say so (11, 10), and what
a correction replaced (12)."""
_ALPACA: Final[Mapping[str, Any]] = {
    "ids_within": "x",
    "tape": "z",
    "left_out": {"u": "^(canceled|incorrect)$"},
}
_DATABENTO: Final[Mapping[str, Any]] = {"left_out": {"action": "^[ACFMNR]?$"}}
_VENDORS: Final = (
    _Vendor("tsevent rtype action price size", nano_prices=r"^-?\d+$", **_DATABENTO),
    _Vendor("tsevent action price size", nano_prices=r"^-?\d{10,}$", **_DATABENTO),
    _Vendor("siptimestamp", **_POLYGON),
    _Vendor("participanttimestamp conditions", {"conditions": None}, **_POLYGON),
    _Vendor("participanttimestamp", **_POLYGON),
    _Vendor("ev pair p s t", {**_S_T, "c": None}, "x"),
    _Vendor("ev p s t", {**_S_T, "q": None, "trfi": None}, "x trfi", POLYGON),
    _Vendor("s p t v", {"t": Field.TIME, "v": Field.SIZE}),
    _Vendor("T S t p s i", {**_S_T, "T": None, "S": Field.SYMBOL, "z": None}, **_ALPACA),
    _Vendor("T t p s i", {**_S_T, "T": Field.SYMBOL, "q": None}, "x r", POLYGON),
    _Vendor("t x p s i q", {**_S_T, "q": None, "z": None}, "x r", POLYGON),
    _Vendor("t x p s i z", {**_S_T, "z": None}, **_ALPACA),
    _Vendor("t x p s i", _S_T, "x"),
    _Vendor("s p q T t", {"t": Field.TRADE_ID}),
    _Vendor("s p q T a", {"a": Field.TRADE_ID}),
    _Vendor("s p v T S", {"v": Field.SIZE, "L": None, "bt": Field.IS_BLOCK}),
    _Vendor("p v S t", {"v": Field.SIZE, "t": Field.TIME, "S": Field.SIDE_NUMBER}),
    _Vendor("p v T t O M", {"v": Field.SIZE, "t": Field.TIME, "T": Field.SIDE_NUMBER, "O": None}),
    _Vendor(
        "d t p q s i",
        {"s": Field.SIDE, "t": Field.TIME, "i": Field.SYMBOL, "d": Field.TRADE_ID},
    ),
    _Vendor(
        "b B a A",
        {"b": Field.BID, "B": Field.BID_SIZE, "a": Field.ASK, "A": Field.ASK_SIZE, "t": Field.TIME},
    ),
    _Vendor(
        "microtimestamp buyorderid sellorderid type",
        {"type": Field.BUYER_MAKER, "amountstr": None, "pricestr": None},
    ),
    _Vendor("contract createtimems size", {"size": Field.SIGNED_SIZE}),
    _Vendor("feed productid qty uid", {"uid": Field.TRADE_ID, "seq": None}),
    _Vendor("exch last size session", {"last": Field.PRICE}),
)
"""The first that fits counts: Databento, whole records and chosen columns; Polygon's REST API and
files, of stocks and of crypto (whose `conditions` are the side), its streams of crypto and stocks
(`q` numbers their messages); Finnhub's stream; Alpaca's stream; Polygon's REST API of one-letter
names, with and without the symbol; Alpaca's REST API, and its names without a tape; Binance's
`trade` and `aggTrade`; Bybit; MEXC spot and futures; Crypto.com; book tickers of Binance and Gate;
Bitstamp (`type` 1 sold); Gate's futures; Kraken's; Tradier's `timesale`."""

_SCANNER: Final = frozenset({"prevprice", "mav10", "float", "delta", "multiplier"})
"""Names of the scanner: beside them `volume` is the day's."""

_ABOUT: Final = _SCANNER.union(
    ("cost", "fee", "fees", "info", "order", "orderid", "ordtype", "ordertype"),
    ("takerormaker", "quoteqty", "quotequantity", "isbestmatch", "bestmatch"),
    ("firsttradeid", "lasttradeid"),
    ("localtimestamp", "topic", "data", "receivetime", "tsrecv", "hd", "e", "E", "M", ""),
)
"""Known names that are not part of a tick: derived amounts, order ids."""


def _plain(name: str) -> str:
    name = name.strip().strip("<>")
    return name if len(name) == 1 else re.sub(r"[\s_.-]", "", name).lower()


_UNIT: Final = re.compile(r"(.+?)\s*[(\[]([^()\[\]]*)[)\]]\s*")
_TIME_UNITS: Final = frozenset({"s", "sec", "ms", "us", "µs", "ns", "utc", "gmt", "unix", "epoch"})


def _named(name: str) -> tuple[str, bool]:
    """Return a name in its plain form, and whether a unit was left out: `Price (USD)` is `price`.

    A time stays unknown where what stands behind it may be another zone than UTC.
    """
    match = _UNIT.fullmatch(name)
    if match is None:
        return _plain(name), False
    bare = _plain(match[1])
    field, _ = _FIELDS.get(bare, (None, 0))
    if field is None or (field is Field.TIME and match[2].lower() not in _TIME_UNITS):
        return _plain(name), False
    return bare, True


_FIELDS: Final = MappingProxyType(
    {_plain(name): (field, rank) for field, names in _NAMES.items()
     for rank, name in enumerate(names.split())}
)  # fmt: skip


CLOCK: Final = r"\d\d:\d\d(:\d\d([.,]\d+)?)?|\d{6}"
"""A time of day: its date stands in another column."""

_OF_QUOTES: Final = frozenset({Field.BID, Field.ASK, Field.BID_SIZE, Field.ASK_SIZE})


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Fields of a trade. `places[field]`: their names, in order of precedence.

    `unread`: unknown names that could be data. `venue_known`: whether the names identify a venue,
    so that one-letter names have its meaning. `date`: the column of the date beside a time that may
    be only that of the day. `ids_within`: names of what a trade id counts within. `conditions_of`:
    whose sale conditions they are. `tape`: the name, where it is there, of the tape of those.
    `left_out`: name -> pattern of its values in what is no trade, or void. `nano_prices`:
    pattern of prices in units of 1e-9.
    """

    places: Mapping[Field, tuple[str, ...]]
    unread: tuple[str, ...]
    venue_known: bool = False
    date: str = ""
    ids_within: tuple[str, ...] = ()
    conditions_of: str = ""
    tape: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)
    nano_prices: str = ""


def _date_of(times: Iterable[str]) -> str:
    """Return the column of dates beside one of times, which may have only the time of day."""
    by_name = {_named(name)[0]: name for name in times}
    if next(iter(by_name), "") not in ("time", "timestamp", "tradetime", "exectime"):
        return ""
    dates = ("date", "tradedate", "execdate")
    return next((by_name[each] for each in dates if each in by_name), "")


@lru_cache(maxsize=4096)
def layout_of(names: tuple[str, ...], *, is_table: bool = False) -> Layout:
    """Return the layout of an object's or table's names.

    A table has trades only: columns of quotes are unread, `last` is the price where no other is,
    `volume` is a trade's, and `amount` beside it the money. In an object `volume` is the trade's
    only beside a side or a trade id (`id` alone may be the instrument's), and the day's without.
    """
    names_of: dict[Field, list[tuple[float, str]]] = {}
    unread = []
    named = [_named(name) for name in names]
    plain = [short for short, _ in named]
    is_scan = not _SCANNER.isdisjoint(plain)
    volume_is_size = is_table or any(
        _FIELDS.get(each, ("", 0))[0] in (Field.SIDE, Field.TRADE_ID) and each not in ("id", "i")
        for each in plain
    )
    vendor = next((each for each in _VENDORS if {*each.mark.split()} <= {*plain}), _Vendor(""))
    name_of = dict(zip(reversed(plain), reversed(names), strict=True))
    within = tuple(name_of[each] for each in vendor.ids_within.split() if each in name_of)
    left_out = {name_of[each]: p for each, p in vendor.left_out.items() if each in name_of}
    for number, (name, short) in enumerate(zip(names, plain, strict=True)):
        if name in names[:number] or (
            named[number][1] and short in plain[:number]
        ):  # a duplicate column, whose values are indistinguishable from the first
            unread.append(name)
        elif short in vendor.means:
            if (meant := vendor.means[short]) is not None:
                names_of.setdefault(meant, []).append((0, name))
        elif short in _FIELDS:
            field, rank = _FIELDS[short]
            if is_table and field in _OF_QUOTES:
                unread.append(name)
                continue
            names_of.setdefault(field, []).append((rank, name))
        elif short in ("volume", "vol") and volume_is_size and not is_scan:
            beside_amount = _FIELDS["amount"][1] + (-0.5 if is_table else 0.5)
            names_of.setdefault(Field.SIZE, []).append((beside_amount, name))
        elif short not in _ABOUT and not (
            (short == "volume" and is_scan) or name in (*within, *left_out, vendor.tape)
        ):
            unread.append(name)
    if is_table and Field.PRICE not in names_of and "last" in plain:
        last = names[plain.index("last")]
        names_of[Field.PRICE] = [(0, last)]
        left_out[last] = "^$"  # a quote among MetaTrader's ticks
        unread.remove(last)
    places = {each: tuple(name for _, name in sorted(found)) for each, found in names_of.items()}
    date = _date_of(places.get(Field.TIME, ()))
    if is_table:  # which of them is the money, and which the size, differs by vendor
        unread += places.get(Field.SIZE, ())[1:]
        places = {each: found[:1] for each, found in places.items()}
    return Layout(
        places,
        tuple(unread),
        bool(vendor.means),
        date if is_table else "",
        within,
        vendor.conditions_of,
        vendor.tape,
        left_out,
        vendor.nano_prices,
    )


def is_header(names: Iterable[str]) -> bool:
    """Whether the fields of a first line are a header: no number, and at least two known names."""
    plain = [_named(name)[0] for name in names]
    known_count = sum(name in _FIELDS for name in plain)
    return known_count >= 2 and not any(
        name[:1].isdigit() or name[:1] in "+-" for name in plain if name
    )
