"""History for readers: any timeframe, prices, symbols, rejects; exact and complete."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import httpx
import jsonschema
import pytest

from tests.e2e.client import candles, eventually, fresh_symbol, rows, send_udp, web
from tests.e2e.trades import Trade, exact, expected_candles, generated_trades

ALL = {"from": "0"}


def of_seconds(trades: list[Trade], seconds: int) -> list[dict[str, Any]]:
    """The definition for seconds: in time that runs 60 times faster a second is a minute."""
    faster = [trade._replace(time_ms=trade.time_ms * 60) for trade in trades]
    return [{**candle, "t": candle["t"] // 60} for candle in expected_candles(faster, seconds)]


def sent(pipeline: dict[str, str], symbol: str, seed: int, count: int) -> list[Trade]:
    """Send shuffled trades, many twice; return them once all are candles and rows."""
    trades = generated_trades(seed=seed, count=count)
    source = random.Random(seed)
    lines = [trade.line(symbol) for trade in trades + source.sample(trades, count // 3)]
    source.shuffle(lines)
    send_udp(pipeline["UDP_ADDR"], lines)

    def counts() -> tuple[int, int]:
        stored = rows(
            pipeline["DATABASE_URL"],
            "SELECT count(*) FROM ticks_raw WHERE instrument = %s",
            symbol,
        )
        return sum(c["n"] for c in candles(pipeline["API_URL"], symbol, "1d")), int(stored[0][0])

    assert eventually(counts, lambda now: now == (count, len(lines))) == (count, len(lines))
    return trades


def numbers(answer: httpx.Response) -> Any:
    """The response's body with numbers as exact decimals."""
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_float=Decimal)


@pytest.fixture(scope="module")
def market(pipeline: dict[str, str]) -> tuple[str, list[Trade]]:
    """An instrument with a slash in its name, and its trades."""
    symbol = fresh_symbol("XRP/ETH")
    return symbol, sent(pipeline, symbol, 21, 2_000)


@pytest.mark.parametrize("timeframe", ["1s", "5s", "15s", "30s", "45s", "90s"])
def test_candles_of_seconds_are_made_from_ticks(
    pipeline: dict[str, str], market: tuple[str, list[Trade]], timeframe: str
) -> None:
    """Candles of seconds are exact, with ties, eight decimals, and repeated shuffled ticks."""
    symbol, trades = market
    found = candles(pipeline["API_URL"], symbol, timeframe)
    assert [exact(candle) for candle in found] == of_seconds(trades, int(timeframe[:-1]))
    assert {candle["revision"] for candle in found} == {0}
    assert all(candle["closed"] for candle in found[:-3])


@pytest.mark.parametrize(("timeframe", "minutes"), [("2m", 2), ("7m", 7), ("30m", 30), ("2h", 120)])
def test_multiples_are_made_from_shorter_candles(
    pipeline: dict[str, str], market: tuple[str, list[Trade]], timeframe: str, minutes: int
) -> None:
    """Longer candles are folded from stored and live candles together."""
    symbol, trades = market
    found = candles(pipeline["API_URL"], symbol, timeframe)
    assert [exact(candle) for candle in found] == expected_candles(trades, minutes)
    assert all(candle["closed"] for candle in found[:-1])


@pytest.mark.parametrize("timeframe", ["1s", "1m", "3m"])
@pytest.mark.parametrize("start", [ALL, {}], ids=["forward", "backward"])
def test_pages_join_without_hole_or_double(
    pipeline: dict[str, str],
    market: tuple[str, list[Trade]],
    timeframe: str,
    start: dict[str, str],
) -> None:
    """Small pages have whole candles, and concatenated they are all candles."""
    symbol, trades = market
    url = f"{pipeline['API_URL']}/api/candles/{symbol}"
    parameters = {"timeframe": timeframe, "limit": "7", **start}
    pages: list[list[dict[str, Any]]] = []
    while True:
        page = web.get(url, params=parameters).json()
        pages.append([exact(candle) for candle in page["candles"]])
        assert 1 <= len(pages[-1]) <= 7
        if page["next"] is None:
            break
        parameters["cursor"] = page["next"]
    assert len(pages) >= 3
    ordered = pages if start else pages[::-1]
    whole = [candle for page in ordered for candle in page]
    if timeframe == "1s":
        assert whole == of_seconds(trades, 1)
    else:
        assert whole == expected_candles(trades, int(timeframe[:-1]))


def test_price_history_has_the_numbers_that_were_sent(
    pipeline: dict[str, str], market: tuple[str, list[Trade]]
) -> None:
    """Price history has every trade once, in order and exact; a page may end within ties."""
    symbol, trades = market
    url = f"{pipeline['API_URL']}/api/history/{symbol}"
    expected = [{"t": trade.time_ms, "p": trade.price} for trade in sorted(trades)]
    whole = web.get(url, params=ALL)
    assert numbers(whole) == expected
    assert whole.headers["x-kandle-limit"] == "10000"
    assert "x-kandle-truncated" not in whole.headers
    answer = web.get(url, params={**ALL, "limit": "300"})
    pages = [numbers(answer)]
    while "link" in answer.headers:
        assert answer.headers["x-kandle-truncated"] == "true"
        answer = web.get(answer.url.join(answer.links["next"]["url"]))
        pages.append(numbers(answer))
    assert [len(page) for page in pages] == [300] * 6 + [200]
    assert [each for page in pages[::-1] for each in page] == expected
    newest = numbers(web.get(f"{pipeline['API_URL']}/prices/{symbol}/history?limit=5"))
    assert newest == [{"t": each["t"], "price": each["p"]} for each in expected[:-6:-1]]
    latest = numbers(web.get(f"{pipeline['API_URL']}/prices/{symbol}"))
    assert latest == {"symbol": symbol, "price": expected[-1]["p"], "t": expected[-1]["t"]}


def test_the_description_of_the_api_holds(
    pipeline: dict[str, str], market: tuple[str, list[Trade]]
) -> None:
    """Responses of a running instance match the schemas that it serves."""
    api = pipeline["API_URL"]
    document = web.get(f"{api}/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    read = {path: each for path, each in document["paths"].items() if "get" in each}
    assert len(read) > 10
    for path, described in read.items():
        answer = web.get(api + path.format(symbol=market[0]))
        assert answer.status_code == 200
        contents = described["get"]["responses"]["200"]["content"].items()
        media_type, told = next(iter(contents))
        assert answer.headers["content-type"].startswith(media_type)
        if media_type == "application/json":
            schema = {**told["schema"], "components": document["components"]}
            jsonschema.Draft202012Validator(schema).validate(answer.json())


def test_bad_requests_are_problems_that_name_the_parameter(
    pipeline: dict[str, str], market: tuple[str, list[Trade]]
) -> None:
    """A bad parameter on any route is a problem that names it; an unknown symbol is 404."""
    api, (symbol, _) = pipeline["API_URL"], market
    for path, status, said in [
        (f"/api/candles/{symbol}?timeframe=8d", 400, "timeframe: '8d' is too long"),
        (f"/api/candles/{symbol}?timeframe=0s", 400, "timeframe: '0s'"),
        (f"/api/candles/{symbol}?from=soon", 400, "from: 'soon'"),
        (f"/api/candles/{symbol}?limit=0", 400, "limit: '0'"),
        (f"/api/candles/{symbol}?cursor=x", 400, "cursor:"),
        (f"/api/candles/{symbol}?form=1", 400, "form: no such parameter"),
        (f"/api/history/{symbol}?limit=10001", 400, "limit: '10001'"),
        (f"/api/history/{symbol}?to=now", 400, "to: 'now'"),
        (f"/prices/{symbol}/history?cursor=abc", 400, "cursor: "),
        (f"/prices/{symbol}?limit=1", 400, "limit: no such parameter"),
        ("/api/candles/NO-SUCH?timeframe=1s", 404, "'NO-SUCH' was ever seen"),
        ("/api/latest/NO-SUCH", 404, "'NO-SUCH' was ever seen"),
        ("/api/nothing", 404, "/api/candles/{symbol}"),
        ("/api/history/NO-SUCH", 404, "'NO-SUCH' was ever seen"),
        ("/prices/NO-SUCH", 404, "'NO-SUCH' was ever seen"),
        ("/prices/NO-SUCH/history", 404, "'NO-SUCH' was ever seen"),
    ]:
        answer = web.get(api + path)
        assert (answer.status_code, answer.headers["content-type"]) == (
            status,
            "application/problem+json",
        ), path
        assert said in answer.json()["detail"]
    for path in ("/health", "/ready", "/health/liveness", "/health/readiness", "/metrics"):
        assert web.get(api + path).status_code == 200
