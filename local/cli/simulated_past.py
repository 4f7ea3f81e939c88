"""Stores a simulated market's history by bulk import, before it continues live."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import typer

from local.errors import CliError

if TYPE_CHECKING:
    import httpx

    from local.feeds.instruments import SimulatedInstrument
    from local.feeds.past import LastTrade, Past

_TIMEOUT_S: Final = 10.0
_PATIENCE_S: Final = 90.0
_LOOK_S: Final = 0.1
_DAY_MS: Final = 86_400_000


def store_past(
    instruments: Sequence[SimulatedInstrument],
    *,
    seed: int,
    span_ms: int,
    rate: float,
    broker_url: str,
    api_url: str,
    stopped: Callable[[], bool],
) -> tuple[list[SimulatedInstrument], int]:
    """Store the trades of the span before now; return the instruments at the end, and its time.

    Existing data is kept: the history continues after an instrument's last trade. Returns once the
    API counts every trade in its candles. The time is in milliseconds since 1970 UTC. Raises
    CliError: the API or the broker is unreachable.
    """
    import httpx

    from local.feeds.importer import NotAcceptedError
    from local.feeds.past import make_past

    until_ms = time.time_ns() // 1_000_000
    with httpx.Client(base_url=api_url, timeout=_TIMEOUT_S, trust_env=False) as api:
        last_trades = _last_trades(api)
        past = make_past(
            instruments, last_trades, seed=seed, span_ms=span_ms, until_ms=until_ms, rate=rate
        )
        if not len(past.trades):
            return past.instruments, until_ms
        names = [each.symbol for each in instruments]
        expected = _trade_count(api, names, until_ms - span_ms, until_ms) + len(past.trades)
        try:
            asyncio.run(_sent(past, broker_url, stopped))
        except NotAcceptedError as error:
            raise CliError(str(error)) from None
        until_s = time.monotonic() + _PATIENCE_S
        while not stopped() and _trade_count(api, names, until_ms - span_ms, until_ms) < expected:
            if time.monotonic() > until_s:
                typer.echo("the market's past is not in its candles yet: it comes late", err=True)
                break
            time.sleep(_LOOK_S)
    return past.instruments, until_ms


async def _sent(past: Past, broker_url: str, stopped: Callable[[], bool]) -> None:
    from local.feeds.importer import Normalizing, Positions, batches, send
    from shared.adapter.sink import Sink

    sink, total = Sink(broker_url, "/kandle/simulate"), len(past.trades)

    def report(lines: int) -> None:
        typer.echo(f"the market's past: {lines:,} of {total:,} ticks", err=True)

    try:
        await send(
            *(batches(iter([past.trades])), Normalizing.from_env(os.environ), sink),
            *(Positions(None), report, stopped),
        )
    finally:
        await sink.close()


def _last_trades(api: httpx.Client) -> dict[str, LastTrade]:
    """Return the newest trade of each instrument, if any."""
    from local.feeds.past import LastTrade

    return {
        row["symbol"]: LastTrade(Decimal(row["price"]), int(row["t"]))
        for row in _get(api, "/api/latest", {})
        if row["price"] is not None
    }


def _trade_count(api: httpx.Client, names: Sequence[str], from_ms: int, to_ms: int) -> int:
    """Return the number of trades in the candles of the days from `from_ms` to `to_ms`."""
    span = {"timeframe": "1d", "from": from_ms - _DAY_MS, "to": to_ms + _DAY_MS, "limit": 1_000}
    total = 0
    for name in names:
        body = _get(api, f"/api/candles/{quote(name, safe='')}", span)
        total += sum(candle["n"] for candle in body.get("candles", ()))
    return total


def _get(api: httpx.Client, path: str, parameters: dict[str, Any]) -> Any:
    """Return the API's response, also for an unknown instrument. Raises CliError."""
    import httpx

    try:
        response = api.get(path, params=parameters)
        if response.status_code != httpx.codes.NOT_FOUND:
            response.raise_for_status()
        return response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise CliError(f"{api.base_url}{path} does not answer: {error}") from None
