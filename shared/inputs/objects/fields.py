"""Field names of trades in JSON and in CSV headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final


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
    Field.BID: "bid bid_price best_bid best_bid_price",
    Field.ASK: "ask ask_price best_ask best_ask_price",
    Field.BID_SIZE: "bid_size bid_qty best_bid_size bid_volume bidsz best_bid_amount",
    Field.ASK_SIZE: "ask_size ask_qty best_ask_size ask_volume asksz best_ask_amount",
}
"""By field, the one that counts where several are there first. Letter case, blanks, _ and - do not
matter, but in names of one letter."""

_LETTERS: Final[tuple[tuple[str, Mapping[str, Field | None]], ...]] = (
    ("siptimestamp", {}),
    ("participanttimestamp conditions", {"conditions": None}),
    ("ev pair p s t", {"s": Field.SIZE, "t": Field.TIME, "c": None, "x": None}),
    ("ev p s t", {"s": Field.SIZE, "t": Field.TIME, "q": None, "x": None, "trfi": None}),
    ("s p t v", {"t": Field.TIME, "v": Field.SIZE}),
    (
        "T S t p s i",
        {"T": None, "S": Field.SYMBOL, "s": Field.SIZE, "t": Field.TIME, "x": None, "z": None},
    ),
    ("T t p s i", {"T": Field.SYMBOL, "s": Field.SIZE, "t": Field.TIME, "q": None, "x": None}),
    ("t x p s i", {"s": Field.SIZE, "t": Field.TIME, "x": None, "z": None}),
    ("s p q T t", {"t": Field.TRADE_ID}),
    ("s p q T a", {"a": Field.TRADE_ID}),
    ("s p v T S", {"v": Field.SIZE, "L": None, "bt": None}),
    ("p v S t", {"v": Field.SIZE, "t": Field.TIME, "S": Field.SIDE_NUMBER}),
    ("p v T t O M", {"v": Field.SIZE, "t": Field.TIME, "T": Field.SIDE_NUMBER, "O": None}),
    ("d t p q s i", {"s": Field.SIDE, "t": Field.TIME, "i": Field.SYMBOL, "d": Field.TRADE_ID}),
    (
        "b B a A",
        {"b": Field.BID, "B": Field.BID_SIZE, "a": Field.ASK, "A": Field.ASK_SIZE, "t": Field.TIME},
    ),
    (
        "microtimestamp buyorderid sellorderid type",
        {"type": Field.BUYER_MAKER, "amountstr": None, "pricestr": None},
    ),
    ("contract createtimems size", {"size": Field.SIGNED_SIZE}),
    ("feed productid qty uid", {"uid": Field.TRADE_ID, "seq": None}),
    ("exch last size session", {"last": Field.PRICE}),
)
"""What names mean beside others: trades of Polygon's and Finnhub's streams, Alpaca's, the REST APIs
of Polygon and Alpaca, Binance's `trade` and `aggTrade`, Bybit, MEXC spot and futures, Crypto.com,
book tickers of Binance and Gate, Bitstamp (`type` 1 sold), Gate's futures, Kraken's, Tradier's
`timesale`. None: no part of a tick, or read by its name (Polygon's `q` numbers its messages, its
`c` and `conditions` of crypto are the side)."""

POLYGON: Final = frozenset({"sip_timestamp", "participant_timestamp"})
"""Names that identify trades of Polygon's REST API and files; those of crypto lack the first."""
POLYGON_IDS: Final = ("exchange", "trf_id")
"""The scope of their ids: the exchange, and the reporting facility if any."""
VOID_CORRECTIONS: Final = frozenset({"7", "8", "10", "11", "12"})
"""Values of their `correction`, NYSE TAQ's trade correction indicator: an error (7), cancelled (8),
the records that say so (11, 10), and what a correction replaced (12)."""

_SCANNER: Final = frozenset({"prevprice", "mav10", "float", "delta", "multiplier"})
"""Names of the scanner: beside them `volume` is the day's."""

_ABOUT: Final = _SCANNER.union(
    ("cost", "fee", "fees", "info", "order", "orderid", "type", "ordtype", "ordertype"),
    ("takerormaker", "quoteqty", "quotequantity", "isbestmatch", "bestmatch"),
    ("localtimestamp", "topic", "data", "receivetime", "tsrecv", "e", "E", "M", ""),
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


@dataclass(frozen=True, slots=True)
class Layout:
    """Fields of a trade. `places[field]`: their names, in order of precedence.

    `unread`: unknown names that could be data. `venue_known`: whether the names identify a venue,
    so that one-letter names have its meaning.
    """

    places: Mapping[Field, tuple[str, ...]]
    unread: tuple[str, ...]
    venue_known: bool = False

    @property
    def date(self) -> str:
        """The column of dates beside one of times, which may have only the time of day."""
        by_name = {_named(name)[0]: name for name in self.places.get(Field.TIME, ())}
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
    letters = next((read for mark, read in _LETTERS if {*mark.split()} <= {*plain}), {})
    for number, (name, short) in enumerate(zip(names, plain, strict=True)):
        if name in names[:number] or (
            named[number][1] and short in plain[:number]
        ):  # a duplicate column, whose values are indistinguishable from the first
            unread.append(name)
        elif short in letters:
            if (meant := letters[short]) is not None:
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
        elif short not in _ABOUT and not (short == "volume" and is_scan):
            unread.append(name)
    if is_table and Field.PRICE not in names_of and "last" in plain:
        last = names[plain.index("last")]
        names_of[Field.PRICE] = [(0, last)]
        unread.remove(last)
    places = {field: tuple(name for _, name in sorted(each)) for field, each in names_of.items()}
    if is_table:  # which of them is the money, and which the size, differs by vendor
        unread += places.get(Field.SIZE, ())[1:]
    return Layout(places, tuple(unread), bool(letters))


def is_header(names: Iterable[str]) -> bool:
    """Whether the fields of a first line are a header: no number, and at least two known names."""
    plain = [_named(name)[0] for name in names]
    known_count = sum(name in _FIELDS for name in plain)
    return known_count >= 2 and not any(
        name[:1].isdigit() or name[:1] in "+-" for name in plain if name
    )
