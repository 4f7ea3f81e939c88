"""Component: a process as the supervisor starts, probes and stops it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from local.supervisor import tether

STORE_VARIABLES = (
    "NATS_URL",
    "REDIS_URL",
    "DATABASE_URL",
    "S3_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
)
# As in a cluster, a process gets of these only what its manifest gives it.
_WITHHELD = {
    *STORE_VARIABLES,
    *(
        "NATS_BROWSER_URL",
        "PORT",
        "HOST",
        "K_SERVICE",
        "K_SINK",
        "K_CE_OVERRIDES",
        "API_URL",
        "INGEST_URL",
        "UDP_ADDR",
        "LIVE_URL",
        "GRPC_ADDR",
    ),
}
_LOOPBACK = "127.0.0.1,localhost"


class Kind(StrEnum):
    """The kinds of processes, in the order in which they start."""

    SERVER = "server"
    FUNCTION = "function"
    BROKER = "broker"
    SOURCE = "source"


class NotReadyError(Exception):
    """A component does not serve yet, or no longer; the message is the reason."""


@dataclass(frozen=True)
class Component:
    """One process of the platform.

    `environment` is added to `base_environment()`. `prepare` runs before every start; `ready` tells
    whether it serves (NotReadyError: the reason why not); `broken` returns why a running process
    has to be restarted, or None; `clean_up` runs after every end. `death_signal` is sent when the
    supervisor dies. `prefix` precedes the launcher (`unshare ...`); `user` is the uid to run as.
    """

    name: str
    kind: Kind
    command: Sequence[str]
    url: str
    log: Path
    ready: Callable[[], Awaitable[bool]]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    directory: Path = field(default_factory=Path.cwd)
    prepare: Callable[[], Awaitable[None]] | None = None
    broken: Callable[[], Awaitable[str | None]] | None = None
    clean_up: Callable[[], None] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    start_timeout_s: float = 30.0
    prefix: Sequence[str] = ()
    user: int | None = None
    metrics_url: str | None = None


def base_environment() -> dict[str, str]:
    """Return the supervisor's environment without per-component variables, loopback unproxied."""
    environment = {name: value for name, value in os.environ.items() if name not in _WITHHELD}
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = (
            f"{environment[name]},{_LOOPBACK}" if environment.get(name) else _LOOPBACK
        )
    return environment


def tethered(
    command: Sequence[str],
    *,
    prefix: Sequence[str] = (),
    user: int | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> list[str]:
    """Return the command line that runs `command` tied to this process (see `tether`)."""
    launcher = [sys.executable, "-I", "-S", str(Path(tether.__file__).resolve())]
    ties = [str(os.getpid()), str(int(death_signal)), "-" if user is None else str(user)]
    program, *arguments = command
    return [*prefix, *launcher, *ties, shutil.which(program) or program, *arguments]
