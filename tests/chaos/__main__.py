"""`make chaos`: kills, pauses and outages while ticks stream in; exit code 1 on any difference."""

from __future__ import annotations

import argparse
import random
import sys

from tests.chaos.outages import STORES
from tests.chaos.run import Options, run


def main() -> int:
    """Run with the given arguments."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="kill -9 so often")
    parser.add_argument("--seconds", type=float, default=900, help="at most for so long")
    parser.add_argument("--seed", type=int, default=None, help="repeat a run's faults and ticks")
    parser.add_argument("--gap", type=float, default=3.0, help="seconds between faults, on average")
    parser.add_argument("--outage", type=float, default=0, help="each store away, so many seconds")
    parser.add_argument("--stores", default=",".join(STORES), help="which are away")
    parser.add_argument("--how", default="silent,gone", help="in which ways")
    parser.add_argument("--replicas", type=int, default=2, help="of candle-aggregate")
    given = parser.parse_args()
    report = run(
        Options(
            kills=given.kills,
            seconds=given.seconds,
            seed=random.randrange(10**6) if given.seed is None else given.seed,
            gap_s=given.gap,
            outage_s=given.outage,
            stores=given.stores.split(","),
            how=given.how.split(","),
            replicas=given.replicas,
        ),
        lambda line: print(line, flush=True),
    )
    print("\n" + "\n".join(report.lines()))
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
