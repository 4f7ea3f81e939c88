"""A feed that begins with its venue's history: no gap and no repetition, despite faults."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.client import candles, eventually, rows
from tests.e2e.test_feeds import EXCHANGES, names, until
from tests.exchanges.bridge import bridging, of_playback
from tests.exchanges.dialects import Released, Trade, minutes
from tests.exchanges.playback import Playback
from tests.platform import kandle

SPACING_MS = 7_000
PAST_MINUTES = 150
HISTORY_S = 2 * 3_600


def market(symbol: str, first: int, times_ms: Sequence[int]) -> list[Trade]:
    return [
        Trade(symbol, n, f"{100 + n % 11}.5", f"0.{1 + n % 9}", at_ms, buyer_made=n % 3 == 0)
        for n, at_ms in enumerate(times_ms, first)
    ]


@pytest.fixture(params=["binance", "ccxt:bybit"])
def exchange(request: pytest.FixtureRequest) -> Iterator[Playback]:
    started = Playback(EXCHANGES[request.param][0]())
    yield started
    started.close()


def shown(found: Sequence[dict[str, Any]]) -> dict[int, tuple[Decimal, ...]]:
    return {each["t"]: tuple(Decimal(each[name]) for name in "ohlcv") for each in found}


def of(trades: Sequence[Trade]) -> dict[int, tuple[Decimal, ...]]:
    return {each.start_ms: each[1:6] for each in minutes(trades)}


def test_history_and_live_trades_meet_exactly(
    pipeline: dict[str, str], exchange: Playback, tmp_path: Path
) -> None:
    """History and live trades meet exactly, despite faults of the venue.

    429, repeated pages, cuts and lost trades meanwhile; a kline that differs from its trades.
    """
    symbol, instrument = names(exchange)
    begin_ms = time.time_ns() // 60_000_000_000 * 60_000 - PAST_MINUTES * 60_000
    past = market(symbol, 1, range(begin_ms, time.time_ns() // 1_000_000, SPACING_MS))
    exchange.lose(past)
    odd_ms = begin_ms + 100 * 60_000
    honest = next(each for each in minutes(past) if each.start_ms == odd_ms)
    exchange.dialect.wrong = {odd_ms: honest._replace(high=Decimal(999))}
    exchange.answers += [(429, {"retry-after": "1"}), (500, {})]
    exchange.repeats = 1
    log, played = tmp_path / "log", list(past)
    settings = {
        **{name: pipeline[name] for name in ("DATABASE_URL", "REDIS_URL")},
        **of_playback(exchange, symbol),
        "HISTORY_S": str(HISTORY_S),
    }

    def go_on(count: int, *, lost: bool) -> None:
        now_ms = time.time_ns() // 1_000_000
        some = market(symbol, len(played) + 1, [now_ms + n for n in range(count)])
        played.extend(some)
        (exchange.lose if lost else exchange.play)(some)

    with bridging(pipeline["K_SINK"], log, settings):
        until(lambda: exchange.clients > 0, log)
        for lost in (False, True, False, False):
            go_on(5, lost=lost)
            exchange.cut()
            until(lambda: exchange.clients > 0, log)
        go_on(5, lost=False)
        expected = of(played)
        expected[odd_ms] = exchange.dialect.wrong[odd_ms][1:6]

        def now() -> dict[int, tuple[Decimal, ...]]:
            return shown(candles(pipeline["API_URL"], instrument))

        def wanted(found: dict[int, tuple[Decimal, ...]]) -> dict[int, tuple[Decimal, ...]]:
            return {t: each for t, each in expected.items() if t >= min(found, default=0)}

        until(lambda: len(now()) >= HISTORY_S // 60 and now() == wanted(now()), log, 90)
        expected = wanted(now())
        day = lambda: [  # noqa: E731
            sum(Decimal(each["v"]) for each in candles(pipeline["API_URL"], instrument, name))
            for name in ("5m", "1h", "1d")
        ]
        volume = sum((each[4] for each in expected.values()), Decimal())
        assert eventually(day, lambda sums: sums == [volume] * 3, 60) == [volume] * 3
        found = candles(pipeline["API_URL"], instrument)
        origins = [each["origin"] for each in found]
        seam = origins.index("trades")
        assert origins == ["venue"] * seam + ["trades"] * (len(origins) - seam)
        assert seam >= 115
        whole = eventually(
            lambda: [
                (each["partial"], each["complete"])
                for each in candles(pipeline["API_URL"], instrument)
            ],
            lambda flags: set(flags) == {(False, True)},
        )
        assert set(whole) == {(False, True)}

        def hours() -> list[bool]:  # the past begins within the first
            found = candles(pipeline["API_URL"], instrument, "1h")
            return [each["partial"] for each in found[1:]]

        assert not any(eventually(hours, lambda flags: not any(flags)))


@pytest.mark.parametrize("exchange", ["binance"], indirect=True)
def test_fetched_trades_show_what_the_exchanges_candle_should_have_been(
    pipeline: dict[str, str], exchange: Playback, tmp_path: Path
) -> None:
    """Fetched trades replace the venue's candle, and the audit reports its difference."""
    symbol, instrument = names(exchange)
    begin_ms = time.time_ns() // 60_000_000_000 * 60_000 - 12 * 60_000
    past = market(symbol, 1, range(begin_ms, time.time_ns() // 1_000_000, SPACING_MS))
    exchange.lose(past)
    odd_ms = begin_ms + 8 * 60_000
    honest = next(each for each in minutes(past) if each.start_ms == odd_ms)
    exchange.dialect.wrong = {odd_ms: honest._replace(high=Decimal(999))}
    addresses = of_playback(exchange, symbol)
    settings = {"DATABASE_URL": pipeline["DATABASE_URL"], "HISTORY_S": "600", **addresses}
    addresses = {name: each for name, each in addresses.items() if name.endswith("_BASE_URL")}
    log, feed = tmp_path / "log", f"binance:{symbol}"

    def odd() -> list[Any]:
        found = {each["t"]: each for each in candles(pipeline["API_URL"], instrument)}
        return [found.get(odd_ms, {}).get(name) for name in ("h", "origin", "complete")]

    def told(command: str, *more: str) -> str:
        arguments = (command, feed, *more, "--data-dir", pipeline["DATA_DIR"])
        done = kandle(*arguments, check=False, settings=addresses)
        return done.stdout + done.stderr

    with bridging(pipeline["K_SINK"], log, settings):
        until(lambda: odd()[:2] == ["999", "venue"], log, 90)
        since = datetime.fromtimestamp(odd_ms / 1000, UTC).isoformat()
        assert " trades" in told("backfill", "--from", since, "--trades")
        # the audit leaves out candles that a gap touches
        until(lambda: odd() == [f"{honest.high:f}", "trades", True], log, 90)
        audit = ("audit", "--venue", "--from", since)
        until(lambda: "the exchange says 999" in told(*audit), log, 90)
        assert '"differences": ["' in told(*audit, "--json")


@pytest.mark.parametrize("exchange", ["binance"], indirect=True)
def test_a_backfill_of_candles_goes_on_where_it_was_cut_off(
    pipeline: dict[str, str], exchange: Playback
) -> None:
    """A backfill of candles resumes after a refused day, and ends complete."""
    symbol, instrument = names(exchange)
    day_ms = 86_400_000
    begin_ms = time.time_ns() // 1_000_000 // day_ms * day_ms - 4 * day_ms
    past = market(symbol, 1, range(begin_ms, begin_ms + 3 * day_ms, 600_000))
    exchange.lose(past)
    addresses = of_playback(exchange, symbol)
    addresses = {name: each for name, each in addresses.items() if name.endswith("_BASE_URL")}
    bounds = [
        datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
        for at_ms in (begin_ms, begin_ms + 3 * day_ms)
    ]

    def backfill() -> tuple[int, str]:
        done = kandle(
            *("backfill", f"binance:{symbol}", "--from", bounds[0], "--to", bounds[1]),
            *("--candles", "--json", "--data-dir", pipeline["DATA_DIR"]),
            check=False,
            settings=addresses,
        )
        return done.returncode, done.stdout + done.stderr

    def now() -> dict[int, tuple[Decimal, ...]]:
        return shown(candles(pipeline["API_URL"], instrument))

    expected = of(past)
    exchange.answers += [(200, {}), (200, {}), (400, {})]  # a day, and its end
    status, said = backfill()
    assert status == 1
    assert "1 of 3 parts" in said
    assert "2 of 3 parts" not in said
    first = {t: each for t, each in expected.items() if t < begin_ms + day_ms}
    assert eventually(now, first.__eq__) == first
    status, said = backfill()
    assert (status, "2 of 2 parts" in said) == (0, True)
    assert f'"sent": {len(expected) - len(first)}}}' in said
    assert eventually(now, expected.__eq__) == expected
    assert {each["origin"] for each in candles(pipeline["API_URL"], instrument)} == {"venue"}
    assert eventually(backfill, lambda found: "all of it is there" in found[1])[0] == 0


@pytest.mark.parametrize("exchange", ["binance"], indirect=True)
def test_a_bridge_that_is_killed_in_mid_history_goes_on(
    pipeline: dict[str, str], exchange: Playback, tmp_path: Path
) -> None:
    """A bridge killed during history resumes without fetching stored days again.

    Trades begin at the first process's seam.
    """
    symbol, instrument = names(exchange)
    minute_ms, day_ms = 60_000, 86_400_000
    now_ms = time.time_ns() // 1_000_000
    first_ms, midnight_ms = now_ms - 2 * day_ms, now_ms // day_ms * day_ms - day_ms
    times = [*range(first_ms, now_ms - 10 * minute_ms, 5 * minute_ms)]
    played = market(symbol, 1, [*times, *range(now_ms - 10 * minute_ms, now_ms, SPACING_MS)])
    exchange.lose(played)
    log, answer = tmp_path / "log", exchange.dialect.rest

    def refuse_later_days(path: str, query: Mapping[str, str], released: Released) -> Any:
        if path.endswith("/klines"):
            start, end = int(query["startTime"]), int(query["endTime"])
            if start >= midnight_ms and end - start > minute_ms:
                return 503, {}
        return answer(path, query, released)

    exchange.dialect.rest = refuse_later_days  # type: ignore[method-assign]
    settings = {
        **{name: pipeline[name] for name in ("DATABASE_URL", "REDIS_URL")},
        **of_playback(exchange, symbol),
        "HISTORY_S": str(2 * 86_400),
    }

    def go_on(*, lost: bool) -> None:
        at_ms = time.time_ns() // 1_000_000
        some = market(symbol, len(played) + 1, [at_ms + n for n in range(5)])
        played.extend(some)
        (exchange.lose if lost else exchange.play)(some)

    def promised() -> bool:
        query = "SELECT last_trade_id >= %s FROM feeds WHERE symbol = %s"
        return rows(pipeline["DATABASE_URL"], query, len(played), symbol) == [(True,)]

    def days() -> int:
        query = "SELECT count(*) FROM candle_histories WHERE instrument = %s AND to_us <= %s"
        return int(rows(pipeline["DATABASE_URL"], query, instrument, midnight_ms * 1000)[0][0])

    with bridging(pipeline["K_SINK"], log, settings, stop=signal.SIGKILL):
        until(lambda: exchange.clients > 0, log)
        go_on(lost=False)
        until(lambda: promised() and days() == 1, log, 90)
    seam_ms = int(log.read_text().split(" begin at ")[1].split()[0]) // 1000
    exchange.dialect.rest = answer  # type: ignore[method-assign]
    exchange.requests.clear()
    go_on(lost=True)
    with bridging(pipeline["K_SINK"], log, settings):
        until(lambda: exchange.clients > 0, log)
        go_on(lost=False)
        expected = of(played)

        def now() -> dict[int, tuple[Decimal, ...]]:
            return shown(candles(pipeline["API_URL"], instrument))

        def wanted(found: dict[int, tuple[Decimal, ...]]) -> dict[int, tuple[Decimal, ...]]:
            return {t: each for t, each in expected.items() if t >= min(found, default=0)}

        until(lambda: len(now()) >= len(expected) - 1 and now() == wanted(now()), log, 120)

        def wrong() -> list[tuple[int, str, bool]]:
            found = candles(pipeline["API_URL"], instrument)
            flags = [(each["t"], each["origin"], each["partial"]) for each in found]
            return [e for e in flags if e[1:] != (("venue", "trades")[e[0] >= seam_ms], False)]

        assert eventually(wrong, [].__eq__, 60) == []
    asked = [each for each in exchange.requests if "/klines" in each]
    starts = [int(each.split("startTime=")[1].split("&")[0]) for each in asked]
    assert min(starts) >= midnight_ms


@pytest.mark.parametrize("exchange", ["binance"], indirect=True)
def test_a_backfill_of_trades_goes_on_where_it_was_cut_off(
    pipeline: dict[str, str], exchange: Playback
) -> None:
    """A backfill of trades resumes after a refused piece, and each trade counts once."""
    symbol, instrument = names(exchange)
    begin_ms = time.time_ns() // 60_000_000_000 * 60_000 - 200 * 60_000
    past = market(symbol, 1, range(begin_ms, begin_ms + 40_600 * 100, 100))
    exchange.lose(past)
    addresses = of_playback(exchange, symbol)
    addresses = {name: each for name, each in addresses.items() if name.endswith("_BASE_URL")}
    ends = [begin_ms, past[-1].time_ms // 60_000 * 60_000 + 60_000]
    since, until_ = (datetime.fromtimestamp(at_ms / 1000, UTC).isoformat() for at_ms in ends)
    answer = exchange.dialect.rest

    def refuse_the_last_piece(path: str, query: Mapping[str, str], released: Released) -> Any:
        if int(query.get("fromId", "0")) >= 40_000:
            return 400, {"code": -1100, "msg": "Illegal characters"}
        return answer(path, query, released)

    def backfill() -> tuple[int, str]:
        exchange.requests.clear()
        done = kandle(
            *("backfill", f"binance:{symbol}", "--from", since, "--to", until_),
            *("--trades", "--data-dir", pipeline["DATA_DIR"]),
            check=False,
            settings=addresses,
        )
        return done.returncode, done.stdout + done.stderr

    def now() -> dict[int, tuple[Decimal, ...]]:
        return shown(candles(pipeline["API_URL"], instrument))

    exchange.dialect.rest = refuse_the_last_piece  # type: ignore[method-assign]
    status, said = backfill()
    assert (status, "39,999 of 40,600 trades" in said) == (1, True)
    cut_ms = past[39_998].time_ms // 60_000 * 60_000
    eventually(now, lambda found: max(found, default=0) >= cut_ms)

    def incomplete() -> list[int]:
        found = candles(pipeline["API_URL"], instrument)
        return [each["t"] for each in found if not each["complete"]]

    assert cut_ms in eventually(incomplete, lambda found: cut_ms in found)
    exchange.dialect.rest = answer  # type: ignore[method-assign]
    status, said = backfill()
    assert (status, "40,600 of 40,600 trades" in said) == (0, True)
    asked = [each.split("fromId=")[1] for each in exchange.requests if "fromId=" in each]
    assert min(map(int, asked)) >= 20_000  # the first piece was complete
    expected = of(past)
    assert eventually(now, expected.__eq__, 90) == expected
    assert eventually(incomplete, [].__eq__, 90) == []
