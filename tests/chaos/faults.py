"""The faults, in a seeded order: every component is killed before any is again."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import redis

from tests.chaos.processes import Up, cut, resume, suspend

_WIPE: Final = "valkey and its data"
_BACK: Final = "valkey and its last writes"
_ALL: Final = "all of kandle up"
TARGETS: Final = (
    *("udp-listener", "udp-bridge", "normalize", "persist", "candle-aggregate", "history-query"),
    *(
        "detect-pattern",
        "live-feed",
        "dead-letter",
        "broker",
        "nats",
        "postgres",
        "valkey",
        "seaweedfs",
        _WIPE,
        _BACK,
        _ALL,
    ),
)
"""What can be killed."""
COPY_EACH: Final = 3
"""Strikes between copies of what Redis has on disk."""
_OTHERS: Final = 0.4
"""The share of faults that are no kills."""


@dataclass
class Faults:
    """Injects faults into a running platform. `done` counts by (kind, component)."""

    up: Up
    seed: int
    targets: Sequence[str]
    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    strikes: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._deck: list[str] = []
        self._older = self.up.data_dir.with_name("older-valkey")
        self._paused: list[threading.Timer] = []

    @property
    def kills(self) -> int:
        """The number of processes killed with -9."""
        return sum(n for (kind, _), n in self.done.items() if kind == "kill -9")

    def strike(self) -> str:
        """Inject the next fault; return its description."""
        self._copy_valkey()
        if self._random.random() < _OTHERS:
            name = self._random.choice(self.up.names() or ["valkey"])
            kind = self._random.choice(["pause", "pause", "cut", "cut", "terminate", "flush"])
            return self._other(kind, name)
        if not self._deck:
            self._deck = self._random.sample(self.targets, len(self.targets))
        return self._kill(self._deck.pop())

    def replace(self, names: Sequence[str]) -> str:
        """Replace processes as a rollout does: end them and wait until new ones serve."""
        old = {name: self._running(name) for name in names}
        for name, process in old.items():
            assert process is not None, f"{name} does not run"
            process.send_signal(signal.SIGTERM)
            self._note("terminate", name)
        deadline = time.monotonic() + 90
        while away := [
            name for name, each in old.items() if each and not self._serves(name, each.pid)
        ]:
            assert time.monotonic() < deadline, f"{away} did not come back"
            time.sleep(0.2)
        return f"replaced {', '.join(names)}"

    def _serves(self, name: str, not_pid: int) -> bool:
        for each in self.up.status().get("components", []):
            if each["name"] == name:
                return bool(each["state"] == "ready" and each["pid"] not in (None, not_pid))
        return False

    def settle(self) -> None:
        """Wait until no process is paused."""
        for each in self._paused:
            each.join()

    def _kill(self, name: str) -> str:
        if name == _ALL:
            self.up.process.kill()
            self.up.process.wait()
            self.up.start()
        elif name in (_WIPE, _BACK):
            self._lose(back=name == _BACK)
        else:
            process = self._running(name)
            if process is None:
                return f"{name} does not run"
            with contextlib.suppress(psutil.Error):
                process.kill()
        return self._note("kill -9", name)

    def _copy_valkey(self) -> None:
        """Copy Redis' files for a later restore; the copy of an earlier fault stays."""
        if _BACK in self.targets and self.strikes % COPY_EACH == 0:
            shutil.rmtree(self._older, ignore_errors=True)
            with contextlib.suppress(OSError, shutil.Error):
                shutil.copytree(self._on_disk, self._older)
        self.strikes += 1

    @property
    def _on_disk(self) -> Path:
        return self.up.data_dir / "valkey" / "appendonlydir"

    def _lose(self, *, back: bool) -> None:
        """Kill Redis and delete its files, all of them or all since the last copy."""
        process = self._running("valkey")
        if process is None:
            return
        with contextlib.suppress(psutil.Error):
            process.suspend()
        data = self._on_disk
        trash = data.with_name("trash")
        with contextlib.suppress(OSError):
            data.rename(trash)
            if back:
                shutil.copytree(self._older, data)
        with contextlib.suppress(psutil.Error):
            process.kill()
        shutil.rmtree(trash, ignore_errors=True)

    def _other(self, kind: str, name: str) -> str:
        if kind == "flush":
            client = redis.Redis.from_url(self.up.env["REDIS_URL"], socket_timeout=5)
            with contextlib.suppress(redis.RedisError), client:
                client.flushall()
                return self._note("FLUSHALL", "valkey")
            return "valkey does not answer"
        process = self._running(name)
        if process is None:
            return f"{name} does not run"
        if kind == "pause":
            stopped = suspend(process)
            timer = threading.Timer(self._random.uniform(0.5, 6), resume, (stopped,))
            timer.start()
            self._paused.append(timer)
            return self._note("SIGSTOP, SIGCONT", name)
        if kind == "cut":
            cut(process)
            return self._note("connections cut", name)
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        return self._note("terminate", name)

    def _running(self, name: str) -> psutil.Process | None:
        """The process of a component; wait for one that was just killed."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if process := self.up.find(name):
                return process
            time.sleep(0.1)
        return None

    def _note(self, kind: str, name: str) -> str:
        self.done[kind, name] += 1
        return f"{kind} {name}"
