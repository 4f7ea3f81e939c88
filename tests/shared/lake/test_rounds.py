"""Maintenance rounds as processes: done, counted, one at a time, ended with persist."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from shared.lake.catalog import locked
from shared.lake.maintenance import job as maintenance
from shared.lake.maintenance import process as maintenance_process
from shared.lake.maintenance.failures import BUSY, failures, record
from shared.lake.maintenance.job import Keeper
from shared.lake.maintenance.process import Rounds, add_counts, counts
from shared.lake.maintenance.settings import Terms
from shared.lake.maintenance.snapshot import copy_ticks
from shared.runtime import metrics
from shared.stores.postgres import Postgres
from shared.stores.s3 import S3Access
from tests.functions.history_query.market import generated
from tests.local.broker.processes import eventually
from tests.shared.lake.house import House
from tests.shared.lake.test_lake import keys, stored

TICKS = generated(7, 100, 1_000)
ROOT = Path(__file__).parents[3]
WAITS = "SELECT 1 FROM stored_days WHERE commit_id > (SELECT commit_id FROM lake_position)"


@pytest.fixture
def rounds(
    lake: House, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rounds]:
    """Rounds as persist runs them, over the test's stores."""
    for name, value in {**servers, "DATABASE_URL": lake.dsn, "SNAPSHOT_S": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DB_WRITE_DSN", raising=False)
    monkeypatch.chdir(ROOT)
    rounds = Rounds(lake.postgres, Terms(snapshot_s=1), ask_each_s=0.2)
    yield rounds
    rounds.stop()


def children() -> list[psutil.Process]:
    return [
        each
        for each in psutil.Process().children()
        if each.status() != psutil.STATUS_ZOMBIE and "shared.lake" in each.cmdline()
    ]


def loads_psycopg(process: psutil.Process) -> bool:
    return any("psycopg" in each.path for each in process.memory_maps())


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def until(rounds: Rounds, done: Callable[[], bool]) -> None:
    """Call it as the clock does, until the condition holds."""

    def called() -> bool:
        rounds()
        return done()

    eventually(called, 60)


def test_a_round_copies_what_is_due_and_tells_what_it_counted(lake: House, rounds: Rounds) -> None:
    """A round copies what is due and reports its counts, one process at a time."""
    ticks = generated(7, 300, 9_000_000)
    lake.put(ticks)
    before = metrics.LAKE_TICKS._value.get()
    seen: set[int] = set()

    def copied() -> bool:
        rounds()
        seen.update(each.pid for each in children())
        assert len(children()) <= 1
        return not lake.sql(WAITS)

    eventually(copied, 60)
    until(rounds, lambda: metrics.LAKE_TICKS._value.get() > before)
    assert seen
    assert stored(lake) == keys(ticks)
    assert lake.repeated == 0


def test_no_process_is_started_while_nothing_is_due(
    lake: House, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only new ticks start a process, until the live state's copy or all other work is due."""
    now_us = time.time_ns() // 1000
    today = [tick._replace(time_us=now_us - n, receive_us=now_us) for n, tick in enumerate(TICKS)]
    lake.put(today)
    until(rounds, lambda: not lake.sql(WAITS) and not children())
    started = rounds._started
    for _ in range(30):
        rounds()
    assert rounds._started == started

    def is_due() -> bool:
        return rounds._is_due(time.monotonic())

    rounds.terms = replace(rounds.terms, state_s=1)
    eventually(is_due)
    rounds.terms = replace(rounds.terms, state_s=0)
    assert not is_due()
    monkeypatch.setattr(maintenance_process, "_EACH_S", 1)
    eventually(is_due)
    monkeypatch.setattr(maintenance_process, "_EACH_S", 300)
    assert not is_due()
    lake.put([today[0]._replace(number=7, sequence=7)])
    eventually(is_due)


def test_ticks_that_are_stored_during_a_copy_wait_for_their_time(
    lake: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round of a market that never rests copies what is due at once, not each second's ticks."""
    batches = [TICKS[at : at + 20] for at in range(0, len(TICKS), 20)]
    left, copies = batches[1:], []

    def while_ticks_arrive(postgres: Postgres, access: S3Access) -> int:
        copies.append(copy_ticks(postgres, access))
        lake.put(left.pop() if left else [])
        return copies[-1]

    monkeypatch.setattr(maintenance, "copy_ticks", while_ticks_arrive)
    keeper = Keeper(lake.postgres, lake.access, lake.store, Terms())
    lake.put(batches[0])
    for _ in range(2):
        lake.sql("UPDATE stored_days SET stored_at = stored_at - interval '2 minutes'")
        keeper.copy(time.monotonic() + 60)
    assert copies == [20, 20]
    lake.copy()
    assert stored(lake) == keys(batches[0] + batches[-1] + batches[-2])


def test_a_store_that_is_away_ends_a_round_and_not_the_caller(
    lake: House,
    rounds: Rounds,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An unreachable store or a kill ends a round and not its caller; the next one catches up."""
    endpoint = os.environ["S3_ENDPOINT_URL"]
    lake.put(generated(10, 50, 9_000_000))
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:1")
    failed = "SELECT rounds, reason FROM lake_failures WHERE work = 'copy' AND rounds > 1"
    until(rounds, lambda: bool(lake.sql(failed)))  # the first round may come before ticks are due
    assert lake.sql(WAITS)
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
    ((times, reason),) = lake.sql(failed)
    assert 2 <= int(str(times)) <= rounds._failures
    assert "object storage is away" in str(reason)
    until(rounds, lambda: bool(children()))
    children()[0].send_signal(signal.SIGKILL)
    until(rounds, lambda: "ended with -9" in caplog.text)
    assert lake.sql("SELECT 1 FROM lake_failures WHERE reason LIKE '%ended with -9%'")
    monkeypatch.setenv("S3_ENDPOINT_URL", endpoint)
    until(rounds, lambda: not lake.sql(WAITS))
    until(rounds, lambda: not lake.sql("SELECT 1 FROM lake_failures"))


def test_a_round_that_is_ended_at_its_limit_has_more_time_the_next_time(
    lake: House, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round that is killed at its time limit has a longer one next time."""
    monkeypatch.setattr(maintenance_process, "_LIMIT_S", 1)
    monkeypatch.setattr(maintenance_process, "_EACH_S", 0)
    lake.put(generated(10, 50, 9_000_000))
    until(rounds, lambda: rounds._killed > 0)
    assert lake.sql("SELECT 1 FROM lake_failures WHERE reason LIKE '%ended with -14%'")
    until(rounds, lambda: not lake.sql(WAITS))
    until(rounds, lambda: not lake.sql("SELECT 1 FROM lake_failures"))


def test_a_round_whose_results_cannot_be_read_does_not_stop_the_next(
    lake: House, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect met in a round's results is raised once, and later rounds are run."""
    monkeypatch.setattr(maintenance_process, "_EACH_S", 0)
    with monkeypatch.context() as patch:
        patch.setattr(maintenance_process, "record", None)
        with pytest.raises(TypeError):
            until(rounds, lambda: False)
    lake.put(generated(10, 50, 9_000_000))
    until(rounds, lambda: not lake.sql(WAITS))


def test_a_defect_in_one_piece_of_work_stops_no_other(
    lake: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception in one piece of work is reported, and the others are done."""

    def broken(*_: object) -> bool:
        raise RuntimeError("never seen")

    monkeypatch.setattr(maintenance, "compact", broken)
    lake.put(generated(10, 50, 9_000_000))
    lake.copy()
    keeper = Keeper(lake.postgres, lake.access, lake.store, Terms(snapshot_s=1))
    results = dict(keeper.round(time.time_ns() // 1000, time.monotonic() + 60, sweep=True))
    assert results.pop("compact") == "RuntimeError: never seen"
    assert set(results.values()) == {""}
    assert {"copy", "candles", "retain", "state", "end", "expire", "remove", "states"} == {*results}


def test_a_round_that_finds_the_lake_in_use_says_nothing_of_failures(lake: House) -> None:
    """Another replica's failure stays recorded; what waits is copied by a later round."""
    lake.put(TICKS)
    lake.settle()
    keeper = Keeper(lake.postgres, lake.access, lake.store, Terms(snapshot_s=0))
    with lake.postgres.connection() as other:
        record(other, {"copy": "object storage is away"})
    with locked(lake.postgres):
        results = dict(keeper.round(time.time_ns() // 1000, time.monotonic() + 60))
        assert results["copy"] == BUSY
    with lake.postgres.connection() as connection:
        record(connection, results)
        assert [each.work for each in failures(connection)] == ["copy"]
    results = dict(keeper.round(time.time_ns() // 1000, time.monotonic() + 60))
    with lake.postgres.connection() as connection:
        record(connection, results)
        assert failures(connection) == []
    assert stored(lake) == keys(TICKS)


def test_a_round_ends_with_the_process_that_started_it(
    lake: House, servers: dict[str, str]
) -> None:
    """A round ends with its parent, by SIGTERM or SIGKILL."""
    program = (
        "import os, signal, sys, time\n"
        "from shared.lake.maintenance.process import Rounds\n"
        "from shared.lake.maintenance.settings import Terms\n"
        "from shared.stores.postgres import Postgres\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "rounds = Rounds(Postgres(os.environ['DATABASE_URL'], size=1), Terms())\n"
        "rounds()\n"
        "print(rounds._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    for end in (signal.SIGTERM, signal.SIGKILL):
        with subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, **servers, "DATABASE_URL": lake.dsn},
            stdout=subprocess.PIPE,
            text=True,
        ) as parent:
            assert parent.stdout is not None
            child = psutil.Process(int(parent.stdout.readline()))
            # stopped, so that it cannot end by itself
            eventually(partial(loads_psycopg, child), 30)
            child.send_signal(signal.SIGSTOP)
            parent.send_signal(end)
            parent.wait(30)
            eventually(partial(is_gone, child), 30)


def test_counts_come_over_as_they_were() -> None:
    """Counters of a round, with and without labels, are added to its parent's."""
    before = metrics.LAKE_DROPPED.labels("candles")._value.get()
    metrics.LAKE_DROPPED.labels("candles").inc(before + 3)
    copied = metrics.LAKE_TICKS._value.get()
    add_counts(counts())
    assert metrics.LAKE_DROPPED.labels("candles")._value.get() == 2 * (2 * before + 3)
    assert metrics.LAKE_TICKS._value.get() == 2 * copied
