"""Dependencies of the first chart are loaded after the first readiness, and not before."""

from __future__ import annotations

import threading

import pytest

from functions.history_query.warm_up import WarmUp
from shared.errors import TransientError


def test_work_begins_once_after_the_first_readiness() -> None:
    """Loading begins once, after the first successful readiness check."""
    stores = {"are_away": True}
    done: list[threading.Thread] = []
    has_worked = threading.Event()

    def ready() -> None:
        if stores["are_away"]:
            raise TransientError("away")

    def work() -> None:
        done.append(threading.current_thread())
        has_worked.set()

    check = WarmUp(ready, work, after_s=0.0)
    with pytest.raises(TransientError):
        check()
    assert not has_worked.is_set()
    stores["are_away"] = False
    check()
    assert has_worked.wait(60)
    check()
    assert len(done) == 1
    assert done[0] is not threading.current_thread()
