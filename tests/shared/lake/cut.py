"""A process that does one piece of the lake's work, and kills itself at some point of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import redis
from psycopg import Connection
from pyiceberg.io.pyarrow import PyArrowFile

from functions.persist.row_retention import RowRetention, maintain
from shared.lake.maintenance.expiry import end_days, expire_snapshots, remove_orphans
from shared.lake.maintenance.settings import Terms
from shared.lake.states import end_states, take_state
from shared.lake.takeover import take_over
from shared.runtime.settings import Environment
from shared.stores import s3
from tests.shared.lake.house import House

LATER_US = 10**17
"""When every term is over."""
WORK: dict[str, Callable[[House], object]] = {
    "copy": House.copy,
    "compact": House.compact,
    "retain": House.retain,
    "retain old days": House.retain,
    "copy candles": House.copy_candles,
    "drop candles": House.drop_candles,
    "end days": lambda house: end_days(house.postgres, house.access, Terms(lake_days=1), LATER_US),
    "expire": lambda house: expire_snapshots(house.postgres, house.access, Terms(), now_ms=2**50),
    "remove": lambda house: remove_orphans(
        house.postgres, house.access, house.store, grace=timedelta(0)
    ),
    "take the state": lambda house: take_state(
        house.postgres,
        redis.Redis.from_url(house.redis_url),
        house.store,
        1,
        time.time_ns() // 1000,
    ),
    "end states": lambda house: end_states(house.postgres, house.store, Terms(), LATER_US),
    "end rows": lambda house: maintain(
        house.postgres, RowRetention.read(Environment({})), time.time_ns() // 1000
    ),
    "take over": lambda house: list(take_over(house.postgres, house.access)),
}

PLACES: dict[str, tuple[type, str, bool]] = {
    "before an object": (PyArrowFile, "create", False),
    "after an object": (PyArrowFile, "create", True),
    "before a statement": (Connection, "execute", False),
    "after a statement": (Connection, "execute", True),
    "before a commit": (Connection, "commit", False),
    "after a commit": (Connection, "commit", True),
    "before a state": (s3.ObjectStore, "create", False),
    "after a state": (s3.ObjectStore, "create", True),
    "after a removal": (s3.ObjectStore, "remove", True),
}


def do(servers: dict[str, str], database: str, symbol: str, work: str, place: str, n: int) -> None:
    """Do the work up to the point."""
    house = House(servers, database, symbol)
    house.sql("SELECT 1")
    _cut(*PLACES[place], n)
    WORK[work](house)


def _cut(owner: type, name: str, after: bool, left: int) -> None:
    whole = getattr(owner, name)

    def cut_off(*arguments: Any, **more: Any) -> Any:
        nonlocal left
        left -= 1
        mine = left == 0  # several threads run this
        if mine and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = whole(*arguments, **more)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, cut_off)
