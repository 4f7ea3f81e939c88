"""Clock tick: what persist does at intervals, each in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from shared.errors import TransientError

log = logging.getLogger(__name__)

_EACH_S: Final = 60.0


class Maintenance:
    """Runs `work` in a thread of its own, at intervals and never twice at a time.

    The clock event that starts it is answered at once.
    """

    def __init__(self, work: Callable[[], object], each_s: float = _EACH_S) -> None:
        self._work = work
        self._each_s = each_s
        self._busy = threading.Lock()
        self._due_s = 0.0

    def __call__(self) -> None:
        """Start the work when it is due."""
        if time.monotonic() < self._due_s or not self._busy.acquire(blocking=False):
            return
        self._due_s = time.monotonic() + self._each_s
        threading.Thread(target=self._run, name="maintenance", daemon=True).start()

    def _run(self) -> None:
        try:
            self._work()
        except TransientError as error:
            log.warning("maintenance goes on in the next round: %s", error)
        finally:
            self._busy.release()
