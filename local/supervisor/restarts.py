"""Keeps one component running: starts it, and restarts it with backoff when it dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from local.errors import PlatformError, StartError
from local.instance import RunningComponent
from local.supervisor.child import Child
from local.supervisor.component import Component, NotReadyError
from local.supervisor.forks import Forks
from local.supervisor.leftovers import ProcessRecord
from shared.runtime.settings import SettingsError
from shared.runtime.tasks import end

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 5.0
"""Shorter than what the display Trigger retries for (15 s), so that screens miss nothing."""
STEADY_AFTER_S = 30.0
"""The backoff resets after this uptime."""

_FIRST_ATTEMPTS = 3
_MEND_PATIENCE_S = 5.0
_POLL_S = 0.05
_SHOWN_LINES = 12


class State(StrEnum):
    """State of a component."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    NOT_READY = "not ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(eq=False)
class Keeper:
    """Keeps `component` running. `notice` gets a line when it dies and when it is back.

    `reason` is why it is not ready, if known; None while it is.
    """

    component: Component
    record: ProcessRecord
    notice: Callable[[str], None]
    forks: Forks | None = None
    state: State = State.WAITING
    restarts: int = 0
    reason: str | None = None
    _child: Child | None = None
    _task: asyncio.Task[None] | None = None
    _backoff_s: float = FIRST_BACKOFF_S
    _stopping: bool = False

    @property
    def pid(self) -> int | None:
        """Process id of the running process, if any."""
        return self._child.pid if self._child else None

    def described(self) -> RunningComponent:
        """Return its description for other processes."""
        part = self.component
        return RunningComponent(part.name, part.kind, self.pid, part.url, str(part.log))

    async def start(self) -> None:
        """Start it; return when it is ready.

        Raises StartError with its last log lines if it is not ready in time or keeps ending.
        """
        for attempt in range(1, _FIRST_ATTEMPTS + 1):
            child = await self._spawn()
            outcome = await self._until_ready(child)
            if outcome is None:
                self._task = asyncio.create_task(self._supervise(child))
                return
            lines = child.last_lines(_SHOWN_LINES)
            if attempt < _FIRST_ATTEMPTS and not outcome.startswith("not ready"):
                await self._pause()
                continue
            raise StartError(
                f"{self.component.name} did not start ({outcome}). Its log is {self.component.log}"
                + (", and ends with:" if lines else ", and is empty.")
                + "".join(f"\n  {line}" for line in _without_traceback(lines))
            )

    async def check(self) -> None:
        """Probe a component that was ready once; update `state` and `reason`."""
        child = self._child
        if self.state not in (State.READY, State.NOT_READY):
            return
        is_ready = await self._probe()
        # It may have died or been stopped during the probe.
        if child is self._child and self.state in (State.READY, State.NOT_READY):
            self.state = State.READY if is_ready else State.NOT_READY

    async def mend(self) -> None:
        """Stop a process that runs but is broken; it is restarted like any that ended."""
        child = self._child
        if child is None or self.component.broken is None or self.state is not State.READY:
            return
        reason = await self.component.broken()
        if reason is not None and child is self._child and not self._stopping:
            self.notice(f"{self.component.name} {reason}: it is ended, to be started again")
            await child.stop(self.component.stop_signal, _MEND_PATIENCE_S)

    async def stop(self, patience_s: float) -> bool:
        """Stop it for good within `patience_s`; return False if it had to be killed."""
        self._stopping = True
        if self._task is not None:
            await end(self._task)
        by_itself = True
        if self._child is not None:
            by_itself = await self._child.stop(self.component.stop_signal, patience_s)
            self._forget()
        self.state = State.STOPPED
        return by_itself

    def kill(self) -> None:
        """Kill its process at once. Call `stop` afterwards to reap it."""
        self._stopping = True
        if self._child is not None:
            self._child.kill()

    async def _supervise(self, child: Child) -> None:
        while True:
            ready_since = time.monotonic()
            outcome = await child.ended()
            if self._stopping:
                return
            if time.monotonic() - ready_since >= STEADY_AFTER_S:
                self._backoff_s = FIRST_BACKOFF_S
            child = await self._restart(outcome)

    async def _restart(self, outcome: str) -> Child:
        while True:
            self._forget()
            self.state = State.RESTARTING
            self.reason = outcome
            self.restarts += 1
            self.notice(
                f"{self.component.name} died ({outcome}); starting it again in "
                f"{self._backoff_s:g} s, log: {self.component.log}"
            )
            await self._pause()
            try:
                child = await self._spawn()
                ended = await self._until_ready(child)
            except (PlatformError, OSError) as error:
                ended = str(error)
            if ended is None:
                self.notice(f"{self.component.name} is back (process {child.pid})")
                return child
            outcome = ended

    async def _pause(self) -> None:
        await asyncio.sleep(self._backoff_s)
        self._backoff_s = min(2 * self._backoff_s, LONGEST_BACKOFF_S)

    async def _spawn(self) -> Child:
        self.state = State.STARTING
        if self.component.prepare is not None:
            await self.component.prepare()
        child = await Child.start(self.component, self.forks)
        self._child = child
        self.record.add(self.component.name, child.pid, self.component.stop_signal)
        return child

    async def _until_ready(self, child: Child) -> str | None:
        """Wait until it is ready; return None. Otherwise return how it ended."""
        end = asyncio.create_task(child.ended())
        deadline = time.monotonic() + self.component.start_timeout_s
        try:
            while time.monotonic() < deadline:
                is_ready = await self._probe()
                if end.done():  # another process may have answered instead
                    self._forget()
                    return end.result()
                if is_ready:
                    self.state = State.READY
                    return None
                await asyncio.wait([end], timeout=_POLL_S)
        finally:
            end.cancel()
        await child.stop(self.component.stop_signal, 1.0)
        self._forget()
        reason = f": {self.reason}" if self.reason else ""
        return f"not ready after {self.component.start_timeout_s:g} s{reason}"

    async def _probe(self) -> bool:
        try:
            is_ready = await self.component.ready()
        except NotReadyError as error:
            self.reason = str(error)
            return False
        self.reason = None
        return is_ready

    def _forget(self) -> None:
        if self._child is not None:
            self.record.remove(self.component.name)
            if self.component.clean_up is not None:
                self.component.clean_up()
            self._child = None


def _without_traceback(lines: list[str]) -> list[str]:
    """Return the lines without a traceback before bad settings, which name variable and fix."""
    for number, line in enumerate(lines):
        _, is_there, message = line.partition(f"{SettingsError.__name__}: ")
        if is_there:
            return [message, *lines[number + 1 :]]
    return lines
