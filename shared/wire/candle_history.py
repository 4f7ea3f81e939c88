"""A venue's historical candles of an instrument, and their form on the wire (candles.proto)."""

from __future__ import annotations

from typing import NamedTuple

from shared.errors import PermanentError
from shared.market.bounds import check_start
from shared.schema import candles_pb2
from shared.wire.candle_columns import CandleColumns, decode_columns
from shared.wire.message_fields import parsed

_CODE = "bad_history"


class CandleHistory(NamedTuple):
    """The venue's candles with starts in [from_us, to_us); intervals without one had no trades.

    `trades_follow`: every trade from `to_us` on arrives as a tick, or is reported as a gap.
    """

    instrument: str
    from_us: int
    to_us: int
    trades_follow: bool
    candles: CandleColumns

    def encode(self) -> bytes:
        """Return the message."""
        batch = candles_pb2.CandleBatch.FromString(self.candles.encode())
        columns = batch.columns[0] if batch.columns else None
        return candles_pb2.CandleHistory(
            instrument=self.instrument,
            from_us=self.from_us,
            to_us=self.to_us,
            trades_follow=self.trades_follow,
            candles=columns or candles_pb2.CandleColumns(timeframe=self.candles.timeframe),
        ).SerializeToString()

    @classmethod
    def decode(cls, body: bytes) -> CandleHistory:
        """Read the message. Raises PermanentError `bad_history` or `bad_candle_batch`."""
        message = parsed(_CODE, candles_pb2.CandleHistory, body)
        name, from_us, to_us = message.instrument, message.from_us, message.to_us
        timeframe = message.candles.timeframe
        check_start(_CODE, name, timeframe, from_us)
        check_start(_CODE, name, timeframe, to_us)
        if from_us >= to_us:
            raise PermanentError(_CODE, f"from_us {from_us} is not before to_us {to_us}")
        batch = candles_pb2.CandleBatch(columns=[message.candles])
        (columns,) = decode_columns(batch.SerializeToString())
        starts = columns.start_us
        if set(columns.names) - {name}:
            raise PermanentError(_CODE, f"candles of others than {name}")
        if len(starts) and not (from_us <= int(starts.min()) and int(starts.max()) < to_us):
            raise PermanentError(_CODE, "column start_us leaves the range from_us to to_us")
        if len(set(starts.tolist())) < len(starts):
            raise PermanentError(_CODE, "column start_us names an interval twice")
        return cls(name, from_us, to_us, message.trades_follow, columns)
