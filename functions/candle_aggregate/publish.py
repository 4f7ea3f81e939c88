"""What has changed to events, and the note that they were taken."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from functions.candle_aggregate.store import Store
from shared import events, metrics
from shared.adapter.app import Outcome
from shared.adapter.event import OutgoingEvent
from shared.candle import Candle, CandleState
from shared.candle_columns import encode_batch

STAGE: Final = "candle-aggregate"
CANDLES_AN_EVENT: Final = 500


def publication(
    store: Store,
    closed: Mapping[str, CandleState],
    late: Mapping[str, bytes] | None = None,
    shown: Sequence[OutgoingEvent] = (),
) -> Outcome:
    """Emit closed candles and late batches, then note it; `shown` are events for display.

    Whatever is cut off between the two is emitted again, but for what is only shown.
    """
    candles = [state.candle for _, state in sorted(closed.items())]
    revisions = [(key, state.revision) for key, state in closed.items()]
    outputs = candle_events(candles, store.keys.shard)
    for event_id, batch in (late or {}).items():
        # Named by what it says as well: after a rebuild the same event may be late for more.
        digest = hashlib.sha256(batch).hexdigest()[:16]
        id_ = f"{event_id}/{STAGE}/late/{digest}"
        outputs.append(OutgoingEvent.packed(id_, events.LATE, batch))

    def confirmed() -> None:
        store.mark_published(revisions)
        store.mark_late_emitted(list(late or {}))
        metrics.CANDLES_PUBLISHED.inc(len(candles))

    return Outcome(outputs, confirmed if outputs else None, shown)


def candle_events(candles: list[Candle], shard: int) -> list[OutgoingEvent]:
    """Return events of closed candles, named by what they say: same content, same id."""
    outputs = []
    for first in range(0, len(candles), CANDLES_AN_EVENT):
        some = candles[first : first + CANDLES_AN_EVENT]
        names = (f"{c.instrument} {c.timeframe} {c.start_us} {c.revision}" for c in some)
        digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]
        outputs.append(
            OutgoingEvent.packed(
                f"{STAGE}/{shard}/{digest}",
                events.CANDLES,
                encode_batch(some),
                {events.CLOSED: "true"},
            )
        )
    return outputs
