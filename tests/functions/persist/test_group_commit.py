"""Group commit of tick events: a full group does not wait, and a repetition is not new."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from functions.persist.group_commit import MOST_EVENTS, grouped
from shared.wire.ticks import Ticks
from tests.functions.history_query.market import columns, generated

FOR_EVER_S = 10**6
TICKS = columns(generated(1, 1), "A")


def test_an_event_after_a_pause_is_stored_at_once_and_the_next_ones_together() -> None:
    """An event after a pause is stored at once, and those that follow as a full group.

    A second delivery in the group is not new.
    """
    groups: list[list[str]] = []

    def write(events: Sequence[tuple[str, Ticks]]) -> set[str]:
        groups.append(sorted(event_id for event_id, _ in events))
        return set(groups[-1])

    store = grouped(write, FOR_EVER_S)
    assert store("first", TICKS)
    assert groups == [["first"]]
    ids = ["again", "again", *(f"e{n}" for n in range(MOST_EVENTS - 2))]
    with ThreadPoolExecutor(MOST_EVENTS) as pool:
        are_new = list(pool.map(lambda event_id: store(event_id, TICKS), ids))
    assert sorted(are_new[:2]) == [False, True]
    assert all(are_new[2:])
    assert groups[1:] == [sorted(ids)]
