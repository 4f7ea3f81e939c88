"""Frames to clients: encoded once per format, JSON or protobuf."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from operator import attrgetter
from typing import Any, Final

import orjson

from shared.realtime import channels as live
from shared.schema import candles_pb2, live_pb2, patterns_pb2
from shared.wire.candle import Candle
from shared.wire.candle_json import candle_json
from shared.wire.patterns import Pattern, as_event_json


class Form(StrEnum):
    """Format of frames. Values are WebSocket subprotocols."""

    JSON = "kandle.v1.json"
    PROTOBUF = "kandle.v1.protobuf"


@dataclass(frozen=True)
class Update:
    """A message of the stream as sent to clients, which share the encoded bytes.

    Times are microseconds since 1970 UTC: `received_us` when the newest tick behind it was received
    (0: unknown), `published_us` when the stream stored it. `late`: its channel already had a
    message of a later time. `again`: republished, for replicas that read the last of each subject;
    `first_seq` is the position that it had at first, 0 if unknown. Without a channel: it cannot be
    read, and is skipped.
    """

    seq: int
    channel: str
    payload: bytes
    received_us: int = 0
    published_us: int = 0
    late: bool = False
    again: bool = False
    first_seq: int = 0

    @property
    def data(self) -> dict[str, Any]:
        """The payload for JSON; decimals as text. Not cached: the frame is."""
        return self._kind.to_json(self._kind.message.FromString(self.payload))

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Its position in time within its channel."""
        return self._kind.order(self._kind.message.FromString(self.payload))

    @property
    def _kind(self) -> _Kind:
        return _KINDS[self.channel.partition(":")[0]]

    @property
    def candle(self) -> tuple[str, tuple[int, ...]] | None:
        """The candle, bar or value of which a newer state replaces it while it waits; else None."""
        is_state = self.channel.startswith((live.CANDLES, live.BARS, live.INDICATORS))
        return (self.channel, self.order[:-1]) if is_state else None

    def item(self) -> dict[str, Any]:
        """Return its snapshot item; times in milliseconds."""
        return {
            "channel": self.channel,
            "seq": self.seq,
            "received": self.received_us // 1000 or None,
            "published": self.published_us // 1000 or None,
            "data": self.data,
        }

    def message(self, type_: str, *, seq: int | None = None, more: bool = False) -> live_pb2.Frame:
        """Return the protobuf frame; `seq`: another place than its own."""
        return live_pb2.Frame(
            type=type_,
            channel=self.channel,
            seq=self.seq if seq is None else seq,
            payload=self.payload,
            late=self.late,
            received_us=self.received_us,
            published_us=self.published_us,
            more=more,
        )

    def frame(self, form: Form) -> bytes:
        """Return the `update` frame."""
        return self._json if form is Form.JSON else self._protobuf

    @cached_property
    def _json(self) -> bytes:
        # Kept for whoever comes back: a copy, since orjson's own bytes take up 4 KiB at least.
        return bytes(memoryview(orjson.dumps({"type": "update", "late": self.late, **self.item()})))

    @cached_property
    def _protobuf(self) -> bytes:
        return self.message("update").SerializeToString()


_PROTOBUF_NAMES: Final = {"msg": "message"}
_ITEMS_A_FRAME: Final = 500


def client_frame(form: Form, type_: str, values: Mapping[str, Any]) -> bytes:
    """Return a frame to one client."""
    if form is Form.JSON:
        return orjson.dumps({"type": type_, **values})
    values = {_PROTOBUF_NAMES.get(name, name): each for name, each in values.items()}
    return live_pb2.Frame(type=type_, **values).SerializeToString()


def snapshot(items: Sequence[Update], seq: int, form: Form) -> list[bytes]:
    """Return the frames of a snapshot: the newest message of each channel, as of `seq`."""
    if form is Form.PROTOBUF:
        last = len(items) - 1
        return [
            u.message("snapshot", seq=seq, more=n < last).SerializeToString()
            for n, u in enumerate(items)
        ] or [live_pb2.Frame(type="snapshot", seq=seq).SerializeToString()]
    parts = [items[n : n + _ITEMS_A_FRAME] for n in range(0, len(items), _ITEMS_A_FRAME)] or [[]]
    return [
        orjson.dumps(
            {
                "type": "snapshot",
                "seq": seq,
                "items": [each.item() for each in part],
                "more": part is not parts[-1],
            }
        )
        for part in parts
    ]


def _tick(tick: live_pb2.LiveTick) -> dict[str, Any]:
    return {
        "symbol": tick.symbol,
        "price": tick.exact_price,
        "size": tick.size,
        "t": tick.timestamp,
        "side": _SIDES[tick.side] if tick.side < len(_SIDES) else None,
        "trade_id": tick.trade_id or None,
        "received": tick.receive_time_us // 1000,
    }


def _candle(message: candles_pb2.Candle) -> dict[str, Any]:
    candle = Candle.from_message(message)
    return {
        "symbol": candle.instrument,
        "timeframe": candle.timeframe,
        **candle_json(candle),
    }


def _bar(bar: live_pb2.LiveBar) -> dict[str, Any]:
    candle = Candle.from_message(candles_pb2.Candle.FromString(bar.candle))
    return {
        "symbol": candle.instrument,
        "type": candle.timeframe,
        "day": bar.day_us // 1000,
        "number": bar.number,
        "end": candle.last_time_us // 1000,
        **candle_json(candle),
    }


def _bar_order(bar: live_pb2.LiveBar) -> tuple[int, ...]:
    return bar.day_us, bar.number, candles_pb2.Candle.FromString(bar.candle).revision


def _indicator(message: live_pb2.LiveIndicator) -> dict[str, Any]:
    values = zip(message.columns, message.values, strict=True)
    return {
        "symbol": message.symbol,
        "timeframe": message.timeframe,
        "indicator": message.indicator,
        "t": message.start_us // 1000,
        "values": {name: None if math.isnan(value) else value for name, value in values},
        "closed": message.closed,
        "revision": message.revision,
    }


def _bust(bust: live_pb2.LiveBust) -> dict[str, Any]:
    return {
        "symbol": bust.symbol,
        "trade_id": bust.trade_id,
        "venue": bust.venue or None,
        "status": bust.status,
        "price": bust.price or None,
        "size": bust.size or None,
        "t": bust.time_us // 1000 or None,
        "received": bust.receive_time_us // 1000,
    }


def _pattern(message: patterns_pb2.Pattern) -> dict[str, Any]:
    data: dict[str, Any] = as_event_json(Pattern.from_message(message))["data"]
    return data


def _alert(alert: live_pb2.LiveAlert) -> dict[str, Any]:
    data: dict[str, Any] = orjson.loads(alert.json)
    return data


@dataclass(frozen=True)
class _Kind:
    """Kind of channel: its message type, its JSON form, and its position in time."""

    message: type[Any]
    to_json: Callable[[Any], dict[str, Any]]
    order: Callable[[Any], tuple[int, ...]]


_SIDES: Final = (None, "buy", "sell")
_TICK_ORDER: Final = attrgetter("time_us", "order_id", "receive_time_us", "source_key", "sequence")
_STATE_ORDER: Final = attrgetter("start_us", "revision")
_KINDS: Final[Mapping[str, _Kind]] = {
    live.TICKS: _Kind(live_pb2.LiveTick, _tick, _TICK_ORDER),
    live.CANDLES: _Kind(candles_pb2.Candle, _candle, _STATE_ORDER),
    live.BARS: _Kind(live_pb2.LiveBar, _bar, _bar_order),
    live.INDICATORS: _Kind(live_pb2.LiveIndicator, _indicator, _STATE_ORDER),
    live.BUSTS: _Kind(live_pb2.LiveBust, _bust, lambda bust: (bust.receive_time_us,)),
    live.PATTERNS: _Kind(patterns_pb2.Pattern, _pattern, attrgetter("end_us", "revision")),
    live.ALERTS: _Kind(live_pb2.LiveAlert, _alert, lambda alert: (alert.timestamp,)),
}
