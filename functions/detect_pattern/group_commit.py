"""Group commit: one step takes all queued events; its leader publishes.

A step reads and writes whole series, so one step for sixteen events costs little more than for one;
racing threads would lose most of their work to conflicts.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from functions.detect_pattern.series import Series
from functions.detect_pattern.window import Window
from shared.errors import TransientError
from shared.realtime.pattern_series import Name

Candles = Mapping[Name, Window]


@dataclass(slots=True, eq=False)
class _Pending:
    candles: Candles
    done: bool = False
    error: TransientError | None = None


class GroupCommit:
    """Groups concurrent calls. `alone`: held while series are changed."""

    def __init__(self) -> None:
        self.alone = threading.Lock()
        self._waiting: deque[_Pending] = deque()

    @property
    def waiting(self) -> int:
        """Number of events queued behind the running step."""
        return len(self._waiting)

    def take(self, candles: Candles, step: Callable[[Candles], list[Series]]) -> list[Series]:
        """Merge candles; return the series to publish, none if another call of the group leads.

        Raises what the step raises: TransientError to all calls of the group, any other error only
        to the call whose candles cause it.
        """
        pending = _Pending(candles)
        self._waiting.append(pending)
        with self.alone:
            if not pending.done:
                return self._lead(pending, step)
        if pending.error is not None:
            raise pending.error
        return []

    def _lead(self, pending: _Pending, step: Callable[[Candles], list[Series]]) -> list[Series]:
        group = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            changed = step(_together(group))
        except TransientError as error:
            for each in group:
                each.done, each.error = True, error
            raise
        except Exception:  # noqa: BLE001 - raised again, alone
            self._waiting.extendleft(reversed([each for each in group if each is not pending]))
            pending.done = True
            return step(pending.candles)
        for each in group:
            each.done = True
        return changed


def _together(group: Sequence[_Pending]) -> dict[Name, Window]:
    candles: dict[Name, Window] = {}
    for pending in group:
        for name, window in pending.candles.items():
            if name in candles:
                candles[name].merge(window)
            else:
                candles[name] = replace(window)
    return candles
