"""One process: tied to this one, logs to a file, stops within a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from local.supervisor.component import Component, base_environment, tethered
from local.supervisor.forks import Forked, Forks
from local.supervisor.leftovers import kill_group

LOG_LIMIT_BYTES = 8 * 1024 * 1024
_TAIL_BYTES = 16 * 1024


@dataclass(frozen=True)
class Child:
    """A started process of a component; its log begins at `log_start`."""

    process: asyncio.subprocess.Process | Forked
    log: Path
    log_start: int

    @classmethod
    async def start(cls, component: Component, forks: Forks | None = None) -> Child:
        """Start it in its own session, so that only the supervisor gets Ctrl-C."""
        rotate(component.log)
        environment = base_environment() | dict(component.environment)
        with component.log.open("ab") as log:
            position = log.tell()
            forked = await forks.fork(component, environment, log) if forks else None
            process = forked or await _executed(component, environment, log)
        return cls(process, component.log, position)

    @property
    def pid(self) -> int:
        """Its process id, which also names its group."""
        return self.process.pid

    async def ended(self) -> str:
        """Wait for its end; return how it ended."""
        code = await self.process.wait()
        kill_group(self.pid)  # its own children
        if code >= 0:
            return f"exit code {code}"
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"

    async def stop(self, stop_signal: signal.Signals, patience_s: float) -> bool:
        """Ask it to end, kill it after `patience_s`; return whether it ended by itself."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(stop_signal)
        try:
            async with asyncio.timeout(patience_s):
                await self.ended()
        except TimeoutError:
            self.kill()
            await self.ended()
            return False
        return True

    def kill(self) -> None:
        """Kill it and what it started, at once."""
        if self.process.returncode is None:
            kill_group(self.pid)

    def last_lines(self, count: int) -> list[str]:
        """Return the last log lines of this process."""
        with self.log.open("rb") as log:
            end = log.seek(0, 2)
            log.seek(max(self.log_start, end - _TAIL_BYTES))
            return log.read().decode(errors="replace").splitlines()[-count:]


async def _executed(
    component: Component, environment: Mapping[str, str], log: BinaryIO
) -> asyncio.subprocess.Process:
    command = tethered(
        component.command,
        prefix=component.prefix,
        user=component.user,
        death_signal=component.death_signal,
    )
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=component.directory,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def rotate(log: Path) -> None:
    """Rotate a large log; keep one old file."""
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_name(log.name + ".1"))
