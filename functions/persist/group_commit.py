"""Group commit of tick events: those that wait at the same time are one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from functions.persist.segments import Event
from shared.runtime.group_commit import GroupCommit
from shared.wire.ticks import Ticks

MOST_TICKS: Final = 50_000
"""A group of this many ticks is stored at once."""
MOST_EVENTS: Final = 8
"""So is one of this many events: half of what the trigger delivers at once."""


def grouped(
    write: Callable[[Sequence[Event]], set[str]], every_s: float
) -> Callable[[str, Ticks], bool]:
    """Return what stores an event, a group each `every_s`, and tells whether it is new.

    `write` takes events and returns the ids of those that were not stored before.
    """
    group: GroupCommit[Event, bool] = GroupCommit(every_s=every_s, is_full=_is_full)

    def store(events: list[Event]) -> list[bool]:
        new_ids, are_new = write(events), []
        for event_id, _ in events:
            are_new.append(event_id in new_ids)
            new_ids.discard(event_id)  # a second delivery in the group is a repetition
        return are_new

    return lambda event_id, ticks: group((event_id, ticks), store)


def _is_full(events: list[Event]) -> bool:
    return len(events) >= MOST_EVENTS or sum(len(ticks) for _, ticks in events) >= MOST_TICKS
