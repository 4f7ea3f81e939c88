"""`kandle demo`: the platform with a simulated market, and its candles as they form."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from local.cli.commands.up import DEFAULT_HISTORY, History, HttpPort, SimulateRate, UdpPort
from local.cli.options.common import DEFAULT_DATA_DIR, DataDir, JsonLines
from local.cli.options.times import span_us
from local.supervisor.options import DEFAULT_HTTP_PORT, DEFAULT_UDP_PORT, Options

if TYPE_CHECKING:
    import httpx
    from rich.console import RenderableType

    from local.instance import Instance

_SYMBOLS, _CANDLES, _PATTERNS = 6, 3, 3
_TIMEOUT_S = 2.0


async def candle_view(
    client: httpx.AsyncClient, sample: dict[str, Any], instance: Instance, width: int | None
) -> RenderableType:
    """Render the status line, the newest candles of every instrument, and the newest patterns."""
    import httpx
    from rich.console import Group
    from rich.text import Text

    from local.cli.commands.patterns import line as pattern_line
    from local.cli.output.display import candle_table, status_line

    status = status_line(sample, width)

    async def ask(path: str, **parameters: object) -> Any:
        url = f"{instance.env.get('API_URL', '')}/api/{path}"
        return (await client.get(url, params=parameters)).raise_for_status().json()  # type: ignore[arg-type]

    async def candles(symbol: str) -> list[tuple[str, dict[str, Any]]]:
        page = await ask(f"candles/{quote(symbol, safe='')}", timeframe="1m", limit=_CANDLES)
        return [(symbol, each) for each in page["candles"]]

    try:
        symbols = sorted(each["symbol"] for each in await ask("latest"))[:_SYMBOLS]
        rows = [row for each in await asyncio.gather(*map(candles, symbols)) for row in each]
        patterns = (await ask("patterns", limit=_PATTERNS))["patterns"]
        found = [Text(pattern_line(each), no_wrap=True) for each in patterns]
    except httpx.TimeoutException:
        return Group(status, f"(the API is slow: no answer within {_TIMEOUT_S:g} s)")
    except httpx.HTTPStatusError as error:
        return Group(status, f"(the API answers {error.response.status_code})")
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return Group(status, f"(the API does not answer: {error!r})")
    if not rows:
        return Group(status, "(no candles yet)")
    title = (
        "patterns found"
        if found
        else ("patterns: detected in closed candles, from each series' tenth on")
    )
    return Group(status, "", candle_table(rows), "", title, *found)


app = typer.Typer()


@app.command("demo")
def demo(
    seconds: Annotated[
        float | None,
        typer.Option(min=0, help="Stop this long after it is ready.", show_default="until Ctrl-C"),
    ] = None,
    simulate_rate: SimulateRate = None,
    history: History = DEFAULT_HISTORY,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    http_port: HttpPort = DEFAULT_HTTP_PORT,
    udp_port: UdpPort = DEFAULT_UDP_PORT,
    json_lines: JsonLines = False,
) -> None:
    """Run a demo: `kandle up --simulate`, with the candles as they form.

    Ends with Ctrl-C, or after --seconds, with a summary.

    Examples:

      kandle demo

      kandle demo --seconds 60 --simulate-rate 2000

      TIMEFRAMES=5s,1m,5m,15m,1h,4h,1d kandle demo --data-dir quick   (patterns within a minute)
    """
    options = Options(
        data_dir,
        http_port=http_port,
        udp_port=udp_port,
        simulate=True,
        simulate_rate=simulate_rate,
        history_s=span_us(history, "--history") // 1_000_000,
    )
    sample = asyncio.run(_demo(options, seconds, as_json=json_lines))
    if sample and not json_lines:
        typer.echo(
            f"in {sample['uptime_s']:,.0f} s: {sample['ticks']:,} ticks in, "
            f"{sample['candles']:,} candles published, {sample['rejects']:,} rejects, "
            f"{sample['dead_letters']:,} dead letters"
        )


async def _demo(options: Options, seconds: float | None, *, as_json: bool) -> dict[str, Any]:
    import httpx

    from local.cli.run.session import run

    async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as client:
        view = partial(candle_view, client)
        return await run(options, view, seconds=seconds, as_json=as_json)
