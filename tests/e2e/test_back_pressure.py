"""Postgres is stopped while input goes on: waiting events are on disk, and no process grows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from local.instance import Instance
from tests.chaos.processes import resume, suspend
from tests.e2e.client import eventually, fresh_symbol, rows, web
from tests.platform import kandle

BODIES, LINES, LINE_BYTES = 120, 6, 60_000
MOST_GROWTH = 24_000_000
"""Much less than the 43 MB that are sent. In flight at a trigger are 16 events (`maxAckPending`),
6 MB, in the broker and in persist."""
WAITING = 60


def processes(pipeline: dict[str, str]) -> dict[str, psutil.Process]:
    known = Instance.load(Path(pipeline["DATA_DIR"])).components
    return {each.name: psutil.Process(each.pid) for each in known if each.pid is not None}


def memory(pipeline: dict[str, str]) -> dict[str, int]:
    """Resident bytes by component, without the stopped one."""
    found = processes(pipeline)
    found.pop("postgres")
    return {name: each.memory_info().rss for name, each in found.items()}


@contextlib.contextmanager
def stopped(pipeline: dict[str, str], component: str) -> Iterator[None]:
    """The process accepts connections and does not answer."""
    waiting = suspend(processes(pipeline)[component])
    try:
        yield
    finally:
        resume(waiting)


def lag_in_metrics(pipeline: dict[str, str]) -> float:
    text = web.get(f"{pipeline['OBSERVE_URL']}/metrics", timeout=30).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        if family.name == "kandle_trigger_lag"
        for sample in family.samples
        if sample.labels["trigger"].endswith("/persist-ticks")
    )


def lag_in_status(pipeline: dict[str, str]) -> int:
    said = kandle("status", "--json", "--data-dir", pipeline["DATA_DIR"], check=False).stdout
    lag: dict[str, int] = json.loads(said)["lag"]
    return sum(waiting for name, waiting in lag.items() if name.endswith("/persist-ticks"))


def send(pipeline: dict[str, str], symbol: str, bodies: int) -> None:
    """POST bodies of long lines that are not ticks: many bytes, little work."""
    line = f"{symbol},no price".ljust(LINE_BYTES, "x")
    body = "\n".join([line] * LINES)

    def post(_: int) -> None:
        web.post(pipeline["INGEST_URL"], content=body, timeout=60).raise_for_status()

    with ThreadPoolExecutor(2) as senders:
        list(senders.map(post, range(bodies)))


def stored(pipeline: dict[str, str], symbol: str) -> int:
    query = "SELECT count(*) FROM rejects WHERE position(%s::bytea in original) = 1"
    return int(rows(pipeline["DATABASE_URL"], query, symbol.encode())[0][0])


def test_with_postgres_stopped_memory_is_bounded_and_the_lag_is_shown(
    pipeline: dict[str, str],
) -> None:
    """With Postgres stopped memory is bounded and the lag shown, and all input is stored later."""
    warm, symbol = fresh_symbol("WARM"), fresh_symbol("PRESSURE")
    send(pipeline, warm, 20)
    eventually(lambda: stored(pipeline, warm), lambda count: count == 20 * LINES)
    before = memory(pipeline)
    with stopped(pipeline, "postgres"):
        send(pipeline, symbol, BODIES)
        waiting = eventually(lambda: lag_in_metrics(pipeline), lambda lag: lag >= WAITING)
        told = eventually(lambda: lag_in_status(pipeline), lambda lag: lag >= WAITING)
        grown = {name: size - before[name] for name, size in memory(pipeline).items()}
    assert waiting >= WAITING
    assert told >= WAITING
    assert {name: by for name, by in grown.items() if by > MOST_GROWTH} == {}, grown
    count = eventually(lambda: stored(pipeline, symbol), lambda c: c >= BODIES * LINES, 120)
    assert count == BODIES * LINES
    assert eventually(lambda: lag_in_metrics(pipeline), lambda lag: lag < WAITING) < WAITING
