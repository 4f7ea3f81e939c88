"""Group commit: calls that wait are one step, and an error reaches whom it concerns."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from shared.errors import TransientError
from shared.runtime.group_commit import GroupCommit


class Steps:
    """Steps of which the first waits for the others' calls; `error` is raised for item 1."""

    def __init__(self, error: Exception | None = None) -> None:
        self.groups: list[list[int]] = []
        self._error = error
        self._begun, self._go_on = threading.Event(), threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.groups.append(sorted(items))
        if not self._begun.is_set():
            self._begun.set()
            assert self._go_on.wait(30)
        if self._error is not None and 1 in items:
            raise self._error
        return [10 * each for each in items]

    def run(self, count: int) -> list[Future[int]]:
        """Call with 0, and with all others while its step is under way."""
        group: GroupCommit[int, int] = GroupCommit(turn=threading.Lock())
        with ThreadPoolExecutor(count) as pool:
            calls = [pool.submit(group, 0, self)]
            assert self._begun.wait(30)
            calls += [pool.submit(group, n, self) for n in range(1, count)]
            while len(group._waiting) < count - 1:
                pass
            self._go_on.set()
        return calls


def test_those_that_wait_are_one_step() -> None:
    """Calls that wait during a step are done together, and each gets its own result."""
    steps = Steps()
    assert [each.result() for each in steps.run(9)] == [10 * n for n in range(9)]
    assert steps.groups == [[0], [*range(1, 9)]]


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (TransientError("away"), [False, True, True, True, True]),
        (ZeroDivisionError(), [False, True, False, False, False]),
    ],
)
def test_an_error_reaches_whom_it_concerns(error: Exception, failed: list[bool]) -> None:
    """A store's error is raised by all calls of a step, a defect by its own call only."""
    assert [each.exception() is error for each in Steps(error).run(5)] == failed


def test_a_step_with_too_few_results_fails_its_calls() -> None:
    """A step that returns too few results is an error to all its calls; none waits on."""

    class Short(Steps):
        def __call__(self, items: Sequence[int]) -> list[int]:
            return super().__call__(items)[1:]

    assert [type(each.exception()) for each in Short().run(5)] == [ValueError] * 5
