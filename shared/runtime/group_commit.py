"""Group commit: calls that wait at the same time are done in one step, by the first of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, TypeVar

from shared.errors import TransientError

Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommit(Generic[Item, Result]):
    """Groups the calls of concurrent threads.

    The first call of a group leads it: it waits until the group before began `every_s` ago, unless
    its own `is_full`, then until it may enter `turn`, and does what all have asked for meanwhile.
    """

    def __init__(
        self,
        *,
        every_s: float = 0.0,
        is_full: Callable[[list[Item]], bool] = lambda items: False,
        turn: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.turn = turn or nullcontext()
        self._every_s, self._is_full = every_s, is_full
        self._next_s = 0.0
        self._lock = threading.Lock()
        self._full = threading.Event()
        self._waiting: dict[Future[Result], Item] = {}

    def __call__(self, item: Item, step: Callable[[list[Item]], Sequence[Result]]) -> Result:
        """Return the item's result. `step`: the leader's; it returns the result of each item.

        Raises what the step raises: TransientError to all calls of the group, any other error only
        to the call whose item causes it.
        """
        result: Future[Result] = Future()
        with self._lock:
            leads = not self._waiting
            self._waiting[result] = item
            if self._is_full([*self._waiting.values()]):
                self._full.set()
            wait_s = self._next_s - time.monotonic()
        if leads:
            self._full.wait(max(wait_s, 0))
            with self.turn:
                with self._lock:
                    self._next_s = time.monotonic() + self._every_s
                    group, self._waiting = self._waiting, {}
                    self._full.clear()
                _do(group, step)
        return result.result()


def _do(group: dict[Future[Result], Item], step: Callable[[list[Item]], Sequence[Result]]) -> None:
    try:
        answers = list(zip(group, step([*group.values()]), strict=True))
    except BaseException as error:  # noqa: BLE001 - raised by each call
        is_defect = isinstance(error, Exception) and not isinstance(error, TransientError)
        for call, item in group.items():
            if is_defect and len(group) > 1:
                _do({call: item}, step)
            else:
                call.set_exception(error)
    else:
        for call, result in answers:
            call.set_result(result)
