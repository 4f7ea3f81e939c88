"""A user's access to a running Kandle: UDP, HTTP and SQL."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, LiteralString, TypeVar

import httpx
import psycopg

from local.instance import Instance

T = TypeVar("T")

web: Final = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0))
"""A connection for each request, as `httpx.get` makes it, which also reads all certificates."""

_symbols = itertools.count(1)


def fresh_symbol(prefix: str) -> str:
    """A symbol that no other test uses."""
    return f"{prefix}-{next(_symbols)}"


def send_udp(address: str, lines: Iterable[str], lines_a_datagram: int = 20) -> None:
    """Send lines, several in a datagram, no faster than loopback takes them."""
    host, port = address.removeprefix("udp://").rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for n, some in enumerate(_chunks(lines, lines_a_datagram)):
            sock.sendto("\n".join(some).encode(), (host, int(port)))
            if n % 50 == 49:
                time.sleep(0.005)


def _chunks(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(lines)
    while some := list(itertools.islice(iterator, size)):
        yield some


def candles(api: str, symbol: str, timeframe: str = "1m") -> list[dict[str, Any]]:
    """All candles of a symbol, oldest first; empty for an unknown symbol."""
    found: list[dict[str, Any]] = []
    parameters = {"timeframe": timeframe, "from": "0", "limit": "1000"}
    while True:
        answer = web.get(f"{api}/api/candles/{symbol}", params=parameters)
        if answer.status_code == 404:
            return found
        answer.raise_for_status()
        page = answer.json()
        found += page["candles"]
        if page["next"] is None:
            return found
        parameters["cursor"] = page["next"]


def eventually(read: Callable[[], T], holds: Callable[[T], bool], seconds: float = 60.0) -> T:
    """Wait for a value that satisfies the condition; at the timeout return the last one.

    It rests twice as long as the read took, to leave the processor to the pipeline.
    """
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        value = read()
        if holds(value) or time.monotonic() > deadline:
            return value
        time.sleep(max(0.1, min(2.0, 2 * (time.monotonic() - began))))


def rows(database_url: str, query: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
    """Rows of Postgres."""
    with psycopg.connect(database_url) as connection:
        return connection.execute(query, parameters).fetchall()


def pid_of(pipeline: dict[str, str], component: str) -> int:
    """The process of a component."""
    known = Instance.load(Path(pipeline["DATA_DIR"])).components
    (process,) = [each.pid for each in known if each.name == component]
    assert process is not None
    return process


def kill(pipeline: dict[str, str], component: str) -> None:
    """kill -9 a component; the supervisor restarts it."""
    os.kill(pid_of(pipeline, component), signal.SIGKILL)


def wait_until_applied(pipeline: dict[str, str], symbol: str, ticks: int) -> None:
    """Wait until so many ticks of a symbol, repetitions too, are rows and in the candles.

    A row's tick is in the stream that candles are made from; once nothing waits there, candles are
    final.
    """

    def stored() -> int:
        query: LiteralString = "SELECT count(*) FROM ticks_raw WHERE instrument = %s"
        return int(rows(pipeline["DATABASE_URL"], query, symbol)[0][0] or 0)

    def waiting() -> int:
        stats = web.get(httpx.URL(pipeline["K_SINK"]).copy_with(path="/stats")).json()
        lags: Iterable[int] = (
            1 if trigger["lag"] is None else trigger["lag"]
            for trigger in stats["triggers"].values()
            if "candle-aggregate" in trigger["subscriber"]
        )
        return sum(lags)

    assert eventually(stored, lambda count: count >= ticks, 60) == ticks
    assert eventually(waiting, lambda count: count == 0, 60) == 0
