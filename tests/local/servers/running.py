"""Runs one real server for a test, under the platform's supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable
from pathlib import Path
from typing import Self, TypeVar

from local.servers.server import Server
from local.supervisor.leftovers import ProcessRecord
from local.supervisor.restarts import Keeper, State
from tests.local.broker.processes import until

T = TypeVar("T")


class Running:
    """A context in which the server runs; `ask` runs a client against it."""

    def __init__(self, server: Server, tmp_path: Path) -> None:
        self.variables = server.variables
        self.notices: list[str] = []
        self.keeper = Keeper(
            server.component, ProcessRecord(tmp_path / "processes.json"), self.notices.append
        )
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        try:
            self._runner.run(self.keeper.start())
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self.keeper.stop(5.0))
        self._runner.close()

    def ask(self, client: Awaitable[T]) -> T:
        """Run a client to its end while the supervisor watches the server."""

        async def run() -> T:
            return await client

        return self._runner.run(run())

    def kill_and_await_return(self) -> None:
        """Kill the server and wait until the supervisor has restarted it."""
        killed = self.keeper.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        self.await_return(killed)

    def await_return(self, ended: int | None) -> None:
        """Wait until the supervisor has restarted it as a new process."""

        async def back() -> None:
            await until(lambda: self._is_back(ended))

        self._runner.run(back())

    def _is_back(self, ended: int | None) -> bool:
        return self.keeper.pid not in (ended, None) and self.keeper.state is State.READY
