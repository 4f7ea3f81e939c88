"""A live state that is begun at once, for tests without anything stored."""

from __future__ import annotations

from functions.candle_aggregate.rebuild import begin
from functions.candle_aggregate.store import Store


def begin_state(store: Store, epoch: int) -> None:
    """Begin a state in an empty Redis."""
    assert store.claim(epoch)
    begin(store, epoch)
