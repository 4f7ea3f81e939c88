"""`kandle up` as a subprocess, for black-box tests."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.instance import Instance
from local.servers.ports import free_port
from local.supervisor.component import tethered

KANDLE = (sys.executable, "-m", "local.cli.main")
STORES = ("NATS_URL", "REDIS_URL", "DATABASE_URL", "S3_ENDPOINT_URL")


def environment() -> dict[str, str]:
    """This process's environment without the stores of another instance."""
    return {name: value for name, value in os.environ.items() if name not in STORES}


def kandle(
    *arguments: str, check: bool = True, settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of `kandle` to its end; `settings`: additional variables."""
    return subprocess.run(
        [*KANDLE, *arguments],
        capture_output=True,
        text=True,
        check=check,
        timeout=120,
        env={**environment(), **(settings or {})},
    )


@contextmanager
def running(
    data_dir: Path,
    *arguments: str,
    start_s: float = 180,
    settings: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[dict[str, str]]:
    """Start `kandle up`, wait until it is ready, yield what `kandle env` prints; stop it.

    It ends with this process, also when that is killed. `settings`: variables for all its
    processes. `prefix`: a program that runs it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    output = data_dir.parent / f"{data_dir.name}.out"
    command = [*KANDLE, "up", "--data-dir", str(data_dir)]
    command += ["--http-port", str(free_port()), "--udp-port", str(free_port(socket.SOCK_DGRAM))]
    with output.open("w") as stream:
        process = subprocess.Popen(
            tethered([*command, *arguments], prefix=prefix, death_signal=signal.SIGTERM),
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**environment(), **(settings or {})},
        )
    try:
        deadline = time.monotonic() + start_s
        while not re.search(r"^ready", output.read_text(), re.MULTILINE):
            assert process.poll() is None, f"kandle up ended:\n{output.read_text()}"
            assert time.monotonic() < deadline, f"not ready:\n{output.read_text()}"
            time.sleep(0.1)
        yield {"DATA_DIR": str(data_dir), **Instance.load(data_dir).env}
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
