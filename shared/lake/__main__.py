"""One round of the lake's work: `python -m shared.lake PARENT LIMIT_S [--sweep]`, a process.

PARENT is the process that waits for it; settings are persist's, from the environment. It writes
lines of JSON to stdout: [work, result] when a piece of work begins and when it ends, and at last
what it counted. After LIMIT_S it is ended by SIGALRM: what it is at then is undone, or garbage.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from typing import Final

_BUDGET_S: Final = 60.0
"""A later round goes on."""
_PR_SET_PDEATHSIG: Final = 1


def tie_to(parent: int) -> None:
    """Make the kernel kill this process when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that started this round is gone")


def main(*, sweep: bool) -> None:
    """Run the round."""
    from shared.runtime.memory import (
        hand_freed_memory_back,
        leave_dataframes_out,
        let_arrow_use_malloc,
    )

    hand_freed_memory_back()
    leave_dataframes_out()
    let_arrow_use_malloc()
    from shared.adapter.logs import configure_logging
    from shared.lake.access import use_little_memory
    from shared.lake.maintenance.job import Keeper
    from shared.lake.maintenance.process import counts
    from shared.lake.maintenance.settings import Terms
    from shared.market.shards import DEFAULT_SHARDS, MAX_SHARDS
    from shared.runtime.settings import Environment
    from shared.stores.limits import MAINTENANCE
    from shared.stores.postgres import Postgres
    from shared.stores.redis import connect
    from shared.stores.s3 import ObjectStore, S3Access

    use_little_memory()
    configure_logging(os.environ)
    env = Environment(os.environ)
    dsn = env.text("DB_WRITE_DSN", "") or env.text("DATABASE_URL")
    terms, access = Terms.read(env), S3Access.read(env)
    redis_url = env.text("REDIS_URL", "")
    shards = env.integer("SHARDS", DEFAULT_SHARDS, 1, MAX_SHARDS)
    env.check()
    postgres = Postgres(dsn, size=2, limits=MAINTENANCE)
    try:
        live = connect(redis_url) if redis_url else None
        keeper = Keeper(postgres, access, ObjectStore(access), terms, live, shards)
        now_us, until = time.time_ns() // 1000, time.monotonic() + _BUDGET_S
        for result in keeper.round(now_us, until, sweep=sweep):
            _write(json.dumps(result))
    finally:
        _write(counts())
        postgres.close()


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    tie_to(int(sys.argv[1]))  # before all that takes long to load
    signal.alarm(int(sys.argv[2]))
    main(sweep="--sweep" in sys.argv)
