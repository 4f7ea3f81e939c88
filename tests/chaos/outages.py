"""A store is away for a while: silent with an open port, or gone with a closed one."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import psutil

from tests.chaos.processes import Up, resume, suspend

STORES: Final = ("postgres", "valkey", "nats", "seaweedfs")


@dataclass
class Outage:
    """Observations during an outage. `lag`: the most waiting events by trigger."""

    store: str
    how: str
    seconds: float
    lag: dict[str, int] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)

    def see(self, up: Up) -> None:
        """Take a sample."""
        for highest, seen in ((self.lag, up.status().get("lag", {})), (self.memory, up.memory())):
            for name, value in seen.items():
                highest[name] = max(value, highest.get(name, 0))


@contextlib.contextmanager
def silent(up: Up, store: str) -> Iterator[None]:
    """The store accepts connections and does not answer."""
    process = up.find(store)
    assert process is not None, f"{store} does not run"
    stopped = suspend(process)
    try:
        yield
    finally:
        resume(stopped)


@contextlib.contextmanager
def gone(up: Up, store: str) -> Iterator[None]:
    """The store is killed whenever it is started, so that connections are refused."""
    done = threading.Event()

    def kill() -> None:
        while not done.wait(0.02):
            with contextlib.suppress(psutil.Error):
                if process := up.find(store):
                    process.kill()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        yield
    finally:
        done.set()
        killer.join()


def outage(up: Up, store: str, how: str, seconds: float, say: Callable[[str], None]) -> Outage:
    """Take a store away for so long while ticks stream in."""
    found = Outage(store, how, seconds)
    until = time.monotonic() + seconds
    with (silent if how == "silent" else gone)(up, store):
        reported_s = time.monotonic()
        while time.monotonic() < until:
            time.sleep(1)
            found.see(up)
            if time.monotonic() - reported_s > 15:
                reported_s = time.monotonic()
                say(f"{store} is {how}, {until - reported_s:.0f} s more, {waiting(up)}")
    return found


def waiting(up: Up) -> str:
    """A short text with the number of waiting events by trigger."""
    lag = up.status().get("lag", {})
    some = [f"{name.rpartition('/')[2]} {n:,}" for name, n in lag.items() if n > 1]
    return f"lag {' '.join(some) or 0}"
