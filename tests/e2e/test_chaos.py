"""A few kills of everything that holds or moves ticks; the long form is `make chaos`."""

from __future__ import annotations

import pytest

from tests.chaos.run import Options, run


@pytest.mark.timeout(400)
def test_kills_pauses_and_cut_connections_cost_nothing() -> None:
    """After kills, pauses and cut connections each accepted tick is stored once.

    Every candle is exact, no dead letter without a reason.
    """
    said: list[str] = []
    report = run(
        Options(
            kills=9,
            seconds=120,
            seed=2,
            gap_s=1.0,
            targets=(
                *("normalize", "persist", "candle-aggregate", "udp-bridge"),
                *("candle-aggregate-2", "nats", "postgres"),
                *("valkey and its data", "valkey and its last writes"),
            ),
            replicas=2,
            until_acknowledged=False,
        ),
        said.append,
    )
    text = "\n".join([*said, *report.lines()])
    assert report.kills == 9, text
    assert report.is_clean, text
    found = report.comparison
    assert found.ticks_stored >= found.ticks_taken > 500, text
    assert found.candles_closed > 50, text
    assert found.candles_shown >= found.candles_closed, text
