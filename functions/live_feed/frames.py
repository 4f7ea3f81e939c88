"""What is said to a client: each frame once, as JSON and as protobuf, whichever is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

import orjson

from shared import live
from shared.candle import Candle
from shared.candle_json import candle_json
from shared.patterns import Pattern, as_event_json
from shared.schema import candles_pb2, live_pb2, patterns_pb2


class Form(StrEnum):
    """How frames are written. Values are WebSocket subprotocols."""

    JSON = "kandle.v1.json"
    PROTOBUF = "kandle.v1.protobuf"


@dataclass(frozen=True)
class Update:
    """A message of the stream as clients get it; every client shares the encoded bytes."""

    seq: int
    channel: str
    payload: bytes

    @property
    def data(self) -> dict[str, Any]:
        """The payload as JSON has it; decimals are texts. Not kept: the frame is."""
        return _READERS[self.channel.partition(":")[0]](self.payload)

    @cached_property
    def conflation_key(self) -> tuple[str, int] | None:
        """What a newer message replaces while it waits: the state of one candle. Others: None."""
        if not self.channel.startswith(live.CANDLES):
            return None
        return self.channel, candles_pb2.Candle.FromString(self.payload).start_us

    def frame(self, form: Form) -> bytes:
        """Return the `update` frame."""
        return self._json if form is Form.JSON else self._protobuf

    @cached_property
    def _json(self) -> bytes:
        return orjson.dumps(
            {"type": "update", "channel": self.channel, "seq": self.seq, "data": self.data}
        )

    @cached_property
    def _protobuf(self) -> bytes:
        return live_pb2.Frame(
            type="update", channel=self.channel, seq=self.seq, payload=self.payload
        ).SerializeToString()


@dataclass(frozen=True)
class Said:
    """A frame to one client: `type` and what belongs to it."""

    type: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def frame(self, form: Form) -> bytes:
        """Return the frame."""
        if form is Form.JSON:
            return orjson.dumps({"type": self.type, **self.values})
        values = {_PROTOBUF_NAMES.get(name, name): each for name, each in self.values.items()}
        return live_pb2.Frame(type=self.type, **values).SerializeToString()


_PROTOBUF_NAMES: Final = {"msg": "message"}
_ITEMS_A_FRAME: Final = 500


def snapshot(items: Sequence[Update], seq: int, form: Form) -> list[bytes]:
    """Return the frames of a snapshot: the present state of each channel, as of `seq`."""
    if form is Form.PROTOBUF:
        last = len(items) - 1
        return [
            live_pb2.Frame(
                type="snapshot", channel=u.channel, seq=u.seq, payload=u.payload, more=n < last
            ).SerializeToString()
            for n, u in enumerate(items)
        ] or [live_pb2.Frame(type="snapshot", seq=seq).SerializeToString()]
    parts = [items[n : n + _ITEMS_A_FRAME] for n in range(0, len(items), _ITEMS_A_FRAME)] or [[]]
    return [
        orjson.dumps(
            {
                "type": "snapshot",
                "seq": seq,
                "items": [{"channel": u.channel, "seq": u.seq, "data": u.data} for u in part],
                "more": part is not parts[-1],
            }
        )
        for part in parts
    ]


def _tick(payload: bytes) -> dict[str, Any]:
    tick = live_pb2.LiveTick.FromString(payload)
    return {
        "symbol": tick.symbol,
        "price": tick.exact_price,
        "size": tick.size,
        "t": tick.timestamp,
        "side": _SIDES[tick.side] if tick.side < len(_SIDES) else None,
        "trade_id": tick.trade_id or None,
        "received": tick.receive_time_us // 1000,
    }


def _candle(payload: bytes) -> dict[str, Any]:
    candle = Candle.from_message(candles_pb2.Candle.FromString(payload))
    return {
        "symbol": candle.instrument,
        "timeframe": candle.timeframe,
        **candle_json(candle),
    }


def _pattern(payload: bytes) -> dict[str, Any]:
    pattern = Pattern.from_message(patterns_pb2.Pattern.FromString(payload))
    found: dict[str, Any] = as_event_json(pattern)["data"]
    return found


def _alert(payload: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(live_pb2.LiveAlert.FromString(payload).json)
    return found


_SIDES: Final = (None, "buy", "sell")
_READERS: Final[Mapping[str, Callable[[bytes], dict[str, Any]]]] = {
    live.TICKS: _tick,
    live.CANDLES: _candle,
    live.PATTERNS: _pattern,
    live.ALERTS: _alert,
}
