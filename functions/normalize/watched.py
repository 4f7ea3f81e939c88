"""Events of the trades of watched instruments, for screens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shared.adapter.app import Outcome
from shared.adapter.event import OutgoingEvent
from shared.inputs.outgoing import STAGE, tick_events
from shared.realtime.leases import Selection, Watched
from shared.wire.ticks import Ticks


@dataclass(frozen=True, slots=True)
class Screens:
    """Ticks of the event `cause` that screens may be shown.

    `sent`: ticks of 64-bit mantissas, wide ones, if any; each with the events of all of them.
    """

    cause: str
    sent: Sequence[tuple[Ticks | None, Sequence[OutgoingEvent]]]

    def outcome(self, outputs: Sequence[OutgoingEvent], watched: Watched | None) -> Outcome:
        """Return the outcome. Leases that must be read are read after the outputs are emitted."""
        shards = {s for ticks, _ in self.sent if ticks for s in _shards(ticks)}
        if watched is None or not shards:
            return Outcome(outputs)
        selections = watched.cached(shards)
        if selections is None:
            return Outcome(outputs, lambda: Outcome(show=self._shown(watched.all_of(shards))))
        return Outcome(outputs, show=self._shown(selections))

    def _shown(self, selections: Mapping[int, Selection]) -> list[OutgoingEvent]:
        """Return events of the watched ticks."""
        shown: list[OutgoingEvent] = []
        for name, (ticks, sent) in zip(("shown", "shown.wide"), self.sent, strict=True):
            if not ticks:
                continue
            selected = _selected(ticks, selections)
            if selected is ticks:
                ids = (f"{self.cause}/{STAGE}/{name}.{n}" for n in range(len(sent)))
                shown += [replace(each, id=id_) for each, id_ in zip(sent, ids, strict=True)]
            else:
                shown += tick_events(self.cause, name, selected, sent[0].extensions)
        return shown


def _shards(ticks: Ticks) -> list[int]:
    """Return the shard of each entry."""
    return np.repeat(np.arange(ticks.shards), ticks.entries.shard_entries).tolist()


def _selected(ticks: Ticks, selections: Mapping[int, Selection]) -> Ticks:
    """Return the rows of watched instruments. `ticks`: sorted by shard."""
    named = zip(_shards(ticks), ticks.names, strict=True)
    is_watched = [selections[shard].selects(name) for shard, name in named]
    if all(is_watched):
        return ticks
    return ticks.select(np.repeat(np.asarray(is_watched, dtype=bool), ticks.entries.counts))
