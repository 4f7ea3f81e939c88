"""One tick written in every format gives the same columns."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from shared.schema.ticker_pb2 import TickerUpdate
from shared.wire.raw_batch import (
    FORMAT_CSV,
    FORMAT_CSV_DECIMAL_COMMA,
    FORMAT_SCANNER,
    FORMAT_TICKER,
)
from tests.shared.inputs.feeds import parsed, trades


class WrittenTick(NamedTuple):
    symbol: str
    price: Decimal
    size: Decimal
    time_ms: int
    side: str
    trade_id: str


numbers = st.decimals(-(10**12), 10**12, places=8).map(lambda d: d.normalize() + 0)
written_ticks = st.builds(
    WrittenTick,
    st.sampled_from(["BTC-USD", "^GSPC", "M&M.NS", "币安人生USDT", "SPXW  241227P05000000"]),
    numbers,
    numbers.map(abs),
    st.integers(315_532_800_000, 1_800_000_000_000),
    st.sampled_from(["buy", "sell", ""]),
    st.one_of(
        st.just(""), st.integers(1, 10**18 - 1).map(str), st.uuids().map(str), st.just("007")
    ),
)


def csv_forms(t: WrittenTick) -> list[tuple[int, bytes]]:
    p, s = format(t.price, "f"), format(t.size, "f")
    iso = datetime.fromtimestamp(t.time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    fields = [t.symbol, p, s, str(t.time_ms), t.side, t.trade_id]
    plain = ",".join(fields)
    head = "time;amount;trade id;Symbol;taker side;price"
    other = ";".join([str(t.time_ms * 1000), s, t.trade_id, t.symbol, t.side, p])
    comma = ";".join([*(each.replace(".", ",") for each in (p, s)), str(t.time_ms * 10**6)])
    return [
        (FORMAT_CSV, plain.encode()),
        (FORMAT_CSV, f"\ufeff{plain}\r\n".encode()),
        (FORMAT_CSV, f"{head}\n{other}".encode()),
        (FORMAT_CSV, ",".join(f'"{each}"' for each in fields).encode()),
        (FORMAT_CSV, "\t".join([t.symbol, p, s, iso, t.side.upper(), t.trade_id]).encode()),
        (FORMAT_CSV, ", ".join(fields).encode()),
        (
            FORMAT_CSV_DECIMAL_COMMA,
            f"price;size;time;symbol;side;id\n{comma};{t.symbol};{t.side};{t.trade_id}".encode(),
        ),
    ]


def json_forms(t: WrittenTick) -> list[tuple[int, bytes]]:
    p, s = format(t.price, "f"), format(t.size, "f")
    side, id_ = json.dumps(t.side or None), json.dumps(t.trade_id or None)
    symbol = json.dumps(t.symbol)
    return [
        (FORMAT_SCANNER, text.encode())
        for text in (
            f'{{"ticker":{symbol},"price":"{p}","size":"{s}","timestamp":{t.time_ms},'
            f'"side":{side},"trade_id":{id_}}}',
            f'{{"info":{{}},"id":{id_},"timestamp":{t.time_ms},"datetime":"x","symbol":{symbol},'
            f'"order":null,"type":null,"side":{side},"takerOrMaker":null,"price":{p},"amount":{s},'
            f'"cost":1,"fee":null,"fees":[]}}',
            f'{{"topic":"t","data":{{"s":{symbol},"p":{p},"q":"{s}","T":{t.time_ms * 10**6},'
            f'"S":{side},"i":{id_}}}}}',
        )
    ]


@given(written_ticks)
def test_one_tick_in_every_format_is_the_same_tick(t: WrittenTick) -> None:
    """One tick in every format has equal decimals, time in microseconds, side and id."""
    is_integer = t.trade_id.isdigit() and t.trade_id[0] != "0"
    expected = (
        t.symbol,
        t.price,
        t.size,
        t.time_ms * 1000,
        {"": 0, "buy": 1, "sell": 2}[t.side],
        int(t.trade_id) if is_integer else 0,
    )
    for format_, payload in csv_forms(t) + json_forms(t):
        found = parsed(format_, payload)
        assert found.rejected == [], payload
        (trade,) = trades(found)
        assert trade[:6] == expected, payload
        text = "" if found.rows.text is None else found.rows.text[0]
        assert text == ("" if is_integer else t.trade_id), payload
        assert found.unread == {}, payload


@given(written_ticks, st.integers(1, 10**9))
def test_a_ticker_update_is_the_same_tick_without_side_and_id(t: WrittenTick, cents: int) -> None:
    """A TickerUpdate gives the same tick without side and id.

    Its price is a double, read as the shortest decimal that reads back.
    """
    message = TickerUpdate(
        symbol=t.symbol, price=-cents / 100, size=format(t.size, "f"), timestamp=t.time_ms
    )
    (trade,) = trades(parsed(FORMAT_TICKER, message.SerializeToString()))
    assert trade[:4] == (t.symbol, Decimal(-cents) / 100, t.size, t.time_ms * 1000)
