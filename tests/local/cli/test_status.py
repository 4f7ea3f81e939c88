from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.cli.commands.status import full_disk, silent_storage
from local.instance import status_path, write_json
from local.servers.ports import free_port
from tests.local.cli.running import instance, invoke
from tests.local.feeds.receivers import http_receiver

SAMPLE: dict[str, Any] = {
    "time": "2026-01-01T00:00:10+00:00",
    "uptime_s": 10.0,
    "ticks_per_s": 0.0,
    "events_per_s": 0.0,
    "ticks": 0,
    "events": 4,
    "candles": 0,
    "rejects": 0,
    "dead_letters": 2,
    "lost": 2,
    "trades_age_s": 0.084,
    "candles_age_s": 190.0,
    "lag": {"test/works": 7, "test/absent": 0},
    "unready": {"test/absent": "subscriber: nobody is at http://nobody.test"},
    "input_notes": ["3.0% of the input is rejects"],
    "components": [
        {"name": "persist", "state": "not ready", "reason": "GET /ready: 503", "restarts": 2},
        {"name": "broker", "state": "ready", "reason": None, "restarts": 0},
    ],
}


def test_the_reason_for_not_ready_is_shown(tmp_path: Path) -> None:
    """A trigger that is not ready shows its reason in place of a lag."""
    instance(tmp_path, {})
    write_json(status_path(tmp_path), SAMPLE)
    lines = invoke("status", "--data-dir", tmp_path).stdout.splitlines()
    table = {line.split()[0]: " ".join(line.split()[1:]) for line in lines if "test/" in line}
    assert table == {
        "test/works": "7",
        "test/absent": "not ready: subscriber: nobody is at http://nobody.test",
    }
    assert "persist is not ready: GET /ready: 503" in lines
    assert "persist was restarted 2 times" in lines
    assert "3.0% of the input is rejects" in lines
    assert "trades are shown 84 ms after their receipt" in lines
    assert "candles are shown 190 s after their receipt" in lines
    assert "dead letters 2  lost 2" in lines[-1]


def test_a_full_disk_and_an_old_sample_are_reported(tmp_path: Path) -> None:
    """A sample that a full disk prevented from being renewed is reported as old."""
    instance(tmp_path, {})
    for time, is_old in ((SAMPLE["time"], True), (datetime.now(UTC).isoformat(), False)):
        write_json(status_path(tmp_path), SAMPLE | {"time": time})
        output = invoke("status", "--data-dir", tmp_path).stdout
        assert ("s old: the instance could not write a newer sample" in output) is is_old
    assert full_disk(3 * 10**9, "/data") is None
    assert "disk 0.1 GB free at /data: make room" in str(full_disk(10**8, "/data"))


def test_storage_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether object storage answers does not depend on the environment's proxy."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with http_receiver() as storage:
        assert silent_storage({"S3_ENDPOINT_URL": storage.url}) is None
        assert len(storage.requests) == 1


def test_json_has_the_whole_sample(tmp_path: Path) -> None:
    """`--json` has the whole sample."""
    instance(tmp_path, {})
    write_json(status_path(tmp_path), SAMPLE)
    status = json.loads(invoke("status", "--json", "--data-dir", tmp_path).stdout)
    assert status.items() >= SAMPLE.items()
