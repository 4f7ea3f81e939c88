"""Gaps: trades that a feed did not deliver (gaps.proto)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import PermanentError
from shared.schema import gaps_pb2
from shared.wire.message_fields import numbers, parsed, read, written


class GapState(StrEnum):
    """State of a gap: open while its trades are missing."""

    OPEN = "open"
    FILLED = "filled"


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing trades with ids from `first_id` to `last_id`, inclusive.

    `from_us`, `to_us`: event times of the last trade before and the first one after. `by_time`: the
    ids are times in milliseconds, of a feed without contiguous ids. `absent`: ids of a filled gap
    for which the exchange lists no trade. `changed_us`: wall clock.
    """

    symbol: str
    instrument: str
    first_id: int
    last_id: int
    from_us: int
    to_us: int
    state: GapState = GapState.OPEN
    absent: int = 0
    changed_us: int = 0
    by_time: bool = False

    @property
    def count(self) -> int:
        """Number of missing ids; 0 if only times are known."""
        return 0 if self.by_time else self.last_id - self.first_id + 1


def touches(spans: Iterable[tuple[int, int]], start_us: int, end_us: int) -> bool:
    """Return whether any span [from_us, to_us] shares time with the interval [start, end)."""
    return any(from_us < end_us and to_us >= start_us for from_us, to_us in spans)


_TO_WIRE = numbers(GapState, gaps_pb2.GapState, "GAP_STATE_")
_FROM_WIRE = {value: state for state, value in _TO_WIRE.items()}


def encode_gaps(feed: str, gaps: Sequence[Gap]) -> bytes:
    """Return a GapBatch, the body of a gap event."""
    messages = [gaps_pb2.Gap(**written(gap, state=_TO_WIRE[gap.state])) for gap in gaps]
    return gaps_pb2.GapBatch(feed=feed, gaps=messages).SerializeToString()


def decode_gaps(body: bytes) -> tuple[str, list[Gap]]:
    """Read a GapBatch: the feed and its gaps. Raises PermanentError."""
    message = parsed("bad_gap_batch", gaps_pb2.GapBatch, body)
    gaps = []
    for gap in message.gaps:
        state = _FROM_WIRE.get(gap.state)
        if state is None or gap.last_id < gap.first_id:
            raise PermanentError("bad_gap_batch", f"gap {gap.first_id} to {gap.last_id}: no gap")
        gaps.append(Gap(**read(Gap, gap, state=state)))
    return message.feed, gaps
