"""Forked processes behave like programs of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.supervisor.child import Child
from local.supervisor.component import Component, Kind
from local.supervisor.forks import Forks
from tests.local.broker.processes import eventually

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="there is a fork server on Linux alone"),
]

Forking = Callable[[Callable[[Forks], Coroutine[Any, Any, None]]], None]

SAYS = """
import atexit, os, signal, sys, threading, time
if __name__ == "__main__":
    atexit.register(print, "at the end")
    print(sys.argv[1:], os.environ["WHAT"], "HOME" in os.environ, os.getcwd())
    handler = signal.getsignal(signal.SIGCHLD)
    print(os.getsid(0) == os.getpid(), threading.active_count(), int(handler))
    print("loaded before" if "numpy" in sys.modules else "")
    if "sleep" in sys.argv:
        print("up")
        time.sleep(60)
    sys.exit(3)
"""


@pytest.fixture
def component(tmp_path: Path) -> Component:
    (tmp_path / "says.py").write_text(SAYS)

    async def ready() -> bool:
        return True

    return Component(
        name="says",
        kind=Kind.FUNCTION,
        command=(sys.executable, "-m", "says", "a", "b c"),
        environment={"WHAT": "this"},
        url="",
        log=tmp_path / "says.log",
        ready=ready,
        directory=tmp_path,
    )


@pytest.fixture
def forking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Forking:
    """Runs a test's coroutine with a fork server for the directory of `component`."""
    root = str(Path(__file__).parents[3])
    monkeypatch.setenv("PYTHONPATH", root)

    def run(test: Callable[[Forks], Coroutine[Any, Any, None]]) -> None:
        async def inside() -> None:
            forks = await Forks.start(tmp_path, tmp_path / "server.log")
            assert forks is not None
            try:
                await test(forks)
            finally:
                await forks.stop()

        asyncio.run(inside())

    return run


async def up(component: Component) -> None:
    await asyncio.to_thread(eventually, lambda: component.log.read_text().endswith("up\n"))


def sleeping(component: Component) -> Component:
    return replace(component, command=(*component.command, "sleep"))


def test_a_module_runs_as_the_main_program_of_its_own_process(
    component: Component, forking: Forking
) -> None:
    """A forked module is a main program with its own arguments, environment, session and output.

    What is shared is loaded. A request larger than a packet, as of a large environment, starts a
    program instead.
    """
    large = {"WHAT": "this", **{f"LARGE_{n}": "x" * 50_000 for n in range(3)}}

    async def test(forks: Forks) -> None:
        child = await Child.start(component, forks)
        assert await child.ended() == "exit code 3"
        assert component.log.read_text().splitlines() == [
            f"['a', 'b c'] this {'HOME' in os.environ} {component.directory}",
            "True 1 0",
            "loaded before",
            "at the end",
        ]
        own = replace(component, environment=large, log=component.log.with_name("own.log"))
        child = await Child.start(own, forks)
        assert await child.ended() == "exit code 3"
        assert "loaded before" not in own.log.read_text()

    forking(test)


def test_a_signal_ends_one_and_no_other(component: Component, forking: Forking) -> None:
    """A killed process is reported at once, and the server and its other processes go on.

    The server has one thread: another one could hold a lock in a fork forever.
    """

    async def test(forks: Forks) -> None:
        other = replace(sleeping(component), log=component.log.with_name("other.log"))
        killed = await Child.start(sleeping(component), forks)
        stays = await Child.start(other, forks)
        await up(component)
        await up(other)
        assert psutil.Process(psutil.Process(stays.pid).ppid()).num_threads() == 1
        os.kill(killed.pid, signal.SIGKILL)
        assert await killed.ended() == "killed by SIGKILL"
        assert not psutil.pid_exists(killed.pid)
        assert psutil.Process(stays.pid).is_running()
        assert await stays.stop(signal.SIGTERM, 10)
        assert not psutil.pid_exists(stays.pid)

    forking(test)


def test_a_dead_fork_server_is_the_end_of_its_processes_and_of_nothing_else(
    component: Component, forking: Forking
) -> None:
    """A dead fork server ends its processes only, and later ones start as programs."""

    async def test(forks: Forks) -> None:
        child = await Child.start(sleeping(component), forks)
        await up(component)
        os.kill(psutil.Process(child.pid).ppid(), signal.SIGKILL)
        assert await child.ended() == "killed by SIGKILL"
        again = await Child.start(component, forks)
        assert await again.ended() == "exit code 3"
        assert "loaded before" not in component.log.read_text().splitlines()[-4:]

    forking(test)


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("local.broker", "--eventing"),
        ("functions.exchange_bridge.bridge", "K_SINK is not set"),
        ("functions.udp_bridge.listener", "K_SINK is not set"),
    ],
)
def test_what_is_forked_is_a_program_of_its_own_too(module: str, says: str) -> None:
    """A forked module also runs alone, as in a container, and loads all that it needs."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=Path(__file__).parents[3],
        env={name: each for name, each in os.environ.items() if name != "K_SINK"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert says in done.stderr
