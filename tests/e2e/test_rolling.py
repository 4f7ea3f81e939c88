"""A rollout under load: functions are replaced in pairs, and no tick is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import Options, run

FUNCTIONS = [*(Path(__file__).parents[2] / "functions").glob("*/func.yaml")]


@pytest.mark.timeout(400)
def test_every_function_is_replaced_under_load_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Replacing every function in pairs under load loses, doubles and rejects no tick."""
    monkeypatch.setenv("ALERT_URLS", "json://127.0.0.1:9/")  # notify runs only if configured
    said: list[str] = []
    names = sorted(each.parent.name.replace("_", "-") for each in FUNCTIONS)
    pairs = [names[first : first + 2] for first in range(0, len(names), 2)]
    report = run(Options(kills=0, seed=4, rolling=pairs, until_acknowledged=False), said.append)
    text = "\n".join([*said, *report.lines()])
    assert {name for _, name in report.faults} == set(names), text
    assert report.is_clean, text
    assert report.comparison.udp_stored == report.comparison.udp_sent > 100, text
    assert report.comparison.ticks_taken > 500, text
