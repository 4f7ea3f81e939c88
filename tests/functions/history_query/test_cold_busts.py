"""A cancel of a trade that has moved to the lake applies to candles and history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from functions.candle_aggregate.corrections.repair import repair
from functions.candle_aggregate.job_context import JobContext
from functions.persist import busts
from functions.persist.busts import BustWriter
from shared.lake.reading.cold import Cold
from shared.stores.s3 import S3Access
from shared.wire.busts import Bust
from shared.wire.candle_columns import columns_of
from shared.wire.raw_batch import FORMAT_SCANNER
from shared.wire.ticks import INTEGER_ID
from tests.functions.history_query.cold import ColdMarket, cold_market
from tests.functions.history_query.market import Tick, candles, trades

RECEIVED_US = 1_900_000_000_000_000


@pytest.fixture
def market(servers: dict[str, str], database: str, valkey: redis.Redis) -> Iterator[ColdMarket]:
    with cold_market(servers, database, valkey, 120) as found:
        yield found
        found.house.replica.engine.close()


def bust(market: ColdMarket, trade: Tick, *, said: bool = True) -> None:
    """Deliver a cancel to persist."""
    time_us = trade.time_us if said else 0
    values = (market.symbol, None, str(trade.number), time_us, False, "", "", RECEIVED_US, 1)
    writer = BustWriter(market.lake.postgres)
    assert writer("bust", "udp-2", FORMAT_SCANNER, [Bust(*values, b"a bust")])


def retry(market: ColdMarket, cold: Cold) -> None:
    """Retry waiting busts, as the clock does."""
    market.lake.sql("UPDATE pending_busts SET next_at = now()")
    BustWriter(market.lake.postgres, cold).retry()


def repaired(market: ColdMarket) -> None:
    """Let candle-aggregate process queued repairs, and persist store the results."""
    replica, postgres = market.house.replica, market.lake.postgres
    for _ in range(3):
        market.lake.sql("UPDATE repairs SET requested_at = now() - interval '1 minute'")
        replica.emit(list(repair(JobContext(replica.engine, postgres, market.lake.cold))))
        market.house.writer.candles(columns_of(replica.emitted))
        replica.emitted.clear()
    assert market.lake.sql("SELECT * FROM repairs") == []


def shown(market: ColdMarket, timeframe: str) -> list[dict[str, Any]]:
    answer = market.house.get(
        f"/api/candles/{market.symbol}", timeframe=timeframe, limit="500", **{"from": "0"}
    )
    names = ("t", "o", "h", "l", "c", "v", "n")
    return [{name: candle[name] for name in names} for candle in answer.json()["candles"]]


def expected(ticks: list[Tick], seconds: int) -> list[dict[str, Any]]:
    names = ("t", "o", "h", "l", "c", "v", "n")
    return [{name: candle[name] for name in names} for candle in candles(ticks, seconds)]


@pytest.mark.parametrize("in_lake", [False, True], ids=["fresh", "copied"])
def test_a_cancelled_trade_of_the_lake_leaves_its_candles(
    market: ColdMarket, *, in_lake: bool
) -> None:
    """A cancelled trade in the lake leaves stored candles and those made on reading.

    Also after the cancel itself has moved to the lake.
    """
    market.house.replica.now_us = RECEIVED_US
    (wrong, *_) = [t for t in trades(market.ticks) if t.kind == INTEGER_ID]
    bust(market, wrong)
    assert market.lake.sql("SELECT count(*) FROM pending_busts") == [(1,)]
    retry(market, market.lake.cold)
    assert market.lake.sql("SELECT count(*) FROM pending_busts") == [(0,)]
    repaired(market)
    if in_lake:
        market.lake.settle()
        market.lake.copy()
        market.lake.compact()
    rest = [t for t in market.ticks if t.trade != wrong.trade]
    for timeframe, seconds in (("1m", 60), ("1h", 3_600), ("5s", 5)):
        assert shown(market, timeframe) == expected(rest, seconds), timeframe
    ticks = market.house.get(f"/api/ticks/{market.symbol}", **{"from": "0"}).json()["ticks"]
    assert [t["us"] for t in ticks if t["ended"] is not None] == [wrong.time_us]


def test_without_a_time_the_last_days_are_searched_and_an_outage_is_no_attempt(
    market: ColdMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancel without a time searches the last days; an outage does not make it a reject."""
    monkeypatch.setattr(busts, "TRIES", 2)
    old = next(t for t in trades(market.ticks) if t.kind == INTEGER_ID)
    market.lake.sql(f"UPDATE first_ticks SET last_time_us = {old.time_us + 60_000_000}")
    bust(market, old, said=False)
    away = S3Access.from_env({"S3_ENDPOINT_URL": "http://127.0.0.1:1"})
    for _ in range(busts.TRIES + 2):
        retry(market, Cold(away))
    assert market.lake.sql("SELECT tries FROM pending_busts") == [(0,)]
    retry(market, market.lake.cold)
    assert market.lake.sql("SELECT count(*) FROM pending_busts") == [(0,)]
    assert market.lake.sql("SELECT count(*) FROM rejects") == [(0,)]


def test_a_trade_that_is_nowhere_is_finally_a_reject(market: ColdMarket) -> None:
    """A cancel of an unknown trade becomes a reject that says what to check."""
    old = next(t for t in trades(market.ticks) if t.kind == INTEGER_ID)
    bust(market, old._replace(number=4_711))
    for _ in range(11):
        retry(market, market.lake.cold)
    ((code, detail),) = market.lake.sql("SELECT code, detail FROM rejects")
    assert code == "unknown_trade"
    assert "4711" in str(detail)
    assert market.lake.sql("SELECT count(*) FROM pending_busts") == [(0,)]
