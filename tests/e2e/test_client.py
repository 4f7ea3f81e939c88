"""kandle.client against a running Kandle: sent ticks are read back in every way."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from kandle.client import ApiError, AsyncKandle, Candle, Event, Kandle, Tick
from tests.e2e.client import eventually, fresh_symbol
from tests.relay import Relay

START = datetime(2024, 3, 1, 12, tzinfo=UTC)


DOCUMENT = Path(__file__).parents[2] / "docs/client.md"


def tick(symbol: str, number: int) -> dict[str, object]:
    time = START + timedelta(seconds=number)
    told = {"symbol": symbol, "price": Decimal(f"10.{number:02}"), "size": "0.5"}
    return {**told, "time": time, "side": "buy", "id": str(number)}


def test_what_is_sent_is_streamed_over_a_cut_and_stored(pipeline: dict[str, str]) -> None:
    """Each sent trade is once in the live feed, history and a replay, despite a cut."""
    symbol = fresh_symbol("CLIENT")
    with (
        Relay(pipeline["LIVE_URL"]) as relay,
        Kandle(
            pipeline["API_URL"], live_url=relay.url, ingest_url=pipeline["INGEST_URL"]
        ) as kandle,
    ):
        sent = kandle.send([tick(symbol, 1)], key=f"{symbol}-1")
        assert (sent.accepted, sent.rejected, sent.first_errors) == (1, 0, ())
        eventually(kandle.symbols, lambda names: symbol in names)

        events = kandle.stream(f"ticks:{symbol}")
        first = next(events)
        assert first.channel == f"ticks:{symbol}"
        assert isinstance(first.data, Tick)
        assert first.data.price == Decimal("10.01")
        kandle.send([tick(symbol, 2)])
        second = next(events)
        assert isinstance(second.data, Tick)
        assert second.data.time == START + timedelta(seconds=2)
        assert (second.data.price, second.data.side, second.data.id) == (
            Decimal("10.02"),
            "buy",
            "2",
        )
        relay.cut()
        kandle.send([tick(symbol, 3)])
        third = next(events)
        assert isinstance(third.data, Tick)
        assert third.data.price == Decimal("10.03")
        assert first.seq < second.seq < third.seq
        events.close()

        kandle.send([tick(symbol, 1)], key=f"{symbol}-1")
        stored = eventually(lambda: list(kandle.ticks(symbol, start=START)), lambda t: len(t) == 3)
        assert [each.id for each in stored] == ["1", "2", "3"]
        candle = eventually(
            lambda: list(kandle.candles(symbol, start=START)),
            lambda c: bool(c and c[0].trades == 3),
        )[0]
        assert (candle.symbol, candle.timeframe, candle.time) == (symbol, "1m", START)
        assert (candle.open, candle.volume) == (Decimal("10.01"), Decimal("1.5"))
        assert kandle.latest(symbol).price == Decimal("10.03")
        assert [each.symbol for each in kandle.overview(symbol)] == [symbol]
        assert not list(kandle.patterns(symbol))
        assert not list(kandle.alerts(symbol))
        assert all(each["state"] for each in kandle.feeds())
        again = kandle.replay(
            f"ticks:{symbol}", start=START, end=START + timedelta(minutes=1), speed=100_000
        )
        assert [each.data for each in again if not each.snapshot] == stored


def test_the_asynchronous_client_streams_and_refusals_end_it(pipeline: dict[str, str]) -> None:
    """The asyncio client streams candles with history's fields; a bad channel is an error."""
    symbol = fresh_symbol("CLIENT")

    async def watch() -> Event:
        async with AsyncKandle(
            live_url=pipeline["LIVE_URL"], ingest_url=pipeline["INGEST_URL"]
        ) as kandle:
            assert (await kandle.send([tick(symbol, 1), {"symbol": symbol}])).rejected == 1
            with pytest.raises(ApiError, match="channel"):
                await anext(kandle.stream("nonsense"))
            events = kandle.stream(f"candles:1m:{symbol}")
            return await anext(events)

    event = asyncio.run(watch())
    assert isinstance(event.data, Candle)
    assert (event.data.symbol, event.data.trades) == (symbol, 1)


def test_the_document_runs_as_it_stands(
    pipeline: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code blocks of the document run in order against the pipeline."""
    for name in ("API_URL", "LIVE_URL", "INGEST_URL"):
        monkeypatch.setenv(name, pipeline[name])
    symbol = fresh_symbol("MY-COIN")
    text = DOCUMENT.read_text().replace("MY-COIN", symbol)
    first, *others = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(others) == 4
    names: dict[str, object] = {}
    exec(first, names)
    kandle = names["kandle"]
    assert isinstance(kandle, Kandle)
    with kandle:
        eventually(
            lambda: symbol in kandle.symbols() and len(list(kandle.ticks(symbol))) == 2, bool
        )
        eventually(lambda: len(list(kandle.candles(symbol, start=0))) == 1, bool)
        for each in others:
            exec(each, names)
    assert len(names["trades"]) == 2  # type: ignore[arg-type]
    assert type(names["plain"]) is float
    assert names["exact"]["trades"].to_list() == [2]  # type: ignore[index]
