"""The expected rows and candles, computed tick by tick in plain Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from tests.chaos.market import Tick
from tests.chaos.senders import Batch
from tests.e2e.client import candles, rows

MINUTES: Final = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "4h": 240, "1d": 1440}


class Row(NamedTuple):
    """A stored tick with the fields of the total order."""

    tick: Tick
    received_us: int
    source: str
    sequence: int

    @property
    def order(self) -> tuple[Any, ...]:
        """Its place in the total order; a symbol's trade ids are integers, or there are none."""
        number = int(self.tick.trade_id or 0)
        return (self.tick.time_ms, number, self.received_us, self.source, self.sequence)


class Candle(NamedTuple):
    """A candle by its definition."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int
    bought: Decimal
    sold: Decimal


Key = tuple[str, str, int]
"""Symbol, timeframe, start in ms."""


def stored_ticks(database_url: str, symbols: Sequence[str]) -> list[Row]:
    """Every stored row, repetitions included."""
    found = rows(
        database_url,
        "SELECT instrument, event_time_us / 1000, price, size, coalesce(side, ''), trade_id,"
        " receive_time_us, source, sequence FROM ticks_raw WHERE instrument = ANY(%s)",
        list(symbols),
    )
    return [Row(Tick(*each[:6]), *each[6:]) for each in found]


def expected_candles(stored: Iterable[Row]) -> dict[Key, Candle]:
    """The candles of stored ticks: each trade once, in the total order."""
    trades: dict[tuple[Any, ...], Row] = {}
    for row in sorted(stored, key=lambda each: each.order):
        tick = row.tick
        trade = tick.trade_id or (row.source, row.sequence)
        trades.setdefault((tick.symbol, tick.time_ms // 60_000, trade), row)
    groups: dict[Key, list[Tick]] = defaultdict(list)
    for row in trades.values():
        for timeframe, minutes in MINUTES.items():
            start_ms = row.tick.time_ms // (minutes * 60_000) * (minutes * 60_000)
            groups[row.tick.symbol, timeframe, start_ms].append(row.tick)
    return {key: _candle(ticks) for key, ticks in groups.items()}


def _candle(ticks: Sequence[Tick]) -> Candle:
    prices = [tick.price for tick in ticks]
    return Candle(
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        sum((tick.size for tick in ticks), Decimal(0)),
        len(ticks),
        sum((tick.size for tick in ticks if tick.side == "buy"), Decimal(0)),
        sum((tick.size for tick in ticks if tick.side == "sell"), Decimal(0)),
    )


def stored_candles(database_url: str, symbols: Sequence[str]) -> dict[Key, Candle]:
    """The closed candles in Postgres."""
    found = rows(
        database_url,
        "SELECT instrument, timeframe, start_us / 1000, open, high, low, close, volume,"
        " trade_count, buy_volume, sell_volume FROM candles WHERE instrument = ANY(%s)",
        list(symbols),
    )
    return {each[:3]: Candle(*each[3:]) for each in found}


def shown_candles(api: str, symbols: Sequence[str]) -> dict[Key, tuple[Candle, bool]]:
    """All candles of the API, open ones too, with whether each is closed."""
    found = {}
    for symbol in symbols:
        for timeframe in MINUTES:
            for each in candles(api, symbol, timeframe):
                found[symbol, timeframe, each["t"]] = (_read(each), bool(each["closed"]))
    return found


def _read(shown: Mapping[str, Any]) -> Candle:
    """A candle of the API."""
    open_, high, low, close, volume, bought, sold = (
        Decimal(shown[name]) for name in ("o", "h", "l", "c", "v", "bv", "sv")
    )
    return Candle(open_, high, low, close, volume, shown["n"], bought, sold)


@dataclass
class Comparison:
    """The counts compared. `differences`: one line for each."""

    ticks_taken: int
    ticks_stored: int
    udp_sent: int
    udp_promised: int
    udp_stored: int
    rejects: int
    candles_closed: int
    candles_shown: int
    differences: list[str]


def compare(
    env: Mapping[str, str],
    symbols: Sequence[str],
    batches: Sequence[Batch],
    udp: Sequence[Tick],
    promised: Sequence[Tick] = (),
) -> Comparison:
    """Compare what is stored and served with what was sent.

    `promised`: ticks of `udp` that no fault may lose.
    """
    database = env["DATABASE_URL"]
    stored = stored_ticks(database, symbols)
    must = Counter(tick for batch in batches if batch.taken for tick in batch.ticks)
    may = Counter(tick for batch in batches if not batch.taken for tick in batch.ticks)
    datagrams = Counter(udp)
    have = Counter(row.tick for row in stored)
    kept = Counter(promised)
    differences = _differing_ticks(must + kept, may + (datagrams - kept), have)
    differences += _differing_rejects(database, batches)

    expected = expected_candles(stored)
    in_postgres = stored_candles(database, symbols)
    shown = shown_candles(env["API_URL"], symbols)
    for key, candle in in_postgres.items():
        if expected.get(key) != candle:
            differences.append(f"in Postgres {key}: {candle}, and not {expected.get(key)}")
    for key, (candle, is_closed) in shown.items():
        if expected.get(key) != candle:
            differences.append(f"by the API {key}: {candle}, and not {expected.get(key)}")
        if is_closed and key not in in_postgres:
            differences.append(f"closed by the API and not in Postgres {key}")
    differences += [f"no candle {key}" for key in expected.keys() - shown.keys()]
    return Comparison(
        ticks_taken=must.total(),
        ticks_stored=sum(n for tick, n in have.items() if tick not in datagrams),
        udp_sent=datagrams.total(),
        udp_promised=kept.total(),
        udp_stored=sum(have[tick] for tick in datagrams),
        rejects=sum(len(batch.bad) for batch in batches if batch.taken),
        candles_closed=len(in_postgres),
        candles_shown=len(shown),
        differences=differences,
    )


def _differing_ticks(must: Counter[Tick], may: Counter[Tick], have: Counter[Tick]) -> list[str]:
    found = []
    for tick in must.keys() | may.keys() | have.keys():
        least, most = must[tick], must[tick] + may[tick]
        if not least <= have[tick] <= most:
            found.append(f"tick stored {have[tick]} times, and not {least} to {most}: {tick.line}")
    return found


def _differing_rejects(database: str, batches: Sequence[Batch]) -> list[str]:
    stored = Counter(
        bytes(original).decode()
        for (original,) in rows(
            database,
            "SELECT original FROM rejects WHERE position(%s::bytea in original) > 0",
            b"price of",
        )
    )
    return [
        f"reject stored {stored[line]} times: {line}"
        for batch in batches
        for line in batch.bad
        if not int(batch.taken) <= stored[line] <= 1
    ]
