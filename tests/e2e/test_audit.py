"""`kandle audit` finds a wrong candle; `kandle rebuild` repairs it while the pipeline runs."""

from __future__ import annotations

import psycopg

from tests.e2e.client import candles, eventually, fresh_symbol, send_udp
from tests.e2e.trades import generated_trades
from tests.platform import kandle


def test_a_wrong_candle_is_found_and_mended(pipeline: dict[str, str]) -> None:
    """A changed or missing candle in Postgres is found by the audit and rebuilt."""
    symbol = fresh_symbol("AUDIT")
    trades = generated_trades(seed=5, count=2_000)
    send_udp(pipeline["UDP_ADDR"], (trade.line(symbol) for trade in trades))

    def count() -> int:
        return sum(candle["n"] for candle in candles(pipeline["API_URL"], symbol, "1d"))

    assert eventually(count, lambda n: n == 2_000) == 2_000
    where = ("--data-dir", pipeline["DATA_DIR"])
    good = kandle("audit", symbol, "--wait", "100", *where)
    assert good.stdout.endswith("against 2,000 stored trades: all equal\n")
    with psycopg.connect(pipeline["DATABASE_URL"]) as connection:
        rows = connection.execute(
            "UPDATE candles SET high = high + 1 WHERE (instrument, timeframe, start_us) IN"
            " (SELECT instrument, timeframe, start_us FROM candles WHERE instrument = %s"
            "  AND timeframe = '1m' ORDER BY start_us LIMIT 2) RETURNING start_us",
            (symbol,),
        ).fetchall()
        assert len(rows) == 2
        # as after eviction: the live state has the highest revision too
        connection.execute(
            "UPDATE candles SET revision = revision + 1000 WHERE instrument = %s"
            " AND timeframe = '1m' AND start_us = ANY(%s)",
            (symbol, [row[0] for row in rows]),
        )
    bad = kandle("audit", symbol, "--wait", "0", *where, check=False)
    assert bad.returncode == 1
    assert bad.stdout.endswith("2 differ\n")
    assert bad.stdout.count(": high is ") == 2
    said = kandle("rebuild", symbol, *where)
    assert said.stdout.count(": high was ") == 2
    assert said.stdout.endswith("candles recomputed, 2 changed\n")
    after = kandle("audit", symbol, *where)
    assert after.stdout.endswith("all equal\n")
