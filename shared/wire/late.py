"""Late candles: base candles that could not include an event's ticks (late.proto)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from shared.errors import PermanentError
from shared.market.bounds import check_start
from shared.schema import late_pb2
from shared.wire.message_fields import numbers, parsed


class Reason(StrEnum):
    """Reason to recompute a base candle from its stored ticks."""

    LATE = "late"
    REPEATED = "repeated"


_TO_WIRE: Final = numbers(Reason, late_pb2.LateReason, "LATE_REASON_")
_FROM_WIRE: Final = {value: reason for reason, value in _TO_WIRE.items()}


class Late(NamedTuple):
    """The tick event, the reason, and the base candles as (instrument, start_us)."""

    event_id: str
    reason: Reason
    candles: list[tuple[str, int]]


def encode_late(
    event_id: str, candles: Sequence[tuple[str, int]], reason: Reason = Reason.LATE
) -> bytes:
    """Return a LateBatch: the tick event, and base candles as (instrument, start_us)."""
    return late_pb2.LateBatch(
        event_id=event_id,
        reason=_TO_WIRE[reason],
        instrument=[name for name, _ in candles],
        start_us=[start_us for _, start_us in candles],
    ).SerializeToString()


def decode_late(body: bytes) -> Late:
    """Read a LateBatch. Raises PermanentError."""
    message = parsed("bad_late_batch", late_pb2.LateBatch, body)
    if len(message.instrument) != len(message.start_us):
        raise PermanentError("bad_late_batch", "columns instrument and start_us differ in length")
    reason = _FROM_WIRE.get(message.reason)
    if reason is None:
        raise PermanentError("bad_late_batch", f"reason {message.reason} is none")
    candles = list(zip(message.instrument, message.start_us, strict=True))
    for name, start_us in candles:
        # Queued, it would block every other repair.
        check_start("bad_late_batch", name, "1m", start_us)
    return Late(message.event_id, reason, candles)
