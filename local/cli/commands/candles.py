"""`kandle candles`: an instrument's candles as a table, from the history API."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from local.cli.clients.history_api import HistoryApi, history_api
from local.cli.options.candle_range import requested_range
from local.cli.options.common import DEFAULT_DATA_DIR, ApiUrl, AsJson, DataDir
from local.cli.output.display import console as plain_console
from local.cli.output.fitted_table import FittedTable
from local.cli.run.stopping import stop_on_signals
from local.errors import CliError

DEFAULT_LIMIT: Final = 20
PAGE: Final = 10_000
REFRESH_S: Final = 1.0
CHART_WIDTH, CHART_HEIGHT = 80, 24
"""Chart size for a file or a pipe."""


@dataclass(frozen=True)
class Query:
    """Query to the history API; `limit` None: the whole range."""

    symbol: str
    timeframe: str
    since: str | None
    until: str | None
    limit: int | None


@dataclass(frozen=True)
class CandlePage:
    """The requested candles, ascending; `cut` says what is missing, if anything."""

    candles: list[dict[str, Any]]
    cut: str | None = None


app = typer.Typer()


@app.command("candles")
def candles(
    symbol: Annotated[
        str, typer.Argument(metavar="SYMBOL", help="The instrument, as its ticks name it.")
    ],
    timeframe: Annotated[str, typer.Option(help="1s, 1m, 5m, 15m, 1h, 4h, 1d ...")] = "1m",
    since: Annotated[str | None, typer.Option("--from", metavar="T", help="First time.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="T", help="Time to end at.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help=f"Most candles. Default: {DEFAULT_LIMIT}, with --from all.", metavar="N"
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help=f"Refresh each second; at most {PAGE:,} candles.")
    ] = False,
    chart: Annotated[bool, typer.Option("--chart", help="Draw them in the terminal.")] = False,
    api_url: ApiUrl = None,
    as_json: AsJson = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show the candles of SYMBOL: the newest, or all of a range.

    Times are UTC; --from and --to accept milliseconds, ISO 8601 or a relative time (-24h).

    Examples:

      kandle candles BTC-USD

      kandle candles BTC-USD --timeframe 5m --from -24h

      kandle candles XRP-ETH --from 2019-10-11T00:00Z --to 2019-10-12T00:00Z

      kandle candles AAPL --watch

      kandle candles AAPL --timeframe 1h --limit 60 --chart

      kandle candles AAPL --json | jq '.candles[-1].c'
    """
    requested_range(since, until)
    if limit is None and since is None:
        limit = DEFAULT_LIMIT
    query = Query(symbol, timeframe, since, until, limit)
    console = plain_console()
    view = _View(query, console, as_chart=chart)
    with history_api(api_url, data_dir) as api:
        first = fetch(api, query)
        if watch and len(first.candles) > PAGE:
            raise CliError(f"--watch: at most {PAGE:,} candles; give a --limit, or a later --from")
        if not watch:
            _show(view, first, as_json=as_json)
        elif as_json or not console.is_terminal:
            for update in _refreshed(api, query, first):
                if isinstance(update, CandlePage):
                    _show(view, update, as_json=as_json)
                else:
                    typer.echo(update, err=True)
        else:
            _live(view, api, first)


def fetch(api: HistoryApi, query: Query) -> CandlePage:
    """Fetch candles page by page: a range, or the newest.

    Raises CliError: the API is unreachable or refuses; the message has its problem detail.
    """
    candles: list[dict[str, Any]] = []
    parameters = {"timeframe": query.timeframe, "from": query.since, "to": query.until}
    limit, cursor = query.limit, None
    while True:
        size = PAGE if limit is None else min(PAGE, limit - len(candles))
        page = api.ask("/api/candles", query.symbol, **parameters, limit=size, cursor=cursor)
        if query.since is None:  # backwards from the newest
            candles = page["candles"][-size:] + candles
        else:
            candles += page["candles"][:size]
        if not page["next"]:
            return CandlePage(candles)
        if limit is not None and len(candles) >= limit:
            cut = None if query.since is None else f"cut after --limit {limit:,}; more follow"
            return CandlePage(candles, cut)
        cursor = page["next"]


def _refreshed(api: HistoryApi, query: Query, first: CandlePage) -> Iterator[CandlePage | str]:
    """Yield the candles whenever they change, or the error of a failed request."""
    last: CandlePage | str = first
    with stop_on_signals() as stop:
        yield first
        while not stop.wait(REFRESH_S):
            try:
                now: CandlePage | str = fetch(api, query)
            except CliError as error:
                now = str(error)
            if now != last:
                last = now
                yield now


@dataclass(frozen=True)
class _View:
    """View of candles: a table, or a chart."""

    query: Query
    console: Console
    as_chart: bool

    def of(self, page: CandlePage, most_rows: int | None = None) -> RenderableType:
        """Render the candles; the newest `most_rows` of a table."""
        if self.as_chart and page.candles:
            from local.cli.output.candle_chart import candle_chart

            is_terminal = self.console.is_terminal
            width = self.console.width if is_terminal else CHART_WIDTH
            height = min(self.console.height - 4, width // 3) if is_terminal else CHART_HEIGHT
            title = f"{self.query.symbol} {self.query.timeframe}"
            return candle_chart(title, page.candles, width, height)
        rows = page.candles if most_rows is None else page.candles[-most_rows:]
        return _table(self.query, CandlePage(rows, page.cut))


def _live(view: _View, api: HistoryApi, first: CandlePage) -> None:
    page = first
    with Live(console=view.console, auto_refresh=False) as live:
        for update in _refreshed(api, view.query, first):
            # The end of a long table changes, so it stays in view.
            rows = max(view.console.height - 6, 1)
            if isinstance(update, CandlePage):
                page = update
                live.update(view.of(update, rows), refresh=True)
            else:
                error_line = Text(
                    f"{time.strftime('%H:%M:%S', time.gmtime())} {update}", style="red"
                )
                live.update(Group(view.of(page, rows), error_line), refresh=True)


def _show(view: _View, page: CandlePage, *, as_json: bool) -> None:
    query = view.query
    if as_json:
        output = {"symbol": query.symbol, "timeframe": query.timeframe, "candles": page.candles}
        typer.echo(json.dumps(output))
    else:
        view.console.print(view.of(page))
    if page.cut:
        typer.echo(page.cut, err=True)


def _table(query: Query, page: CandlePage) -> FittedTable:
    count = len(page.candles)
    table = FittedTable(
        ("time (UTC)", "open", "high", "low", "close", "volume", "vwap", "trades", ""),
        right=("open", "high", "low", "close", "volume", "vwap", "trades"),
        drops=("vwap", "trades", "volume", "open"),
        title=f"{query.symbol} {query.timeframe}: {count:,} candle{'s' * (count != 1)}",
    )
    for candle in page.candles:
        prices = [candle[name] for name in ("o", "h", "l", "c", "v")]
        row = [utc(candle["t"]), *prices, shown_vwap(candle), f"{candle['n']:,}", state(candle)]
        table.add_row(row, "" if candle["closed"] else "bold yellow")
    return table


def utc(time_ms: int) -> str:
    """Format milliseconds since 1970 in UTC, to the second or finer if needed."""
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    return time.strftime("%Y-%m-%d %H:%M:%S") + (f".{time_ms % 1000:03}" if time_ms % 1000 else "")


def state(candle: dict[str, Any]) -> str:
    """Return the caveats of a candle; empty for a complete closed one."""
    flags = [] if candle["closed"] else ["open"]
    if candle.get("partial"):
        flags.append("partial")
    return ", ".join(flags)


def shown_vwap(candle: dict[str, Any]) -> str:
    """Round the average to two more decimals than the prices, for display only."""
    if candle.get("vw") is None:
        return ""
    prices = [str(candle[name]) for name in ("o", "h", "l", "c")]
    decimals = max(len(price.partition(".")[2]) for price in prices) + 2
    average = Decimal(str(candle["vw"]))
    exponent = average.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > decimals:
        average = round(average, decimals)
    return format(average, "f")
