"""Events to live messages."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import orjson
import pytest

from functions.live_feed.fanout import messages
from functions.live_feed.protocols.frames import Update
from shared.adapter.event import Event
from shared.alerts.event import as_event_json as rule_json
from shared.alerts.rule import Rule
from shared.errors import PermanentError
from shared.schema import candles_pb2, live_pb2
from shared.schema.ticker_pb2 import TickerUpdate
from shared.wire import events
from shared.wire.busts import Bust
from shared.wire.busts import encode as encode_busts
from shared.wire.candle import Candle
from shared.wire.candle_columns import encode_batch
from shared.wire.instrument_table import Entries, Entry
from shared.wire.patterns import Pattern, as_event_json, encode_patterns
from shared.wire.ticks import Ticks


def event(type_: str, body: bytes) -> Event:
    return Event("e1", type_, "/test", {}, body)


def ticks(*prices: int, symbols: tuple[str, ...] = ("BTC-USDT.BINANCE",)) -> bytes:
    """The same number of ticks of each symbol."""
    n, each = len(prices), len(prices) // len(symbols)
    number = np.arange(n, dtype=np.int64)
    return Ticks(
        "udp-1",
        Entries.of(*(Entry(symbol, 2, 3, each) for symbol in symbols)),
        number * 1000 + 1_700_000_000_000_000,
        np.array(prices, dtype=np.int64),
        number + 1500,
        np.full(n, 2, dtype=np.uint8),
        np.full(n, 1, dtype=np.uint8),
        number + 7,
        None,
        number,
        number,
        np.zeros(n, dtype=np.uint8),
    ).encode()


def test_a_tick_has_all_fields_and_is_a_ticker_update() -> None:
    """A live tick has exact decimals, and decodes as a TickerUpdate with a double too."""
    ((channel, payload, received_us),), left_out = messages(
        event(events.TICKS, ticks(6_184_568)), 10
    )
    assert left_out == 0
    assert channel == "ticks:BTC-USDT.BINANCE"
    tick = live_pb2.LiveTick.FromString(payload)
    assert (tick.exact_price, tick.size, tick.side, tick.trade_id) == ("61845.68", "1.5", 2, "7")
    assert tick.time_us == 1_700_000_000_000_000
    assert (tick.order_id, tick.receive_time_us, tick.sequence) == (7, received_us, 0)
    update = TickerUpdate.FromString(payload)
    assert (update.symbol, update.price, update.size, update.volume) == (
        *("BTC-USDT.BINANCE", 61845.68, "1.5", 1),
    )
    assert update.timestamp == 1_700_000_000_000


def test_the_last_ticks_of_a_burst_are_shown() -> None:
    """Of a burst only the last ticks are shown, and the others counted."""
    found, left_out = messages(event(events.TICKS, ticks(*range(100, 200))), 3)
    assert left_out == 97
    prices = [live_pb2.LiveTick.FromString(each.payload).exact_price for each in found]
    assert prices == ["1.97", "1.98", "1.99"]


def test_many_instruments_share_what_an_event_may_show() -> None:
    """Many instruments share the bound of one event, and the last tick of each is shown."""
    symbols = tuple(f"S{n:02}" for n in range(40))
    found, left_out = messages(event(events.TICKS, ticks(*range(1, 401), symbols=symbols)), 40)
    assert (len(found), left_out) == (80, 320)
    found, _ = messages(event(events.TICKS, ticks(*range(1, 401), symbols=symbols)), 1)
    assert [each.channel for each in found] == [f"ticks:{each}" for each in symbols]
    prices = [live_pb2.LiveTick.FromString(each.payload).exact_price for each in found]
    assert prices[:2] == ["0.1", "0.2"]


def test_a_bust_is_published_as_its_sender_says_it() -> None:
    """A cancel has only its trade; a correction has the new values."""
    received_us = 1_700_000_000_000_000
    cancel = Bust("A.B", None, "7", 0, False, "", "", received_us, 1, b"{}")
    correction = replace(
        cancel, venue="X", event_time_us=60_000_000, is_correction=True, price="1.50"
    )
    found, _ = messages(event(events.BUSTS, encode_busts("udp-1", 1, [cancel, correction])), 10)
    assert [each.channel for each in found] == ["busts:A.B"] * 2
    updates = [Update(n, e.channel, e.payload) for n, e in enumerate(found)]
    assert [each.data for each in updates] == [
        {
            "symbol": "A.B",
            "trade_id": "7",
            "status": status,
            "venue": venue,
            "t": at,
            "price": price,
            "size": None,
            "received": received_us // 1000,
        }
        for status, venue, at, price in (
            ("cancelled", None, None, None),
            ("corrected", "X", 60_000, "1.50"),
        )
    ]


def test_each_candle_is_a_message() -> None:
    """Each candle is a message under its timeframe and symbol."""
    one = Decimal(1)
    made = [
        Candle("A.B", frame, 0, one, one, one, one, one, one, 1, one, one, 0, 0)
        for frame in ("1m", "5m")
    ]
    found, _ = messages(event(events.CANDLES, encode_batch(made)), 10)
    assert [each.channel for each in found] == ["candles:1m:A.B", "candles:5m:A.B"]
    assert candles_pb2.Candle.FromString(found[0].payload).timeframe == "1m"
    assert {each.received_us for each in found} == {0}


def test_a_candle_says_when_its_newest_tick_was_received() -> None:
    """A candle has the receive time of its newest tick, from which its age follows."""
    one = Decimal(1)
    made = Candle("A", "1m", 0, one, one, one, one, one, one, 1, one, one, 0, 0)
    about = event(events.CANDLES, encode_batch([made]))
    for text, received_us in (("1700000000000007", 1_700_000_000_000_007), ("soon", 0)):
        attributes = {**about.attributes, events.RECEIVED: text}
        (found,), _ = messages(replace(about, attributes=attributes), 10)
        assert found.received_us == received_us


def test_a_pattern_reads_as_the_history_api_gives_it() -> None:
    """A pattern has the fields of the history API.

    A retraction is the same pattern again, never merged with a newer one.
    """
    one = Decimal(1)
    made = [
        Pattern(
            *("id1", "A.B", "1m", "hammer", "candlestick", 1, 0.9, "high", Decimal("1.50")),
            *(60_000_000, 120_000_000, one, one, one, one, one, retracted, revision),
        )
        for revision, retracted in ((1, False), (2, True))
    ]
    found, _ = messages(event(events.PATTERNS, encode_patterns(made)), 10)
    assert [each.channel for each in found] == ["patterns:A.B"] * 2
    updates = [Update(n, e.channel, e.payload) for n, e in enumerate(found)]
    assert [each.data for each in updates] == [as_event_json(each)["data"] for each in made]
    assert [each.data["status"] for each in updates] == ["active", "retracted"]
    assert [each.candle for each in updates] == [None, None]


def test_an_alert_is_published_as_its_event_says_it() -> None:
    """An alert has the fields of history, and decodes as a LiveAlert with its rule."""
    rule = Rule.parse("A close > 100")
    body = rule_json("r1", rule, 60_000_000, 120_000_000, value="101.5")
    found, _ = messages(event(events.ALERTS, body.encode()), 10)
    ((channel, payload, _),) = found
    assert channel == "alerts:A"
    assert live_pb2.LiveAlert.FromString(payload).rule == "A close > 100 on 1m"
    assert Update(1, "alerts:A", payload).data == orjson.loads(body)["data"]


@pytest.mark.parametrize(
    ("type_", "body", "code"),
    [
        ("dev.kandle.unknown.v1", b"", "unexpected_type"),
        (events.TICKS, b"\xff\xff", "bad_tick_batch"),
        (events.CANDLES, b"\xff\xff", "bad_candle_batch"),
        (events.PATTERNS, b"\xff\xff", "bad_pattern_batch"),
        (events.BUSTS, b"\xff\xff", "bad_bust_batch"),
        (events.ALERTS, b"{}", "bad_alert"),
        (events.CANDLES, b"\x0a\x03\x12\x01x", "bad_candle_batch"),  # a name without columns
    ],
)  # fmt: skip
def test_an_unreadable_event_is_a_permanent_error(type_: str, body: bytes, code: str) -> None:
    """An unreadable event is a permanent error with its reason."""
    with pytest.raises(PermanentError) as raised:
        messages(event(type_, body), 10)
    assert raised.value.code == code
