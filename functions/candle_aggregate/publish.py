"""Closed candles to events, and the note that they were taken."""

from __future__ import annotations

import hashlib
from typing import Final

from functions.candle_aggregate.store import Store
from shared import events, metrics
from shared.adapter.app import Outcome
from shared.adapter.event import OutgoingEvent
from shared.candle import CandleState, encode_batch

STAGE: Final = "candle-aggregate"
CANDLES_AN_EVENT: Final = 500


def publication(store: Store, closed: dict[str, CandleState]) -> Outcome:
    """Emit the candles, then note it. Whatever is cut off between the two is emitted again."""
    revisions = [(key, state.candle.revision) for key, state in sorted(closed.items())]
    if not revisions:
        return Outcome()
    outputs = []
    for first in range(0, len(revisions), CANDLES_AN_EVENT):
        some = revisions[first : first + CANDLES_AN_EVENT]
        outputs.append(
            OutgoingEvent.packed(
                _event_id(store.keys.shard, some),
                events.CANDLES,
                encode_batch([closed[key].candle for key, _ in some]),
                {events.CLOSED: "true", events.SHARD: str(store.keys.shard)},
            )
        )

    def confirmed() -> None:
        store.mark_published(revisions)
        metrics.CANDLES_PUBLISHED.inc(len(revisions))

    return Outcome(outputs, confirmed)


def _event_id(shard: int, revisions: list[tuple[str, int]]) -> str:
    """Name the event by what it says: candles and revisions. The same content has the same id."""
    digest = hashlib.sha256("\n".join(f"{key} {rev}" for key, rev in revisions).encode())
    return f"{STAGE}/{shard}/{digest.hexdigest()[:32]}"
