"""`kandle demo`: the platform with a simulated market, and its candles as they form."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from local.cli.options import DataDir, JsonLines
from local.cli.up import (
    DEFAULT_HISTORY,
    History,
    HttpPort,
    SimulateRate,
    UdpPort,
    history_s,
)
from local.instance import DEFAULT_DATA_DIR
from local.supervisor.options import DEFAULT_HTTP_PORT, DEFAULT_UDP_PORT, Options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from local.instance import Instance

_SYMBOLS, _CANDLES, _PATTERNS = 6, 3, 3
_TIMEOUT_S = 2.0


class CandleView:
    """The status line, the newest one-minute candles of every instrument, the newest patterns."""

    def __init__(self) -> None:
        import httpx

        self._client = httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_S)

    async def refresh(
        self, sample: dict[str, Any], instance: Instance, width: int | None
    ) -> RenderableType:
        """Ask the API for the candles and render both."""
        import httpx
        from rich.console import Group
        from rich.text import Text

        from local.cli.display import candle_table, status_line
        from local.cli.patterns import line as pattern_line

        line = status_line(sample, width)
        api = instance.env.get("API_URL", "")
        try:
            rows = await self._candles(api)
            response = await self._client.get(f"{api}/api/patterns", params={"limit": _PATTERNS})
            patterns = [
                pattern_line(each) for each in response.raise_for_status().json()["patterns"]
            ]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            return Group(line, f"(the API does not answer yet: {error!r})")
        if not rows:
            return Group(line, "(no candles yet)")
        lines: list[RenderableType] = [line, "", candle_table(rows)]
        if not patterns:
            lines += ["", "patterns: detected in closed candles, from each series' tenth on"]
        else:
            lines += ["", "patterns found", *(Text(each, no_wrap=True) for each in patterns)]
        return Group(*lines)

    async def close(self) -> None:
        """Close the connections to the API."""
        await self._client.aclose()

    async def _candles(self, api: str) -> list[tuple[str, dict[str, Any]]]:
        latest = (await self._client.get(f"{api}/api/latest")).raise_for_status().json()
        symbols = sorted(each["symbol"] for each in latest)[:_SYMBOLS]
        responses = await asyncio.gather(
            *(
                self._client.get(
                    f"{api}/api/candles/{quote(symbol, safe='')}",
                    params={"timeframe": "1m", "limit": _CANDLES},
                )
                for symbol in symbols
            )
        )
        return [
            (symbol, candle)
            for symbol, response in zip(symbols, responses, strict=True)
            for candle in response.raise_for_status().json()["candles"]
        ]


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
        history_s=history_s(history),
    )
    sample = asyncio.run(_demo(options, seconds, as_json=json_lines))
    if sample and not json_lines:
        typer.echo(
            f"in {sample['uptime_s']:,.0f} s: {sample['ticks']:,} ticks in, "
            f"{sample['candles']:,} candles published, {sample['rejects']:,} rejects, "
            f"{sample['dead_letters']:,} dead letters"
        )


async def _demo(options: Options, seconds: float | None, *, as_json: bool) -> dict[str, Any]:
    from local.cli.session import run

    view = CandleView()
    try:
        return await run(options, view, seconds=seconds, as_json=as_json)
    finally:
        await view.close()
