"""Fan-out: events to live messages, each of its channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from shared.adapter.event import Event
from shared.alerts.event import AlertEvent
from shared.errors import PermanentError
from shared.market.decimals import mantissa_text
from shared.market.order import NO_ORDER_ID
from shared.realtime import channels as live
from shared.runtime.latency import note_tick_seconds
from shared.schema import live_pb2
from shared.wire import busts, events
from shared.wire.candle import Candle
from shared.wire.candle_columns import decode_batch
from shared.wire.instrument_table import Entry
from shared.wire.patterns import decode_patterns
from shared.wire.ticks import INTEGER_ID, TEXT_ID, Ticks

_TOGETHER: Final = 2
"""Instruments per event with the full number of ticks; more of them share."""


class Message(NamedTuple):
    """A message of the live feed: its channel and a protobuf payload.

    `received_us`: receive time of the newest tick behind it, 0 if unknown.
    """

    channel: str
    payload: bytes
    received_us: int = 0


def candle_message(candle: Candle, received_us: int = 0) -> Message:
    """Return the message of a candle."""
    channel = f"{live.CANDLES}:{candle.timeframe}:{candle.instrument}"
    return Message(channel, candle.to_message().SerializeToString(), received_us)


def tick_message(
    symbol: str, price: str, size: str, time_us: int, received_us: int, **others: Any
) -> Message:
    """Return the message of a trade from the history API; `others`: further fields of LiveTick."""
    tick = live_pb2.LiveTick(
        symbol=symbol,
        price=float(price),
        timestamp=time_us // 1000,
        size=size,
        exact_price=price,
        time_us=time_us,
        receive_time_us=received_us,
        **others,
    )
    return Message(f"{live.TICKS}:{symbol}", tick.SerializeToString(), received_us)


IsWatched = Callable[[str, str], bool]
"""Whether the candles of a timeframe and instrument are watched."""


def messages(
    event: Event, ticks_an_event: int, is_watched: IsWatched = lambda timeframe, instrument: True
) -> tuple[list[Message], int]:
    """Return the live messages of an event, and how many of its ticks were left out.

    For each instrument at most the last `ticks_an_event` ticks are shown, and in total about twice
    as many (at least the last of each): a screen needs no more of a burst, and every tick is in the
    candles and the history. Only watched candles are included. Raises PermanentError.
    """
    if event.type == events.CANDLES:
        return _candles(event, is_watched), 0
    kind = _KINDS.get(event.type)
    if kind is None:
        raise PermanentError("unexpected_type", f"live-feed does not take {event.type}")
    return kind(event, ticks_an_event)


def _ticks(event: Event, at_most: int) -> tuple[list[Message], int]:
    ticks = Ticks.decode(event.data())
    result = []
    runs = list(ticks.runs())
    at_most = max(1, min(at_most, _TOGETHER * at_most // max(1, len(runs))))
    for entry, rows in runs:
        newest = slice(max(rows.start, rows.stop - at_most), rows.stop)
        channel = f"{live.TICKS}:{entry.name}"
        received_us = ticks.receive_time_us[newest].tolist()
        payloads = _run(ticks, entry, newest)
        result += [Message(channel, *each) for each in zip(payloads, received_us, strict=True)]
    note_tick_seconds("live-feed", ticks.receive_time_us)
    return result, len(ticks) - len(result)


def _run(ticks: Ticks, entry: Entry, rows: slice) -> Iterator[bytes]:
    columns = zip(
        ticks.event_time_us[rows].tolist(),
        ticks.price[rows].tolist(),
        ticks.size[rows].tolist(),
        ticks.side[rows].tolist(),
        ticks.trade_id_kind[rows].tolist(),
        ticks.trade_id[rows].tolist(),
        ticks.receive_time_us[rows].tolist(),
        ticks.sequence[rows].tolist(),
        range(rows.start, rows.stop),
        strict=True,
    )
    price_unit, size_unit = 10**entry.price_scale, 10**entry.size_scale
    for time_us, price, size, side, kind, number, received_us, sequence, row in columns:
        yield live_pb2.LiveTick(
            symbol=entry.name,
            price=price / price_unit,  # the nearest double of the quotient
            volume=max(0, min(size // size_unit, _UINT64_MAX)),
            timestamp=time_us // 1000,
            size=mantissa_text(size, entry.size_scale),
            exact_price=mantissa_text(price, entry.price_scale),
            side=side,
            trade_id=str(number)
            if kind == INTEGER_ID
            else ticks.text_at(row)
            if kind == TEXT_ID
            else "",
            time_us=time_us,
            receive_time_us=received_us,
            order_id=number if kind == INTEGER_ID else NO_ORDER_ID,
            source_key=ticks.source_key,
            sequence=sequence,
        ).SerializeToString()


def _candles(event: Event, is_watched: IsWatched) -> list[Message]:
    received = event.attributes.get(events.RECEIVED, "")
    received_us = int(received) if received.isascii() and received.isdigit() else 0
    return [
        candle_message(each, received_us)
        for each in decode_batch(event.data())
        if is_watched(each.timeframe, each.instrument)
    ]


def _busts(event: Event, _: int) -> tuple[list[Message], int]:
    result = []
    for each in busts.decode(event.data())[2]:
        payload = live_pb2.LiveBust(
            symbol=each.instrument,
            trade_id=each.trade_id,
            venue=each.venue or "",
            status="corrected" if each.is_correction else "cancelled",
            price=each.price,
            size=each.size,
            time_us=each.event_time_us,
            receive_time_us=each.receive_time_us,
        ).SerializeToString()
        result.append(Message(f"{live.BUSTS}:{each.instrument}", payload, each.receive_time_us))
    return result, 0


def _patterns(event: Event, _: int) -> tuple[list[Message], int]:
    return [
        Message(f"{live.PATTERNS}:{each.instrument}", each.to_message().SerializeToString())
        for each in decode_patterns(event.data())
    ], 0


def _alerts(event: Event, _: int) -> tuple[list[Message], int]:
    alert = AlertEvent.decode(event.data())
    data = orjson.loads(alert.body)["data"]
    try:
        payload = live_pb2.LiveAlert(
            symbol=alert.instrument,
            timeframe=alert.timeframe,
            rule_id=alert.rule_id,
            rule=data["rule"],
            timestamp=data["timestamp"],
            json=orjson.dumps(data).decode(),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PermanentError("bad_alert", f"body is not an alert: {error}") from error
    return [Message(f"{live.ALERTS}:{alert.instrument}", payload.SerializeToString())], 0


_UINT64_MAX: Final = 2**64 - 1
_KINDS: Final[Mapping[str, Callable[[Event, int], tuple[list[Message], int]]]] = {
    events.TICKS: _ticks,
    events.BUSTS: _busts,
    events.PATTERNS: _patterns,
    events.ALERTS: _alerts,
}
