"""A rollout and a few kills of everything that holds or moves ticks; longer: `make chaos`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import Options, run

FUNCTIONS = [*(Path(__file__).parents[2] / "functions").glob("*/func.yaml")]


@pytest.mark.timeout(400)
def test_a_rollout_kills_pauses_and_cut_connections_cost_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each accepted tick is stored once and every candle is exact, no dead letter without a reason.

    While every function is replaced, in pairs, also no datagram is lost; then come kills, pauses
    and cut connections.
    """
    monkeypatch.setenv("ALERT_URLS", "json://127.0.0.1:9/")  # notify runs only if configured
    said: list[str] = []
    names = [each.parent.name.replace("_", "-") for each in FUNCTIONS]
    names = sorted([*names, "candle-aggregate-2"])
    report = run(
        Options(
            kills=9,
            seconds=240,
            seed=2,
            gap_s=1.0,
            every_s=1.0,
            targets=(
                *("normalize", "persist", "candle-aggregate", "udp-bridge"),
                *("candle-aggregate-2", "nats", "postgres"),
                *("valkey and its data", "valkey and its last writes"),
            ),
            rolling=[names[first : first + 2] for first in range(0, len(names), 2)],
            replicas=2,
            until_acknowledged=False,
        ),
        said.append,
    )
    text = "\n".join([*said, *report.lines()])
    assert report.kills == 9, text
    assert {name for _, name in report.faults} >= set(names), text
    assert report.is_clean, text
    found = report.comparison
    assert found.udp_promised > 100, text
    assert found.ticks_stored >= found.ticks_taken > 500, text
    assert found.candles_closed > 50, text
    assert found.candles_shown >= found.candles_closed, text
