from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local.broker.stats import LoudWarnings
from local.cli.output import display
from local.cli.output.display import print_components, ready_lines, status_line
from local.instance import RunningComponent

COMPONENTS = [
    RunningComponent(
        "candle-aggregate", "function", 12345, "http://127.0.0.1:29999", "/data/logs/aggregate.log"
    ),
    RunningComponent(
        "postgres", "server", None, "postgresql://127.0.0.1:29998/kandle", "/data/logs/postgres.log"
    ),
    RunningComponent("REDIS_URL", "external", None, "redis://cache.example.test:6379", ""),
]
ENV = {
    "API_URL": "http://127.0.0.1:8080",
    "INGEST_URL": "http://127.0.0.1:29997/ingest",
    "UDP_ADDR": "127.0.0.1:5005",
    "K_SINK": "http://127.0.0.1:29996/kandle/ingest",
}


def printed(width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_components(console, COMPONENTS)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def sample(**changed: Any) -> dict[str, Any]:
    return {
        "ticks_per_s": 12345.0,
        "events_per_s": 678.0,
        "ticks": 9_876_543,
        "candles": 54_321,
        "rejects": 1_234,
        "dead_letters": 12,
        "lost": 0,
        "lag": {"kandle/normalize": 3, "kandle/candle-aggregate": 1_200, "kandle/persist": 0},
        "unready": {},
        "components": [{"name": "valkey", "state": "ready"}],
        **changed,
    }


def test_a_wide_terminal_shows_the_log_of_each_component() -> None:
    """A wide terminal shows each component and its log in one row."""
    lines = printed(120)
    assert lines[1].split() == [
        *("candle-aggregate", "function", "http://127.0.0.1:29999", "12345"),
        "/data/logs/aggregate.log",
    ]
    assert len(lines) == 1 + len(COMPONENTS)


@pytest.mark.parametrize("width", [80, 40])
def test_a_narrow_terminal_shows_whole_addresses(width: int) -> None:
    """A narrow terminal shows the logs' directory and whole addresses.

    Text that may be copied is neither folded nor truncated.
    """
    lines = printed(width)
    for each, line in zip(COMPONENTS, lines[1:], strict=False):
        assert each.url in line.split()
    assert lines[-1] == "logs in /data/logs"
    assert max(map(len, lines)) <= 80


def test_a_full_disk_behind_the_output_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk behind the output a line is lost and the process goes on."""
    warnings, is_over = LoudWarnings(), False
    with suppress(OSError), Path("/dev/full").open("w") as full:  # close fails as well
        monkeypatch.setattr("sys.stdout", full)
        monkeypatch.setattr("sys.stderr", full)
        display.console().print("ready")
        warnings.warning("no room")
        is_over = True
    assert is_over
    assert [each["text"] for each in warnings.recent()] == ["WARNING no room"]


def test_a_long_ready_line_is_wrapped() -> None:
    """A ready line that does not fit becomes several; both forms begin with `ready`."""
    assert ready_lines(ENV, 200) == [
        "ready  api http://127.0.0.1:8080  ingest http://127.0.0.1:29997/ingest  udp 127.0.0.1:5005"
    ]
    assert ready_lines(ENV, 80) == [
        "ready  api http://127.0.0.1:8080",
        "       ingest http://127.0.0.1:29997/ingest",
        "       udp 127.0.0.1:5005",
    ]
    assert ready_lines({"K_SINK": "http://127.0.0.1:1/a/b"}, 80) == [
        "ready  sink http://127.0.0.1:1/a/b"
    ]


def test_a_wide_live_line_has_everything() -> None:
    """A wide live line names every trigger that lags; a pipe has no width."""
    full = (
        "12,345 ticks/s  678 events/s  ticks 9,876,543  candles 54,321  rejects 1,234  "
        "dead letters 12  lag normalize 3 candle-aggregate 1,200"
    )
    assert status_line(sample()).plain == status_line(sample(), 200).plain == full


def test_a_narrow_live_line_has_the_errors_first() -> None:
    """A narrow live line drops lags before errors."""
    assert status_line(sample(lost=3), 90).plain == (
        "12,345 ticks/s  rejects 1,234  dead letters 12  lost 3  lag 1,203 (most: candle-aggregate)"
    )
    assert status_line(sample(lost=3), 80).plain == (
        "12,345 ticks/s  rejects 1,234  dead letters 12  lost 3"
    )
    calm = sample(rejects=0, dead_letters=0, lag={"kandle/normalize": 0})
    assert status_line(calm, 60).plain == "12,345 ticks/s  rejects 0  dead letters 0  lag 0"
    assert status_line(calm, 5).plain == "12,345 ticks/s"


def test_losses_are_shown_in_red_if_any() -> None:
    """Losses are shown in red, and not at all if there are none."""
    assert "lost" not in status_line(sample()).plain
    line = status_line(sample(lost=2), 80)
    at = line.plain.index("lost 2")
    assert any(span.style == "bold red" and span.start == at for span in line.spans)


def test_components_and_triggers_not_ready_are_named() -> None:
    """Components that are down and triggers that are not ready are named."""
    components = [
        {"name": "valkey", "state": "restarting"},
        {"name": "persist", "state": "not ready"},
        {"name": "nats", "state": "ready"},
    ]
    line = status_line(
        sample(components=components, unready={"kandle/late": "subscriber: unknown host"})
    )
    assert line.plain.endswith("  down: valkey  not ready: persist, trigger late")
