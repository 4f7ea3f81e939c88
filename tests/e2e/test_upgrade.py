"""An upgrade under load: the schema first, then the functions one by one.

Two checkouts of this code stand for two versions; the second has a migration more, which gives a
column to every table. Not covered: a version whose code differs, which this repository cannot hold.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.chaos.processes import Up
from tests.e2e.client import candles, eventually, fresh_symbol, rows, web
from tests.e2e.trades import Trade, exact, expected_candles, generated_trades
from tests.platform import kandle

ROOT = Path(__file__).parents[2]
FOLDERS = ("functions", "shared", "local", "kandle", "eventing", "knative")
REPLACED = ("persist", "candle-aggregate", "normalize")
MIGRATION = """
DO $$
DECLARE each record;
BEGIN
    FOR each IN
        SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN next_version text', each.name);
    END LOOP;
END $$;
CREATE TABLE next_version (made timestamptz NOT NULL DEFAULT now());
"""


def checkout(directory: Path) -> Path:
    """A copy of the code, without builds and caches."""
    ignored = shutil.ignore_patterns("__pycache__", "dashboard", "chart", "terraform")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, directory / name, ignore=ignored)
    shutil.copy(ROOT / "func.yaml", directory)
    return directory


def migrate(tree: Path, database: str) -> str:
    """The output of that version's migrations Job, which is retried as its pod would be."""
    command = [sys.executable, "-m", "shared.stores.migrations"]
    for _ in range(20):
        done = subprocess.run(
            command,
            cwd=tree,
            env={"DATABASE_URL": database, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode == 0:
            return done.stdout
    raise AssertionError(done.stderr)


class Load:
    """A sender that repeats what was not accepted."""

    def __init__(self, ingest: str, symbol: str, trades: list[Trade]) -> None:
        self._ingest, self._symbol, self._trades = ingest, symbol, trades
        self.sent: list[Trade] = []

    def send(self, count: int) -> None:
        """Send the next trades in one batch, until it is accepted."""
        batch = self._trades[len(self.sent) : len(self.sent) + count]
        body = "\n".join(trade.line(self._symbol) for trade in batch)
        headers = {"idempotency-key": f"{self._symbol}-{len(self.sent)}"}

        def accepted() -> bool:
            try:
                answer = web.post(self._ingest, content=body, headers=headers, timeout=30)
            except httpx.TransportError:
                return False
            assert answer.status_code in (202, 503), answer.text
            return answer.status_code == 202

        assert eventually(accepted, bool, 120)
        self.sent += batch

    @contextmanager
    def going_on(self, most: int) -> Iterator[None]:
        """Send batch after batch meanwhile, up to the trade of that number."""
        over = threading.Event()

        def run() -> None:
            while not over.is_set() and len(self.sent) < most:
                self.send(20)
                over.wait(0.1)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def tree_of(platform: Up, name: str) -> Path:
    """The checkout that a function's process runs in."""
    process = platform.find(name)
    assert process is not None
    return Path(process.cwd())


def replace(platform: Up, name: str, tree: Path) -> None:
    """End a function's process; return when another one serves from that checkout."""
    old = platform.find(name)
    assert old is not None
    old.send_signal(signal.SIGTERM)

    def state() -> str:
        process = platform.find(name)
        if process is None or process.pid == old.pid or Path(process.cwd()) != tree:
            return "away"
        by_name = {each["name"]: each["state"] for each in platform.status()["components"]}
        return str(by_name.get(name))

    assert eventually(state, lambda found: found == "ready", 120) == "ready"


@pytest.mark.timeout(400)
def test_old_functions_run_on_the_new_schema_and_beside_new_functions(tmp_path: Path) -> None:
    """Old functions on the new schema, and beside new ones, lose and double nothing.

    Every candle is exact, nothing is refused or dead-lettered.
    """
    tree = checkout(tmp_path / "tree")
    following = checkout(tmp_path / "next")
    (following / "shared/stores/migrations/9999_next_version.sql").write_text(MIGRATION)
    symbol = fresh_symbol("UPGRADE")
    hours_ago_ms = time.time_ns() // 1_000_000 - 8 * 3_600_000  # older ones may move to the lake
    trades = generated_trades(seed=23, count=6_000, start_ms=hours_ago_ms)
    platform = Up(tmp_path / "data", tree)
    try:
        load = Load(platform.env["INGEST_URL"], symbol, trades)
        database, api = platform.env["DATABASE_URL"], platform.env["API_URL"]

        def difference() -> list[object]:
            found = [exact(each) for each in candles(api, symbol)]
            wanted = expected_candles(load.sent, 1)
            return [each for each in found if each not in wanted] + [len(wanted) - len(found)]

        load.send(500)
        assert eventually(difference, lambda found: found == [0], 120) == [0]
        with load.going_on(3_000):
            assert migrate(following, database) == "applied 9999_next_version.sql\n"
        load.send(500)
        assert eventually(difference, lambda found: found == [0], 120) == [0]
        assert {tree_of(platform, name) for name in REPLACED} == {tree}
        old = tree.rename(tmp_path / "old")
        following.rename(tree)
        with load.going_on(5_800):
            for name in REPLACED:
                assert tree_of(platform, name) == old
                replace(platform, name, tree)
        load.send(200)
        assert tree_of(platform, "history-query") == old
        assert eventually(difference, lambda found: found == [0], 180) == [0]
        assert len(load.sent) > 1_500
        stored = "SELECT count(*), count(DISTINCT trade_id) FROM ticks WHERE instrument = %s"
        wanted = [(len(load.sent), len(load.sent))]
        assert eventually(lambda: rows(database, stored, symbol), wanted.__eq__, 120) == wanted
        ((rejects,),) = rows(database, "SELECT count(*) FROM rejects")
        assert rejects == 0
        letters = kandle("dlq", "list", "--json", "--data-dir", str(platform.data_dir))
        assert letters.stdout == ""
    finally:
        platform.stop()
