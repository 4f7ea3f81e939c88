"""Recorded files: trades a second read to lines of input, and imported into storage and candles."""

from __future__ import annotations

import gzip
import json
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from benchmarks._measure import peak_mib, wait
from benchmarks._platform import KANDLE, running
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from local.feeds.files.trades import read_trades

TRADES: Final = 500_000
IMPORTED: Final = 4_000_000
BEGIN_MS: Final = 1_735_689_600_000

Table = dict[str, Any]


def table(count: int = TRADES) -> Table:
    """Trades of one market: a walk of the price, 25 a second."""
    source = np.random.default_rng(1)
    price = 6_000_000 + np.cumsum(source.integers(-5, 6, count))
    return {
        "id": np.arange(1, count + 1),
        "price": price / 100,
        "amount": source.integers(1, 10**6, count) / 10**5,
        "timestamp": BEGIN_MS + np.arange(count) * 40,
        "side": np.where(source.integers(0, 2, count) == 1, "buy", "sell"),
    }


def _rows(found: Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(found[name].tolist() for name in found), strict=True)


def binance(found: Table, folder: Path) -> Path:
    lines = [
        f"{n},{price:.2f},{amount:.5f},{n},{n},{ms}000,{'true' if side == 'sell' else 'false'},true"
        for n, price, amount, ms, side in _rows(found)
    ]
    path = folder / "BTCUSDT-aggTrades-2025-01-01.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BTCUSDT-aggTrades-2025-01-01.csv", "\n".join(lines))
    return path


def tardis(found: Table, folder: Path) -> Path:
    lines = ["exchange,symbol,timestamp,local_timestamp,id,side,price,amount"] + [
        f"bitmex,XBTUSD,{ms}000,{ms}999,{n},{side},{price:.2f},{amount:.5f}"
        for n, price, amount, ms, side in _rows(found)
    ]
    path = folder / "trades.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode(), 1))
    return path


def plain(found: Table, folder: Path) -> Path:
    lines = (
        f"BTC-USD,{price:.2f},{amount:.5f},{ms},{side},{n}\n"
        for n, price, amount, ms, side in _rows(found)
    )
    path = folder / "plain.csv"
    path.write_text("".join(lines))
    return path


def json_lines(found: Table, folder: Path) -> Path:
    objects = (
        json.dumps({"symbol": "BTC/USD", "id": n, "price": p, "amount": a, "timestamp": t})
        for n, p, a, t, _ in _rows(found)
    )
    path = folder / "trades.ndjson"
    path.write_text("\n".join(objects))
    return path


def _arrow(found: Table) -> pa.Table:
    return pa.table({**found, "symbol": ["BTC-USD"] * len(found["id"])})


def parquet(found: Table, folder: Path) -> Path:
    path = folder / "trades.parquet"
    pyarrow.parquet.write_table(_arrow(found), path)
    return path


def feather(found: Table, folder: Path) -> Path:
    path = folder / "BTC_USD-trades.feather"
    pyarrow.feather.write_feather(_arrow(found), str(path))
    return path


def hftbacktest(found: Table, folder: Path) -> Path:
    bought = found["side"] == "buy"
    kind = np.where(bought, 1 << 29, 1 << 28).astype(np.uint64) | np.uint64(2 | 1 << 31)
    dtype = np.dtype([("ev", "<u8"), ("exch_ts", "<i8"), ("px", "<f8"), ("qty", "<f8")])
    events = np.zeros(len(kind), dtype)
    events["ev"], events["exch_ts"] = kind, found["timestamp"] * 10**6
    events["px"], events["qty"] = found["price"], found["amount"]
    path = folder / "btcusdt_20250101.npz"
    np.savez(path, data=events)
    return path


KINDS: Final[dict[str, Callable[[Table, Path], Path]]] = {
    "CSV lines": plain,
    "Binance zip": binance,
    "tardis csv.gz": tardis,
    "JSON lines": json_lines,
    "Parquet": parquet,
    "Feather": feather,
    "hftbacktest npz": hftbacktest,
}


def _read(path: Path) -> int:
    count = 0
    for _, some in read_trades([path], Choice(), Progress()):
        count += len(some.with_ids().lines())
    return count


def run() -> None:
    """Print both tables."""
    print(f"{'files, trades/s':<22} {'read':>10} {'file':>8} {'peak growth':>12}")
    with tempfile.TemporaryDirectory() as name:
        folder, found = Path(name), table()
        for kind, write in KINDS.items():
            path = write(found, folder)
            before = peak_mib()
            started = time.process_time()
            assert _read(path) == TRADES
            seconds = time.process_time() - started
            size, grown = path.stat().st_size / 2**20, peak_mib() - before
            print(f"{kind:<22} {TRADES / seconds:>10,.0f} {size:>5,.0f} MB {grown:>9,.0f} MB")
        path = plain(table(IMPORTED), folder)
        with running() as platform:
            started = time.perf_counter()
            broker = f"{platform.broker}/kandle/ticks"
            sink = ("--broker-url", broker, "--data-dir", str(folder))
            subprocess.run([*KANDLE, "import", str(path), *sink], check=True, capture_output=True)
            sent = time.perf_counter() - started
            stored = wait(lambda: platform.stored() >= IMPORTED, started)
            traded = wait(lambda: platform.traded() >= IMPORTED, started)
    print(
        f"import of {IMPORTED:,}, ticks/s: taken {IMPORTED / sent:,.0f},"
        f" stored {IMPORTED / stored:,.0f}, in candles {IMPORTED / traded:,.0f}"
    )
