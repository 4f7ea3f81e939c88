"""`python -m local.proof`: replay trades, delete pods, compare candles, print one line.

knative/overlays/proof runs it as a Job; without `--delete` it needs no cluster.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx

from local.cluster.api_server import api_server, own_namespace
from local.feeds.files.errors import FileError
from local.feeds.senders import HttpSender, SendError
from local.feeds.tick import Tick
from local.proof.comparison import Candles, answered, differences, expected
from local.proof.pods import Pods
from local.proof.trades import generated, recorded

_LINES_AT_ONCE = 200
_EVERY_S = 1.0
_SKEW_MS = 2_000


def send(
    ticks: list[Tick], sender: HttpSender, seconds: float, deletions: list[Callable[[], int]]
) -> int:
    """Send all within so many seconds, deletions evenly between; return how many pods went."""
    steps = range(0, len(ticks), _LINES_AT_ONCE)
    at = [len(steps) * (n + 1) // (len(deletions) + 1) for n in range(len(deletions))]
    deleted, started = 0, time.monotonic()
    for n, start in enumerate(steps):
        deleted += sum(delete() for delete, when in zip(deletions, at, strict=True) if when == n)
        for tick in ticks[start : start + _LINES_AT_ONCE]:
            sender.send(tick.line())
        sender.flush()
        time.sleep(max(0.0, started + seconds * (n + 1) / len(steps) - time.monotonic()))
    return deleted


def main() -> None:
    """Command line; exit code 1 where a candle differs."""
    parser = argparse.ArgumentParser(prog="python -m local.proof", description=__doc__)
    parser.add_argument("--ingest", required=True, help="URL of POST /ingest")
    parser.add_argument("--api", required=True, help="URL of the history API")
    parser.add_argument("--file", type=Path, help="recorded trades; default: made up")
    parser.add_argument("--trades", type=int, default=12_000, help="how many are made up")
    parser.add_argument("--seconds", type=float, default=60.0, help="to send them in")
    parser.add_argument("--delete", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--patience", type=float, default=240.0, metavar="SECONDS")
    given = parser.parse_args()
    started = time.monotonic()
    run = uuid.uuid4().hex[:8]
    prefix = f"PROOF-{run}-"
    token = os.environ.get("API_TOKENS", "").split(",")[0]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        if given.file is not None:
            ticks = sorted(recorded(given.file, prefix), key=lambda tick: tick.time_ms or 0)
        else:
            end_ms = time.time_ns() // 1_000_000 - _SKEW_MS
            ticks = generated(given.trades, prefix, seed=int(run, 16), end_ms=end_ms)
        with ExitStack() as stack:
            sender = stack.enter_context(HttpSender(given.ingest, token=token))
            api = stack.enter_context(
                httpx.Client(base_url=given.api, headers=headers, trust_env=False, timeout=60)
            )
            deletions: list[Callable[[], int]] = []
            if given.delete:
                pods = Pods(stack.enter_context(api_server()), own_namespace())
                deletions = [partial(pods.delete, label) for label in given.delete]
            deleted = send(ticks, sender, given.seconds, deletions)
            wanted = expected(ticks)
            wrong = wait(wanted, api, {tick.symbol for tick in ticks}, given.patience)
    except (SendError, FileError, httpx.HTTPError) as error:
        sys.exit(f"proof FAILED: {error}")
    what = f"{len(ticks)} trades, {deleted} pods deleted, {time.monotonic() - started:.0f} s"
    if wrong:
        sys.exit(f"proof FAILED: {len(wrong)} of {len(wanted)} candles differ ({what}): {wrong[0]}")
    sys.stdout.write(f"proof: {len(wanted)} candles exact ({what})\n")


def wait(wanted: Candles, api: httpx.Client, symbols: set[str], patience_s: float) -> list[str]:
    """Compare until nothing differs, or for so many seconds; return what differs then."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            wrong = differences(wanted, answered(api, symbols))
        except httpx.HTTPError as error:
            wrong = [f"the API does not answer: {error or type(error).__name__}"]
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(_EVERY_S)


if __name__ == "__main__":
    main()
