"""A process that does one piece of the lake's work, and kills itself at some point of it."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

from psycopg import Connection
from pyiceberg.io.pyarrow import PyArrowFile

from shared.lake.expiry import expire_snapshots, remove_orphans
from shared.lake.retention_settings import Terms
from shared.stores import s3
from tests.shared.lake.house import House

PLACES: dict[str, tuple[type, str, bool]] = {
    "before an object": (PyArrowFile, "create", False),
    "after an object": (PyArrowFile, "create", True),
    "before a statement": (Connection, "execute", False),
    "after a statement": (Connection, "execute", True),
    "before a commit": (Connection, "commit", False),
    "after a commit": (Connection, "commit", True),
    "after a removal": (s3.ObjectStore, "remove", True),
}


def do(servers: dict[str, str], database: str, symbol: str, work: str, place: str, n: int) -> None:
    """Do the work, up to there."""
    house = House(servers, database, symbol)
    house.sql("SELECT 1")
    _cut(*PLACES[place], n)
    if work == "remove":
        remove_orphans(house.postgres, house.access, house.store, grace=timedelta(0))
    elif work == "expire":
        expire_snapshots(house.postgres, house.access, Terms(), now_ms=2**50)
    else:
        getattr(house, work)()


def _cut(owner: type, name: str, after: bool, left: int) -> None:
    whole = getattr(owner, name)

    def cut_off(*arguments: Any, **more: Any) -> Any:
        nonlocal left
        left -= 1
        mine = left == 0  # several threads come here
        if mine and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = whole(*arguments, **more)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, cut_off)
