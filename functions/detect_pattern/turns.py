"""Turns: what threads want done to the same series is done by one of them, for all that wait.

Judging is work for the one interpreter, and a step reads and writes each series whole: threads that
raced would throw most of it away, and one step for sixteen events costs little more than for one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from functions.detect_pattern.series import Kept, Name, Series
from shared.errors import TransientError

Candles = Mapping[Name, Sequence[Kept]]


@dataclass(slots=True, eq=False)
class _Wish:
    candles: Candles
    done: bool = False
    error: TransientError | None = None


class Turns:
    """Groups concurrent calls. `alone`: held while series are changed."""

    def __init__(self) -> None:
        self.alone = threading.Lock()
        self._waiting: deque[_Wish] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for the step at work to end."""
        return len(self._waiting)

    def take(self, candles: Candles, step: Callable[[Candles], list[Series]]) -> list[Series]:
        """Return what a step gives that takes these candles in; nothing where another told it.

        Raises what the step raises. A defect is met alone, so that it is nobody else's.
        """
        mine = _Wish(candles)
        self._waiting.append(mine)
        with self.alone:
            if not mine.done:
                return self._lead(mine, step)
        if mine.error is not None:
            raise mine.error
        return []

    def _lead(self, mine: _Wish, step: Callable[[Candles], list[Series]]) -> list[Series]:
        group = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            told = step(_together(group))
        except TransientError as error:
            for wish in group:
                wish.done, wish.error = True, error
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is met alone
            self._waiting.extendleft(reversed([wish for wish in group if wish is not mine]))
            mine.done = True
            return step(mine.candles)
        for wish in group:
            wish.done = True
        return told


def _together(group: Sequence[_Wish]) -> dict[Name, list[Kept]]:
    candles: dict[Name, list[Kept]] = {}
    for wish in group:
        for name, some in wish.candles.items():
            candles.setdefault(name, []).extend(some)
    return candles
