"""`python -m local.proof`: replay trades, delete pods, compare candles, print one line.

knative/overlays/proof runs it as a Job; without `--delete` it needs no cluster.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from kandle.client import ApiError, Kandle, KandleError
from local.cluster.api_server import api_server, own_namespace
from local.feeds.files.errors import FileError
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from local.feeds.files.trades import read_trades
from local.feeds.instruments import instrument
from local.feeds.senders import HttpSender, SendError
from local.feeds.simulator import MAX_STEP_MS, Simulator
from local.feeds.tick import Tick
from shared.runtime.settings import listed

_SYMBOLS: Final = ("BTC-USD", "ETH-USD", "AAPL", "XRP-ETH")
_RATE: Final = 40.0


def recorded(path: Path, prefix: str) -> Iterator[Tick]:
    """Yield a file's trades under unique names. Raises FileError."""
    for _, trades in read_trades([path], Choice(), Progress()):
        for tick in trades.ticks():
            yield tick._replace(symbol=f"{prefix}{tick.symbol}")


def generated(count: int, prefix: str, *, seed: int, end_ms: int) -> list[Tick]:
    """Return `count` trades in time order, the last of them before `end_ms`."""
    start_ms = end_ms - int(count / _RATE * 1000) - 60_000
    instruments = [replace(instrument(name), symbol=f"{prefix}{name}") for name in _SYMBOLS]
    market = Simulator(instruments, seed=seed, start_ms=start_ms, rate=_RATE)
    ticks: list[Tick] = []
    now_ms = start_ms
    while len(ticks) < count and now_ms < end_ms:
        now_ms += MAX_STEP_MS
        ticks += [arrived.tick for arrived in market.advance(now_ms)]
    return ticks[:count]


def delete_pods(client: httpx.Client, namespace: str, label: str) -> int:
    """Delete pods with the label `KEY=VALUE`; return how many. Raises httpx.HTTPError."""
    address = f"/api/v1/namespaces/{namespace}/pods"
    pods = client.get(address, params={"labelSelector": label}).raise_for_status()
    names = [each["metadata"]["name"] for each in pods.json()["items"]]
    for name in names:
        response = client.delete(f"{address}/{name}", params={"gracePeriodSeconds": 0})
        if response.status_code != httpx.codes.NOT_FOUND:
            response.raise_for_status()
    return len(names)


_TIMEFRAME: Final = "1m"
_MINUTE_MS: Final = 60_000

Row = tuple[Decimal, ...]
Candles = dict[tuple[str, int], Row]
"""Open, high, low, close and volume by symbol and start in milliseconds."""


def expected(ticks: Iterable[Tick]) -> Candles:
    """Return the one-minute candles of trades in time order, folded without the pipeline's code."""
    candles: Candles = {}
    for tick in ticks:
        assert tick.time_ms is not None
        price, size = Decimal(tick.price), Decimal(tick.size or 0)
        key = tick.symbol, tick.time_ms - tick.time_ms % _MINUTE_MS
        opened, high, low, _, volume = candles.get(key, (price, price, price, price, Decimal()))
        candles[key] = opened, max(high, price), min(low, price), price, volume + size
    return candles


def answered(api: Kandle, symbols: Iterable[str]) -> Candles:
    """Return the API's candles, none for an unknown symbol. Raises KandleError."""
    found: Candles = {}
    for symbol in symbols:
        try:
            for candle in api.candles(symbol, _TIMEFRAME, start=0):
                ohlc = (candle.open, candle.high, candle.low, candle.close)
                key = (symbol, int(candle.time.timestamp()) * 1000)
                found[key] = (*ohlc, candle.volume)  # type: ignore[assignment] # none filled in
        except ApiError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
    return found


def differences(expected: Candles, actual: Candles) -> list[str]:
    """Return a line for each missing, different or unexpected candle."""
    lines = []
    for key in sorted(expected.keys() | actual.keys()):
        if expected.get(key) != actual.get(key):
            actual_text, expected_text = (
                " ".join(map(str, each)) if each else "none"
                for each in (actual.get(key), expected.get(key))
            )
            lines.append(f"{key[0]} at {key[1]}: {actual_text}, wanted {expected_text}")
    return lines


_LINES_AT_ONCE = 200
_EVERY_S = 1.0
_SKEW_MS = 2_000


def send(
    ticks: list[Tick], sender: HttpSender, seconds: float, deletions: list[Callable[[], int]]
) -> int:
    """Send all within `seconds`, with deletions evenly spread; return how many pods went."""
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
    options = parser.parse_args()
    started = time.monotonic()
    run = uuid.uuid4().hex[:8]
    prefix = f"PROOF-{run}-"
    token = (listed(os.environ.get("API_TOKENS", "")) or ("",))[0]
    try:
        if options.file is not None:
            ticks = sorted(recorded(options.file, prefix), key=lambda tick: tick.time_ms or 0)
        else:
            end_ms = time.time_ns() // 1_000_000 - _SKEW_MS
            ticks = generated(options.trades, prefix, seed=int(run, 16), end_ms=end_ms)
        with ExitStack() as stack:
            sender = stack.enter_context(HttpSender(options.ingest, token=token))
            api = stack.enter_context(Kandle(options.api, token=token, timeout_s=60))
            deletions: list[Callable[[], int]] = []
            if options.delete:
                cluster = stack.enter_context(api_server()), own_namespace()
                deletions = [partial(delete_pods, *cluster, label) for label in options.delete]
            deleted = send(ticks, sender, options.seconds, deletions)
            truth = expected(ticks)
            differing = wait(truth, api, {tick.symbol for tick in ticks}, options.patience)
    except (SendError, FileError, KandleError, httpx.HTTPError) as error:
        sys.exit(f"proof FAILED: {error}")
    summary = f"{len(ticks)} trades, {deleted} pods deleted, {time.monotonic() - started:.0f} s"
    if differing:
        count = f"{len(differing)} of {len(truth)}"
        sys.exit(f"proof FAILED: {count} candles differ ({summary}): {differing[0]}")
    sys.stdout.write(f"proof: {len(truth)} candles exact ({summary})\n")


def wait(expected: Candles, api: Kandle, symbols: set[str], patience_s: float) -> list[str]:
    """Compare until nothing differs or the time is over; return the differences."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            differing = differences(expected, answered(api, symbols))
        except KandleError as error:
            differing = [f"the API does not answer: {error}"]
        if not differing or time.monotonic() > deadline:
            return differing
        time.sleep(_EVERY_S)


if __name__ == "__main__":
    main()
