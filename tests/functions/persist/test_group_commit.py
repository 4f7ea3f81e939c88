"""Group commit: tick events that arrive close together are stored in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from functions.persist.group_commit import MOST_EVENTS, GroupCommit
from shared.errors import TransientError
from shared.wire.ticks import Ticks
from tests.functions.history_query.market import columns, generated

FOR_EVER_S = 10**6
TICKS = columns(generated(1, 1), "A")


class Store:
    """Records its groups; `fails` is the exception to raise."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.fails: Exception | None = None

    def __call__(self, events: Sequence[tuple[str, Ticks]]) -> set[str]:
        self.groups.append([event_id for event_id, _ in events])
        if self.fails is not None:
            raise self.fails
        return {event_id for event_id, _ in events}


def all_at_once(commit: GroupCommit, ids: Sequence[str]) -> dict[str, bool | Exception]:
    """Store events from one thread each; return the result of each."""
    found: dict[str, bool | Exception] = {}

    def store(event_id: str) -> None:
        try:
            found[event_id] = commit(event_id, TICKS)
        except TransientError as error:
            found[event_id] = error

    threads = [threading.Thread(target=store, args=(each,)) for each in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_an_event_after_a_pause_is_stored_at_once_and_the_next_ones_together() -> None:
    """An event after a pause is stored at once, and those that follow as a group.

    A full group does not wait.
    """
    store = Store()
    commit = GroupCommit(store, FOR_EVER_S)
    assert commit("first", TICKS)
    assert store.groups == [["first"]]
    ids = [f"e{n}" for n in range(MOST_EVENTS)]
    assert all_at_once(commit, ids) == dict.fromkeys(ids, True)
    assert [sorted(group) for group in store.groups] == [["first"], sorted(ids)]


def test_what_a_group_fails_with_is_raised_to_each_of_it() -> None:
    """A group's exception is raised for each of its events, so that each is redelivered."""
    store = Store()
    commit = GroupCommit(store, FOR_EVER_S)
    commit("first", TICKS)
    store.fails = TransientError("Postgres is away")
    found = all_at_once(commit, [f"e{n}" for n in range(MOST_EVENTS)])
    assert {str(each) for each in found.values()} == {"Postgres is away"}
    assert len(found) == MOST_EVENTS
