from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from local.errors import StartError
from local.supervisor import child
from local.supervisor.component import Component, Kind, NotReadyError
from local.supervisor.leftovers import ProcessRecord
from local.supervisor.restarts import Keeper, State
from tests.local.broker.processes import eventually

pytestmark = pytest.mark.processes

SLEEPS = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")
FAILS = (sys.executable, "-c", "print('no such table'); raise SystemExit(3)")
IGNORES = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); "
    "time.sleep(60)",
)


@pytest.fixture
def component(tmp_path: Path) -> Component:
    log = tmp_path / "sleeper.log"

    async def ready() -> bool:
        return log.exists() and log.read_text().endswith("up\n")

    return Component(
        name="sleeper", kind=Kind.FUNCTION, command=SLEEPS, url="", log=log, ready=ready
    )


def keeper(component: Component, notices: list[str] | None = None) -> Keeper:
    record = ProcessRecord(component.log.with_name("processes.json"))
    return Keeper(component, record, (notices if notices is not None else []).append)


def test_a_component_that_ends_at_every_start_is_an_error(component: Component) -> None:
    """A component that ends at every start is an error with exit code and end of its log."""
    supervised = keeper(replace(component, command=FAILS))
    with pytest.raises(StartError) as caught:
        asyncio.run(supervised.start())
    for part in ("sleeper did not start (exit code 3)", "no such table", str(component.log)):
        assert part in str(caught.value)
    assert component.log.read_text().count("no such table") == 3


def test_bad_settings_are_told_without_a_traceback(component: Component) -> None:
    """An error about settings has the message that names the variable, and no traceback."""
    program = (
        "from shared.runtime.settings import SettingsError; raise SettingsError('bad\\n  X=0')"
    )
    supervised = keeper(replace(component, command=(sys.executable, "-c", program)))
    with pytest.raises(StartError) as caught:
        asyncio.run(supervised.start())
    assert str(caught.value).endswith("and ends with:\n  bad\n    X=0")


def test_a_program_that_is_not_there_is_an_error(component: Component) -> None:
    """A missing program is reported like any failed start."""
    supervised = keeper(replace(component, command=("/nowhere/program",)))
    with pytest.raises(StartError, match="cannot run /nowhere/program: No such file"):
        asyncio.run(supervised.start())


def test_a_component_that_is_never_ready_is_an_error_and_gone(component: Component) -> None:
    """A component that is not ready in time is an error and is stopped."""

    async def never() -> bool:
        return False

    supervised = keeper(replace(component, ready=never, start_timeout_s=0.5))
    with pytest.raises(StartError, match=r"not ready after 0\.5 s"):
        asyncio.run(supervised.start())
    assert supervised.pid is None


def test_why_it_is_not_ready_stands_in_the_error(component: Component) -> None:
    """The error has the last response of the readiness probe."""

    async def never() -> bool:
        raise NotReadyError("GET /health/readiness: 503: the database is away")

    silent = (sys.executable, "-c", "import time; time.sleep(60)")
    supervised = keeper(replace(component, command=silent, ready=never, start_timeout_s=0.3))
    with pytest.raises(StartError) as caught:
        asyncio.run(supervised.start())
    assert "not ready after 0.3 s: GET /health/readiness: 503: the database is away" in str(
        caught.value
    )


def test_what_is_no_longer_ready_says_why(component: Component) -> None:
    """A component that is no longer ready has its reason until it is ready again."""
    away = ""

    async def ready() -> bool:
        if away:
            raise NotReadyError(away)
        return True

    async def run() -> list[tuple[State, str | None]]:
        nonlocal away
        supervised = keeper(replace(component, ready=ready))
        await supervised.start()
        states = []
        for away in ("", "the database is away", ""):  # noqa: B007 - `ready` reads it
            await supervised.check()
            states.append((supervised.state, supervised.reason))
        await supervised.stop(2.0)
        await supervised.check()
        return [*states, (supervised.state, supervised.reason)]

    assert asyncio.run(run()) == [
        (State.READY, None),
        (State.NOT_READY, "the database is away"),
        (State.READY, None),
        (State.STOPPED, None),
    ]


def test_each_death_waits_longer_than_the_last(component: Component) -> None:
    """Restarts back off, and each death is reported once."""
    notices: list[str] = []

    async def die_twice() -> Keeper:
        supervised = keeper(component, notices)
        await supervised.start()
        for deaths in (1, 2):
            assert supervised.pid is not None
            psutil.Process(supervised.pid).kill()
            while supervised.restarts < deaths or supervised.state is not State.READY:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await supervised.stop(2.0)
        return supervised

    supervised = asyncio.run(die_twice())
    assert supervised.restarts == 2
    assert [each.partition(" in ")[2][:5] for each in notices if "died" in each] == [
        "0.5 s",
        "1 s, ",
    ]
    assert sum("is back" in each for each in notices) == 2


def test_what_ignores_the_signal_is_killed_in_time(component: Component) -> None:
    """A component that ignores SIGTERM is killed at its time limit, which is reported."""

    async def stop() -> bool:
        supervised = keeper(replace(component, command=IGNORES))
        await supervised.start()
        return await supervised.stop(0.3)

    assert asyncio.run(stop()) is False


def test_what_it_started_itself_ends_with_it(component: Component) -> None:
    """A component's whole process group ends with it."""
    code = (
        "import subprocess, sys, time; "
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        "print(p.pid); print('up', flush=True); time.sleep(60)"
    )

    async def kill() -> int:
        supervised = keeper(replace(component, command=(sys.executable, "-c", code)))
        await supervised.start()
        grandchild = int(component.log.read_text().split()[0])
        await supervised.stop(2.0)
        return grandchild

    grandchild = asyncio.run(kill())
    eventually(lambda: not psutil.pid_exists(grandchild))


def test_a_log_that_has_grown_is_rotated(
    component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large log is rotated with one old file; a small one is appended to."""
    monkeypatch.setattr(child, "LOG_LIMIT_BYTES", 10)
    component.log.write_text("short\n")
    child.rotate(component.log)
    assert component.log.read_text() == "short\n"
    component.log.write_text("longer than ten bytes\n")
    child.rotate(component.log)
    assert not component.log.exists()
    assert component.log.with_name("sleeper.log.1").read_text() == "longer than ten bytes\n"


def test_leftovers_of_a_crash_are_ended(component: Component, tmp_path: Path) -> None:
    """Processes of a crashed supervisor are ended, and others with a reused id are not."""
    file = tmp_path / "processes.json"
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    ProcessRecord(file).add("left", left.pid, signal.SIGTERM)
    assert ProcessRecord(file).end_leftovers() == ["left"]
    assert not psutil.pid_exists(left.pid)
    left.wait(5)
    assert not file.exists()

    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    ProcessRecord(file).add("gone", stranger.pid, signal.SIGTERM)
    file.write_text(file.read_text().replace('"created": ', '"created": 1'))
    assert ProcessRecord(file).end_leftovers() == []
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait(5)
