"""Graceful stop of a long command: the first SIGINT or SIGTERM asks, a second one kills."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set; use its `wait` for interruptible sleeps.

    The first signal restores the previous handlers, so that a second one ends the process.
    """
    stop = threading.Event()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        restore()

    for number in previous:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()


@contextmanager
def left_on_signals() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Leave the block at SIGINT or SIGTERM; yield what makes blocks that the first one lets end."""
    is_whole = is_asked = False

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_asked
        waits, is_asked = is_whole and not is_asked, True
        if not waits:
            raise KeyboardInterrupt

    @contextmanager
    def whole() -> Iterator[None]:
        nonlocal is_whole
        is_whole = True
        try:
            yield
        finally:
            is_whole = False
        if is_asked:
            raise KeyboardInterrupt

    previous = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with suppress(KeyboardInterrupt):
            yield whole
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
