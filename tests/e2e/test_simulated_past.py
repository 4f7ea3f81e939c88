"""A simulated market has a past of whole candles that leads to the live ones without a gap."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from local.feeds.instruments import instrument
from tests.e2e.client import candles, eventually, fresh_symbol, web
from tests.platform import kandle

MINUTE_MS = 60_000


def test_the_past_is_in_the_candles_before_the_market_is_live(pipeline: dict[str, str]) -> None:
    """Every minute of the past has a candle, and a later run continues without repetition."""
    symbol = fresh_symbol("PAST")
    run = (
        *("simulate", "--symbols", symbol, "--history", "2h", "--count", "40", "--rate", "100"),
        *("--quiet", "--to", "http", "--data-dir", pipeline["DATA_DIR"]),
    )
    traded = instrument(symbol)
    spread = Decimal((traded.spread + 1) * traded.price_step).scaleb(-traded.price_scale)
    said = kandle(*run).stderr
    total = int(said.rpartition(" of ")[2].split()[0].replace(",", ""))
    assert "the market is live" in said

    def counted() -> int:
        return sum(each["n"] for each in candles(pipeline["API_URL"], symbol))

    assert eventually(counted, lambda count: count >= total + 40) == total + 40
    found = candles(pipeline["API_URL"], symbol)[:120]  # all of the past, without the live minute
    assert {b["t"] - a["t"] for a, b in pairwise(found)} == {MINUTE_MS}
    for before, after in pairwise(found):
        apart = abs(Decimal(after["o"]) - Decimal(before["c"]))
        assert apart <= Decimal(before["c"]) / 100 + spread
    assert all(each["complete"] for each in found)
    assert [each["partial"] for each in found[1:]] == [False] * (len(found) - 1)

    kandle(*run)
    latest = web.get(f"{pipeline['API_URL']}/api/latest/{symbol}").json()
    last = Decimal(found[-1]["c"])
    assert abs(Decimal(latest["price"]) - last) <= last / 20 + spread
    again = {each["t"]: each for each in candles(pipeline["API_URL"], symbol)}
    assert all(again[each["t"]] == each for each in found[:-1])
