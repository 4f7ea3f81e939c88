"""kill -9 before, between and after every step: what is stored stays, each tick once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from shared.lake.garbage import remove_superseded, remove_unrecorded
from tests.functions.history_query.market import generated
from tests.local.broker.processes import eventually
from tests.shared.lake.house import House
from tests.shared.lake.test_lake import keys, stored

ROOT = Path(__file__).parents[3]

# A process that does one piece of work, and kills itself the n-th time it comes to a place.
CUT = """
import os, signal, sys
from psycopg import Connection
from shared.stores import s3
from tests.local.broker.processes import eventually
from tests.shared.lake.house import House

work, place, number, database, symbol = sys.argv[1:]
left = int(number)

def cut(owner, name, after):
    whole = getattr(owner, name)
    def cut_off(*arguments, **more):
        global left
        left -= 1
        mine = left == 0  # several threads come here
        if mine and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = whole(*arguments, **more)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    setattr(owner, name, cut_off)

owner, name, when = {
    "before an object": (s3.ObjectStore, "create", False),
    "after an object": (s3.ObjectStore, "create", True),
    "before a statement": (Connection, "execute", False),
    "after a statement": (Connection, "execute", True),
    "before a commit": (Connection, "commit", False),
    "after a commit": (Connection, "commit", True),
    "after a removal": (s3.ObjectStore, "remove", True),
}[place]
house = House(dict(os.environ), database, symbol)
house.sql("SELECT 1")
cut(owner, name, when)
if work == "remove":
    from shared.lake.garbage import remove_superseded
    remove_superseded(house.postgres, house.store, grace_s=0)
else:
    getattr(house, work)()
print("came to its end")
"""


def cut_off(lake: House, servers: dict[str, str], work: str, place: str, number: int) -> bool:
    """Do the work in a process that is killed there; return whether it was."""
    # The server lets go of the lock of a process that is gone a moment later.
    eventually(lambda: not lake.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"))
    done = subprocess.run(
        [sys.executable, "-c", CUT, work, place, str(number), lake.dsn, lake.symbol],
        cwd=ROOT,
        env={**os.environ, **servers},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if done.returncode == -signal.SIGKILL:
        return True
    assert done.stdout == "came to its end\n", done.stderr
    return False


PLACES = {
    "copy": [
        *[("before an object", 1), ("after an object", 1), ("after an object", 2)],
        *[("after a statement", n) for n in (4, 8, 11)],
        *[("before a commit", 1), ("after a commit", 1)],
    ],
    "compact": [
        *[("before an object", 1), ("after an object", 1), ("after a statement", 6)],
        *[("before a commit", 2), ("after a commit", 2)],
    ],
    "retain": [
        *[("after a statement", n) for n in (4, 8, 14, 20, 26)],
        *[("before a commit", 3), ("after a commit", 4), ("before a commit", 6)],
    ],
    "remove": [("after a removal", 1), ("before a commit", 1), ("after a commit", 1)],
}


@pytest.mark.parametrize("work", PLACES)
def test_a_kill_at_any_step_loses_and_doubles_nothing(
    lake: House, servers: dict[str, str], work: str
) -> None:
    """After each kill everything is there once; the next try ends what was begun."""
    ticks = generated(11, 150, 60_000_000)
    lake.put(ticks)
    if work != "copy":
        lake.copy_all()
    if work in ("retain", "remove"):
        lake.compact()
    if work == "retain":
        lake.age()
    kills = []
    for place, number in PLACES[work]:
        if cut_off(lake, servers, work, place, number):
            kills.append((place, number))
        assert stored(lake) == keys(ticks), (place, number)
        assert lake.repeated == 0
    assert len(kills) >= len(PLACES[work]) // 2, kills
    lake.copy_all()
    lake.compact()
    lake.age()
    lake.retain()
    remove_superseded(lake.postgres, lake.store, grace_s=0)
    remove_unrecorded(lake.postgres, lake.store, older_than=timedelta(0))
    assert stored(lake) == keys(ticks)
    assert lake.repeated == 0
    assert lake.in_postgres() == 0
    assert len(lake.objects()) == lake.live_files()
