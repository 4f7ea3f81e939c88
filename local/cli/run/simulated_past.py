"""Stores a simulated market's history by bulk import, before it continues live."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from local.cli.clients.history_api import HistoryApi, history_api
from local.errors import CliError

if TYPE_CHECKING:
    from local.feeds.instruments import SimulatedInstrument
    from local.feeds.past import LastTrade

_PATIENCE_S: Final = 90.0
_LOOK_S: Final = 0.25


def store_past(
    instruments: Sequence[SimulatedInstrument],
    *,
    seed: int,
    span_ms: int,
    rate: float,
    broker_url: str,
    api_url: str | None,
    data_dir: Path,
    stopped: Callable[[], bool],
) -> tuple[list[SimulatedInstrument], int]:
    """Store the trades of the span before now; return the instruments at the end, and its time.

    Existing data is kept: the history continues after an instrument's last trade. Returns once the
    API counts every trade in its candles. The time is in milliseconds since 1970 UTC. Raises
    CliError: the API or the broker is unreachable.
    """
    from local.feeds.batches import batches
    from local.feeds.importer import Normalizing, NotAcceptedError, Positions, send
    from local.feeds.past import make_past
    from shared.adapter.sink import Sink

    until_ms = time.time_ns() // 1_000_000
    with history_api(api_url, data_dir) as api:
        last_trades = _last_trades(api)
        past = make_past(
            instruments, last_trades, seed=seed, span_ms=span_ms, until_ms=until_ms, rate=rate
        )
        if not len(past.trades):
            return past.instruments, until_ms
        names = {each.symbol for each in instruments}
        expected = _trade_count(api, names) + len(past.trades)

        def report(lines: int) -> None:
            typer.echo(f"the market's past: {lines:,} of {len(past.trades):,} ticks", err=True)

        numbered, normalizing = batches(iter([past.trades])), Normalizing.from_env(os.environ)
        sink = Sink(broker_url, "/kandle/simulate")
        try:
            asyncio.run(send(numbered, normalizing, sink, Positions(None), report, stopped))
        except NotAcceptedError as error:
            raise CliError(str(error)) from None
        until_s = time.monotonic() + _PATIENCE_S
        while not stopped() and _trade_count(api, names) < expected:
            if time.monotonic() > until_s:
                typer.echo("the market's past is not in its candles yet: it comes late", err=True)
                break
            time.sleep(_LOOK_S)
    return past.instruments, until_ms


def _last_trades(api: HistoryApi) -> dict[str, LastTrade]:
    """Return the newest trade of each instrument, if any."""
    from local.feeds.past import LastTrade

    return {
        row["symbol"]: LastTrade(Decimal(row["price"]), int(row["t"]))
        for row in api.ask("/api/latest")
        if row["price"] is not None
    }


def _trade_count(api: HistoryApi, names: Collection[str]) -> int:
    """Return the number of trades in the candles of instruments."""
    return sum(row["n"] for row in api.ask("/api/symbols") if row["symbol"] in names)
