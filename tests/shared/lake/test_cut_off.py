"""kill -9 before, between and after every step: what is stored stays, each tick once."""

from __future__ import annotations

import multiprocessing
import signal
from datetime import timedelta
from typing import Final

import pytest

from shared.lake.expiry import expire_snapshots, remove_orphans
from shared.lake.retention_settings import Terms
from tests.functions.history_query.market import generated
from tests.local.broker.processes import eventually
from tests.shared.lake import cut
from tests.shared.lake.house import House
from tests.shared.lake.test_lake import keys, stored

PROCESSES: Final = multiprocessing.get_context("forkserver")  # it loads the libraries once
PROCESSES.set_forkserver_preload(["tests.shared.lake.cut", "shared.lake.cold"])


def cut_off(lake: House, servers: dict[str, str], work: str, place: str, number: int) -> bool:
    """Do the work in a process that is killed there; return whether it was."""
    # The server lets go of the lock of a process that is gone a moment later.
    eventually(lambda: not lake.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"))
    process = PROCESSES.Process(
        target=cut.do, args=(servers, lake.dsn, lake.symbol, work, place, number)
    )
    process.start()
    process.join(100)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


# Objects of a commit: a file of rows for each day, manifest, manifest list, metadata.
PLACES = {
    "copy": [
        *[("before an object", n) for n in (1, 2, 3, 4)],
        *[("after an object", n) for n in (1, 3, 5, 8)],
        *[("after a statement", n) for n in (4, 8, 11, 14)],
        *[("before a commit", 1), ("after a commit", 1)],
    ],
    "compact": [
        *[("before an object", 1), ("after an object", 1), ("after an object", 4)],
        *[("after a statement", n) for n in (6, 10)],
        *[("before a commit", 2), ("after a commit", 2)],
    ],
    "retain": [
        *[("after a statement", n) for n in (4, 8, 14, 20, 26, 32)],
        *[("before a commit", n) for n in (3, 5, 7)],
        *[("after a commit", n) for n in (4, 6, 8)],
    ],
    "expire": [
        *[("before an object", 1), ("after an object", 1)],
        *[("before a commit", 1), ("after a commit", 1)],
    ],
    "remove": [("after a removal", 1), ("after a removal", 3)],
}


@pytest.mark.parametrize("work", PLACES)
def test_a_kill_at_any_step_loses_and_doubles_nothing(
    lake: House, servers: dict[str, str], work: str
) -> None:
    """After each kill everything is there once; the next try ends what was begun."""
    ticks = generated(11, 150, 60_000_000)
    lake.make_days(ticks)
    for some in (ticks[:80], ticks[80:]):
        lake.put(some)
        if work != "copy":
            lake.copy()
    if work in ("retain", "expire", "remove"):
        lake.compact()
    if work == "remove":
        expire_snapshots(lake.postgres, lake.access, Terms(), now_ms=2**50)
    if work == "retain":
        lake.age()
    kills = []
    for place, number in PLACES[work]:
        if cut_off(lake, servers, work, place, number):
            kills.append((place, number))
        assert stored(lake) == keys(ticks), (place, number)
        assert lake.repeated == 0
    assert len(kills) >= len(PLACES[work]) // 2, kills
    lake.copy()
    lake.compact()
    lake.age()
    lake.retain()
    expire_snapshots(lake.postgres, lake.access, Terms(), now_ms=2**50)
    remove_orphans(lake.postgres, lake.access, lake.store, grace=timedelta(0))
    assert stored(lake) == keys(ticks)
    assert lake.repeated == 0
    assert lake.in_postgres() == 0
    assert {f"s3://ticks/{key}" for key in lake.objects()} == set(lake.files())
