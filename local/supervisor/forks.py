"""Processes from the fork server, with the interface of `asyncio.subprocess.Process`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from local.supervisor import fork_server
from local.supervisor.component import Component, base_environment, tethered
from local.supervisor.fork_server import MAX_REQUEST_BYTES, Request


class Forked:
    """A process forked by the fork server."""

    def __init__(self, pid: int, replies: asyncio.StreamReader) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._replies = replies
        self._end = asyncio.create_task(self._read_end())

    async def wait(self) -> int:
        """Wait for its end; return its exit code, or the negative number of the signal."""
        return await asyncio.shield(self._end)

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    async def _read_end(self) -> int:
        line = await self._replies.readline()
        # No line: the server is gone, and all its forks with it.
        code = os.waitstatus_to_exitcode(int(line)) if line else -signal.SIGKILL
        self.returncode = code
        return code


@dataclass(frozen=True)
class Forks:
    """The fork server of a platform, for modules that run in `directory`."""

    process: asyncio.subprocess.Process
    control: socket.socket
    directory: Path

    @classmethod
    async def start(cls, directory: Path, log: Path) -> Forks | None:
        """Start it, tied to this process; None if the system does not support it."""
        if sys.platform != "linux":
            return None
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", fork_server.__name__, str(theirs.fileno())]
        with theirs, log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *tethered(command),
                cwd=directory,
                # One thread, since a fork keeps only the calling one.
                env=base_environment() | {"OPENBLAS_NUM_THREADS": "1"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        return cls(process, control, directory)

    async def fork(
        self, component: Component, environment: Mapping[str, str], log: BinaryIO
    ) -> Forked | None:
        """Return the component's process; None if it cannot be forked."""
        python, *rest = component.command
        if (
            (python, rest[:1]) != (sys.executable, ["-m"])
            or component.prefix
            or component.user is not None
            or component.directory != self.directory
        ):
            return None
        request = Request(
            component.name,
            *(rest[1], rest[2:], dict(environment)),
            *(str(component.directory), int(component.death_signal)),
        )
        packet = json.dumps(asdict(request)).encode()
        if len(packet) > MAX_REQUEST_BYTES:
            return None
        reader, pipe = os.pipe()
        replies = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(replies), os.fdopen(reader, "rb", 0)
        )
        try:
            socket.send_fds(self.control, [packet], [log.fileno(), pipe])
        except OSError:
            return None
        finally:
            os.close(pipe)
        line = await replies.readline()
        return Forked(int(line), replies) if line else None

    async def stop(self) -> None:
        """Stop it, after all its forks have ended."""
        self.control.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self.process.wait()
                return
        self.process.kill()
        await self.process.wait()
