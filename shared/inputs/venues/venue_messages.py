"""Venue messages among JSON objects: nested trades and quotes, and their kinds.

A venue wraps its trades in objects and lists, with kind and symbol beside them. Its tickers, orders
and mark prices have a price under the same name as a trade.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from shared.inputs.objects.fields import Field, layout_of
from shared.inputs.text.line import BYTE_ORDER_MARK
from shared.inputs.venues.messages import NOTHING, payload_at, text_of
from shared.wire.raw_batch import RawBatch

Values = dict[str, msgspec.Raw]

_decode_object: Final = msgspec.json.Decoder(Values).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode

_WRAPPERS: Final = (
    *("data", "result", "contents", "params", "tick", "d", "message"),
    *("trades", "deals"),
)
_DEEPEST: Final = 4
_KINDS: Final = ("channel", "topic", "table", "type", "ch", "arg")
_SYMBOLS: Final = ("symbol", "s", "instId", "instrument_name", "product_id")
_STREAM: Final = r"(?:^|(?<!user)(?<!private)(?<!my)[\s._/@:])(?:{})s?(?=$|[\s._/@:])"
_OF_TRADES: Final = re.compile(_STREAM.format("(?:public)?(?:trade|deal|execution)"), re.IGNORECASE)
_OF_QUOTES: Final = re.compile(_STREAM.format("ticker|quote|bbo|book_?ticker"), re.IGNORECASE)
_OF_LIQUIDATIONS: Final = re.compile(_STREAM.format("(?:all)?liquidation"), re.IGNORECASE)
_DAY_VOLUME: Final = "acc_trade_volume"
"""A name that identifies tickers of Upbit and Bithumb: they repeat the last trade's price."""
_SYMBOL_OF_STREAM: Final = re.compile(r"market\.([^.]+)\.|(?:trades|executions)_(.+)|:([^:]*)$")
"""HTX's `market.btcusdt.trade.detail`, Bitstamp's `live_trades_btcusd`, KuCoin's and ours."""
_PRICES: Final = frozenset({Field.PRICE, Field.BID, Field.ASK})
_KRAKEN_TRADE: Final = ("price", "size", "time", "side")

_BINANCE_TRADES: Final = ("trade", "aggTrade")
_COINBASE_MATCHES: Final = ("match", "last_match")
_COINBASE_TICKERS: Final = ("ticker", "ticker_batch")
_COINBASE_ORDERS: Final = ("received", "open", "done", "change", "activate")
_KUCOIN_ORDERS: Final = ("received", "open", "done", "change", "update")


class Inner(NamedTuple):
    """An object in a message: element `line` of its lists, with its bytes in `original`.

    `original` is None if the message has no list. `symbol`: the message's, empty if it has none.
    `left_out`: its kind if it is neither trade nor quote. `side_is_maker`: whether `side` is the
    maker's.
    """

    values: Values
    symbol: str = ""
    line: int = 0
    original: bytes | None = None
    left_out: str = ""
    is_trade: bool = True
    side_is_maker: bool = False


class _Around(NamedTuple):
    """Stream and symbol stated around an object, and the path of names to it."""

    stream: str = ""
    symbol: str = ""
    path: tuple[str, ...] = ()

    def within(self, values: Values, wrapper: str) -> _Around:
        """Return the context of the content of `values[wrapper]`."""
        arg = bytes(values.get("arg", b""))
        argument = _decode_object(arg) if arg.startswith(b"{") else {}
        kinds = [text_of(values[name]) for name in _KINDS if name in values and name != "arg"]
        kinds.append(text_of(argument.get("channel", NOTHING)))
        fields = {**argument, **values}
        names = [text_of(fields[name]) for name in _SYMBOLS if name in fields]
        if "connection_id" in values and "id" in values:  # dYdX
            names.append(text_of(values["id"]))
        names += [self.symbol, *(_symbol_of(values, name) for name in ("topic", "channel", "ch"))]
        return _Around(
            " ".join(filter(None, (self.stream, *kinds, wrapper))),
            next(filter(None, names), ""),
            (*self.path, wrapper),
        )


def objects_of(message: Values) -> list[Inner]:
    """Return the objects of a message.

    Raises msgspec.DecodeError if it holds anything but trades or a quote: books and candles are
    lists too, and their rows have a price.
    """
    return [
        each._replace(line=line) for line, each in enumerate(_within(message, message, _Around()))
    ]


def object_at(batch: RawBatch, payload: int, line: int) -> bytes:
    """Return a message as received, or the element of its list."""
    message = payload_at(batch, payload)
    if not line and b"[" not in message:
        return message
    try:
        inner = objects_of(read_message(message))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return message
    return inner[line].original or message


def read_message(payload: bytes) -> Values:
    """Decode a message; a list of Kraken's first WebSocket API as an object of trades.

    Raises msgspec.DecodeError.
    """
    payload = payload.removeprefix(BYTE_ORDER_MARK)
    if not payload.startswith(b"["):
        return _decode_object(payload)
    parts = _decode_list(payload)
    if len(parts) != 4 or text_of(parts[2]) != "trade":
        raise msgspec.DecodeError("it is a list, and not one of Kraken's trades: send objects")
    rows = [_decode_list(raw) for raw in _decode_list(parts[1])]
    if any(len(row) < len(_KRAKEN_TRADE) for row in rows):
        raise msgspec.DecodeError(f"a trade of Kraken has {', '.join(_KRAKEN_TRADE)}")
    trades = [{"symbol": parts[3], **dict(zip(_KRAKEN_TRADE, row, strict=False))} for row in rows]
    return {"trades": msgspec.Raw(msgspec.json.encode(trades))}


def _within(
    message: Values, values: Values, around: _Around, original: bytes | None = None
) -> Iterator[Inner]:
    """Yield the objects nested in an object of the message, or itself."""
    wrapper = _wrapper_of(values) if len(around.path) < _DEEPEST else ""
    if not wrapper:
        yield _classified(message, values, around, original)
        return
    around = around.within(values, wrapper)
    content = bytes(values[wrapper])
    if content.startswith(b"{"):
        yield from _within(message, _decode_object(content), around, original)
        return
    if not _OF_TRADES.search(around.stream):
        raise msgspec.DecodeError(
            f"it is a list, and none of {', '.join(_KINDS)} says that it is of trades"
        )
    for raw in _decode_list(content):
        yield from _within(message, _decode_object(raw), around, bytes(raw))


def _wrapper_of(values: Values) -> str:
    """Return the name under which an object without a price holds others."""
    wrappers = (w for w in _WRAPPERS if w in values and bytes(values[w]).startswith((b"{", b"[")))
    wrapper = next(wrappers, "")
    if not wrapper:
        return ""
    return "" if _PRICES & layout_of(tuple(values)).places.keys() else wrapper


def _symbol_of(values: Values, name: str) -> str:
    """Return the symbol in the name of a stream: `stock:AAPL`, `live_trades_btcusd`."""
    stream = text_of(values[name]) if name in values else ""
    if match := _SYMBOL_OF_STREAM.search(stream):
        symbol = next(filter(None, match.groups()), "")
        # KuCoin's stream of all markets has the symbol in its subject.
        return text_of(values["subject"]) if symbol == "all" and "subject" in values else symbol
    is_kind = _OF_TRADES.search(stream) or _OF_QUOTES.search(stream)
    return stream if name == "topic" and not is_kind else ""


def _classified(message: Values, values: Values, around: _Around, original: bytes | None) -> Inner:
    """Classify an object by its own fields and those around it.

    Sources: Binance, *WebSocket Streams*; Coinbase Exchange, *WebSocket Channels*; KuCoin,
    *WebSocket, Public Channels*; Bybit, *All Liquidation*; Upbit, *WebSocket Ticker*.
    """
    inner = Inner(values, around.symbol, original=original)
    if "e" in values and "E" in values:
        return _of_binance(inner)
    if "product_id" in values and "type" in values:
        return _of_coinbase(inner, text_of(values["type"]))
    if _DAY_VOLUME in values:
        return inner._replace(left_out="ticker")
    is_quote = not _OF_TRADES.search(around.stream) and _OF_QUOTES.search(around.stream)
    if around.path == ("data",):
        if _OF_LIQUIDATIONS.search(around.stream):
            return inner._replace(left_out="liquidation")
        subject = text_of(message["subject"]) if "subject" in message else ""
        if subject in _KUCOIN_ORDERS:
            return inner._replace(left_out=subject)
        return inner._replace(is_trade=not (subject and is_quote))
    if around.path and not (is_quote or _OF_TRADES.search(around.stream)):
        raise msgspec.DecodeError(
            f"none of {', '.join(_KINDS)} says that its {'.'.join(around.path)} is a trade or quote"
        )
    return inner._replace(is_trade=not is_quote)


def _of_binance(inner: Inner) -> Inner:
    kind = text_of(inner.values["e"])
    if kind in _BINANCE_TRADES:
        # Futures: trades of the insurance fund and of auto-deleveraging have no market price.
        market = text_of(inner.values["X"]) if "X" in inner.values else "MARKET"
        kind = "" if market == "MARKET" else market
    return inner._replace(left_out=kind)


def _of_coinbase(inner: Inner, kind: str) -> Inner:
    return inner._replace(
        left_out=kind if kind in _COINBASE_ORDERS else "",
        is_trade=kind not in _COINBASE_TICKERS,
        side_is_maker=kind in _COINBASE_MATCHES,
    )
