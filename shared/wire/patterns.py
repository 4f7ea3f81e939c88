"""A pattern in closed candles: its identity, and its forms on the wire, in a row and in JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from shared.errors import PermanentError
from shared.market.bounds import check_start
from shared.market.decimals import to_text
from shared.market.timeframes import Timeframe
from shared.schema import patterns_pb2
from shared.wire.message_fields import MessageFields, parsed

SOURCE: Final = "kandle/detect-pattern"

_HIGH, _MEDIUM = 0.85, 0.75
_NUMBERS: Final = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, completed by the candle over [start_us, end_us), event time.

    `kind` is candlestick, chart or anomaly; `direction` 1 up, -1 down, 0 neither; `confidence` 0 to
    1. Prices are exact decimals. `id` stays the same in every revision; the highest revision
    counts; a retracted one was undone by a correction of its candles. `begin_us`: start of the
    pattern's first candle. `features`: what the detector measured.
    """

    id: str
    instrument: str
    timeframe: str
    pattern: str
    kind: str
    direction: int
    confidence: float
    level: str
    trigger_price: Decimal
    start_us: int
    end_us: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    retracted: bool = False
    revision: int = 0
    begin_us: int = 0
    features: Mapping[str, float] = field(default_factory=dict)

    def to_message(self) -> patterns_pb2.Pattern:
        """Return the protobuf form, decimals as canonical text."""
        return patterns_pb2.Pattern(**_FIELDS.written(self))

    @classmethod
    def from_message(cls, message: patterns_pb2.Pattern) -> Pattern:
        """Parse the protobuf form. Raises decimal.InvalidOperation on an invalid decimal."""
        return cls(**{**_FIELDS.read(message), "features": dict(message.features)})


_FIELDS: Final = MessageFields(Pattern)


def pattern_id(instrument: str, timeframe: str, pattern: str, start_us: int) -> str:
    """Return the id of a pattern on the candle that starts then."""
    name = "\n".join((instrument, timeframe, pattern, str(start_us)))
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def alert_level(confidence: float) -> str:
    """Return its level: low, medium from 0.75 on, high from 0.85 on."""
    if confidence >= _HIGH:
        return "high"
    return "medium" if confidence >= _MEDIUM else "low"


def encode_patterns(patterns: Sequence[Pattern]) -> bytes:
    """Return a PatternBatch, the body of a patterns event."""
    messages = [pattern.to_message() for pattern in patterns]
    # Maps are unordered: this makes the bytes deterministic.
    return patterns_pb2.PatternBatch(patterns=messages).SerializeToString(deterministic=True)


def decode_patterns(body: bytes) -> list[Pattern]:
    """Read a PatternBatch. Raises PermanentError."""
    batch = parsed("bad_pattern_batch", patterns_pb2.PatternBatch, body)
    try:
        patterns = [Pattern.from_message(message) for message in batch.patterns]
    except InvalidOperation as error:
        raise PermanentError("bad_pattern_batch", f"a price is not a decimal: {error}") from error
    for each in patterns:
        check_start("bad_pattern_batch", each.instrument, each.timeframe, each.start_us)
    return patterns


def pattern_of(data: Mapping[str, Any]) -> Pattern:
    """Parse the `data` of `as_event_json`."""
    end_us = int(data["timestamp"]) * 1000
    prices = data["candle_data"]
    return Pattern(
        id=data["id"],
        instrument=data["symbol"],
        timeframe=data["timeframe"],
        pattern=data["pattern_type"],
        kind=data["kind"],
        direction=int(data["direction"]),
        confidence=float(data["confidence"]),
        level=data["level"],
        trigger_price=Decimal(data["trigger_price"]),
        start_us=end_us - Timeframe.parse(data["timeframe"]).length_us,
        end_us=end_us,
        **{name: Decimal(prices[name]) for name in _NUMBERS},
        retracted=data["status"] == "retracted",
        revision=int(data["revision"]),
        begin_us=int(data["begin"]) * 1000,
        features=data["features"],
    )


def as_event_json(pattern: Pattern) -> dict[str, Any]:
    """Return the JSON form for webhooks. `timestamp`: ms, the end of the candle."""
    return {
        "type": "pattern_retracted" if pattern.retracted else "pattern_detected",
        "data": {
            "id": pattern.id,
            "symbol": pattern.instrument,
            "timeframe": pattern.timeframe,
            "pattern_type": pattern.pattern,
            "kind": pattern.kind,
            "direction": pattern.direction,
            "confidence": pattern.confidence,
            "level": pattern.level,
            "trigger_price": to_text(pattern.trigger_price),
            "timestamp": pattern.end_us // 1000,
            "begin": pattern.begin_us // 1000,
            "features": dict(pattern.features),
            "candle_data": {name: to_text(getattr(pattern, name)) for name in _NUMBERS},
            "source": SOURCE,
            "status": "retracted" if pattern.retracted else "active",
            "revision": pattern.revision,
        },
    }
