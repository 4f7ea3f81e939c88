"""Venue audit: compare our candles with the exchange's own, per base interval.

`python -m functions.exchange_bridge.venue_audit`; exit code 1 if any differs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Final

from functions.exchange_bridge.exchange import Kline
from functions.exchange_bridge.past.venue_history import base_timeframe, fetched, until_answered
from functions.exchange_bridge.rest import RestError
from functions.exchange_bridge.settings import Settings
from kandle.client import ApiError, Candle, Kandle, KandleError
from shared.adapter.logs import configure_logging
from shared.errors import TransientError
from shared.market.timeframes import Timeframe
from shared.market.timestamps import us_of
from shared.runtime.settings import SettingsError
from shared.stores.postgres import Postgres
from shared.wire.candle import VENUE

_COMPARED: Final = ("open", "high", "low", "close", "volume")
_NOT_FOUND: Final = 404


@dataclass(slots=True)
class Compared:
    """Result of a comparison. `differences`: text, each with its start."""

    equal: int = 0
    of_venue: int = 0
    unfinished: int = 0
    differences: list[str] = field(default_factory=list)


def compare(klines: Sequence[Kline], candles: Sequence[Candle], *, counts: bool) -> Compared:
    """Compare by start; `counts`: the exchange reports the number of trades.

    Ours that are incomplete or open prove nothing; those of the venue's origin are its own.
    """
    result = Compared()
    klines_by_start = {kline.start_us: kline for kline in klines}
    candles_by_start = {us_of(candle.time): candle for candle in candles}
    for start_us in sorted(klines_by_start.keys() | candles_by_start.keys()):
        kline, candle = klines_by_start.get(start_us), candles_by_start.get(start_us)
        if candle is not None and candle.origin == VENUE:
            result.of_venue += 1
        elif candle is not None and (candle.partial or not candle.complete or not candle.closed):
            result.unfinished += 1
        elif kline is None or candle is None:
            missing = "the exchange lists none" if kline is None else "none is here"
            result.differences.append(f"{_utc(start_us)}: {missing}")
        elif differing_values := list(_values(kline, candle, counts=counts)):
            result.differences.append(f"{_utc(start_us)}: {'; '.join(differing_values)}")
        else:
            result.equal += 1
    return result


def _values(kline: Kline, candle: Candle, *, counts: bool) -> Iterator[str]:
    for name in _COMPARED:
        stored, published = getattr(candle, name), getattr(kline, name)
        if stored != published:
            yield f"{name} is {stored}, the exchange says {published}"
    if counts and candle.trades != kline.trades:
        yield f"{candle.trades} trades, the exchange says {kline.trades}"


async def audit(
    settings: Settings,
    api_url: str,
    from_us: int,
    to_us: int,
    show: Callable[[str, Timeframe, Compared], object],
) -> int:
    """Compare and `show` every instrument; return the number of differences. Raises RestError."""
    exchange = settings.exchange
    postgres = Postgres(settings.database_url, size=1)
    try:
        base = await asyncio.to_thread(base_timeframe, postgres)
    finally:
        postgres.close()
    if base.length_us not in exchange.intervals:
        raise RestError(f"{exchange.name} lists no candles of {base}", is_final=True)

    count = 0
    try:
        for symbol in exchange.symbols:
            name = exchange.instrument(symbol)
            klines = await until_answered(
                exchange.name,
                lambda: fetched(exchange, symbol, base, base.start_us(from_us), to_us),  # noqa: B023
            )
            candles = await asyncio.to_thread(_api_candles, api_url, name, base, from_us, to_us)
            result = compare(*_both(klines, candles), counts=exchange.counts_trades)
            show(name, base, result)
            count += len(result.differences)
    finally:
        await exchange.rest.close()
    return count


def _both(klines: Sequence[Kline], candles: Sequence[Candle]) -> tuple[list[Kline], list[Candle]]:
    """Return those from the first common start: either side may begin late."""
    if not klines or not candles:
        return [], []
    begin_us = max(klines[0].start_us, us_of(candles[0].time))
    return (
        [each for each in klines if each.start_us >= begin_us],
        [each for each in candles if us_of(each.time) >= begin_us],
    )


def _api_candles(api: str, name: str, base: Timeframe, from_us: int, to_us: int) -> list[Candle]:
    """Return the API's candles. Raises KandleError."""
    begin_ms = base.start_us(from_us) // 1000
    with Kandle(api, trust_env=False) as kandle:
        try:
            return list(kandle.candles(name, base.name, start=begin_ms, end=to_us // 1000))
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            return []


def _utc(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _show(name: str, base: Timeframe, result: Compared) -> None:
    for difference in result.differences:
        _say(f"{name} {difference}")
    _say(
        f"{name}: {result.equal:,} candles of {base} equal, {len(result.differences):,}"
        f" differ; {result.of_venue:,} are the exchange's own, {result.unfinished:,} are not whole"
        " here"
    )


def _show_json(name: str, base: Timeframe, result: Compared) -> None:
    _say(json.dumps({"symbol": name, "timeframe": str(base), **asdict(result)}))


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what the command is for


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from-us", type=int, required=True)
    parser.add_argument("--to-us", type=int, required=True)
    parser.add_argument("--api-url", required=True)
    parser.add_argument("--json", action="store_true", help="print one JSON object an instrument")
    options = parser.parse_args()
    configure_logging(os.environ)
    try:
        settings = Settings.from_env(os.environ)
        show = _show_json if options.json else _show
        count = asyncio.run(audit(settings, options.api_url, options.from_us, options.to_us, show))
    except (SettingsError, RestError, TransientError, KandleError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
