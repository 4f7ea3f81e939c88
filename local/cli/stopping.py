"""Graceful stop of a long command: the first SIGINT or SIGTERM asks, a second one kills."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
def left_on_signals() -> Iterator[None]:
    """Leave the block at SIGINT or SIGTERM."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {each: signal.signal(each, signal.default_int_handler) for each in numbers}
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
