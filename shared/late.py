"""Late candles: those that ticks came for after they left the live state (late.proto)."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from shared.bounds import check_place
from shared.errors import PermanentError
from shared.kernel import CandleKey
from shared.schema import late_pb2


def encode_late(event_id: str, candles: Sequence[CandleKey]) -> bytes:
    """Return a LateBatch: the tick event, and the candles that it was too late for."""
    return late_pb2.LateBatch(
        event_id=event_id,
        candles=[
            late_pb2.LateCandle(instrument=name, timeframe=timeframe, start_us=start_us)
            for name, timeframe, start_us in candles
        ],
    ).SerializeToString()


def decode_late(body: bytes) -> tuple[str, list[CandleKey]]:
    """Read a LateBatch. Raises PermanentError."""
    try:
        message = late_pb2.LateBatch.FromString(body)
    except DecodeError as error:
        raise PermanentError("bad_late_batch", f"body is no LateBatch: {error}") from error
    for candle in message.candles:
        # Queued, it would be in the way of every other repair.
        check_place("bad_late_batch", candle.instrument, candle.timeframe, candle.start_us)
    return message.event_id, [(c.instrument, c.timeframe, c.start_us) for c in message.candles]
