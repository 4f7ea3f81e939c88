"""`kandle up`: the whole platform on this machine, until it is stopped."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from local.cli.options.common import DEFAULT_DATA_DIR, DataDir, JsonLines
from local.cli.options.times import span_us
from local.errors import UsageError
from local.servers.server import LOOPBACK
from local.supervisor.feed_list import parse_feeds
from local.supervisor.options import DEFAULT_HTTP_PORT, DEFAULT_UDP_PORT, Options, parse_replicas

if TYPE_CHECKING:
    from rich.console import RenderableType

    from local.instance import Instance

EventingDir = Annotated[
    Path | None,
    typer.Option(
        "--eventing",
        metavar="DIR",
        help="Run the Brokers, Triggers and sources of another directory.",
        show_default="eventing/ of the repository",
    ),
]
Functions = Annotated[
    str,
    typer.Option(
        metavar="all|none|a,b,c",
        help="Functions to run. With --eventing, all means those it refers to.",
    ),
]
HttpPort = Annotated[int, typer.Option(min=1, max=65535, help="Port of the history API.")]
UdpPort = Annotated[int, typer.Option(min=1, max=65535, help="Port that takes ticks over UDP.")]
DashboardPort = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Port of the page.", show_default="any free one"),
]
Host = Annotated[
    str,
    typer.Option(
        help="Address that serves the page. Other than loopback: other machines open it with the"
        " token that is printed; everything else stays on loopback."
    ),
]
Feeds = Annotated[
    list[str] | None,
    typer.Option(
        "--feed",
        metavar="NAME[:SYMBOL,...]",
        help="Connect a feed: binance, coinbase, kraken, alpaca, scanner, or ccxt:VENUE."
        " Repeatable.",
    ),
]
SimulateRate = Annotated[
    float | None,
    typer.Option(min=0.01, help="Simulated ticks a second, in total.", show_default="200"),
]
History = Annotated[
    str,
    typer.Option(
        metavar="SPAN", help="History of feeds and of a simulated market: 2d, 12h; 0: none."
    ),
]
DEFAULT_HISTORY = "2d"


def address(text: str) -> str:
    """Parse --host: an IPv4 address. Raises UsageError."""
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise UsageError(f"--host: {text!r} is not an IPv4 address, such as 0.0.0.0") from None


async def status_view(sample: dict[str, Any], _: Instance, width: int | None) -> RenderableType:
    """Render a live status line."""
    from local.cli.output.display import status_line

    return status_line(sample, width)


app = typer.Typer()


@app.command("up")
def up(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    simulate: Annotated[
        bool, typer.Option("--simulate/--no-simulate", help="Send ticks of a simulated market.")
    ] = False,
    simulate_rate: SimulateRate = None,
    feed: Feeds = None,
    history: History = DEFAULT_HISTORY,
    functions: Functions = "all",
    eventing: EventingDir = None,
    http_port: HttpPort = DEFAULT_HTTP_PORT,
    udp_port: UdpPort = DEFAULT_UDP_PORT,
    dashboard_port: DashboardPort = None,
    host: Host = LOOPBACK,
    observe: Annotated[
        bool, typer.Option("--observe", help="Show the metrics of every process on one page.")
    ] = False,
    replicas: Annotated[
        list[str] | None,
        typer.Option(
            "--replicas",
            metavar="FUNCTION=N",
            help="Run several replicas of a function. Repeatable.",
        ),
    ] = None,
    json_lines: JsonLines = False,
) -> None:
    """Run the platform here: servers, broker, functions and sources, until Ctrl-C.

    NATS, Valkey, PostgreSQL and SeaweedFS are started from their wheels, on loopback, with
    generated credentials. A server named in the environment (NATS_URL, REDIS_URL, DATABASE_URL,
    S3_ENDPOINT_URL with its AWS keys) is used instead, unless it comes from `kandle env` of another
    instance. Data stays in --data-dir; a later start resumes from it.

    `eventing/*.yaml` and `functions/*/func.yaml` define what runs.

    Examples:

      kandle up

      kandle up --simulate --observe

      kandle up --feed binance:BTCUSDT,ETHUSDT --feed coinbase:BTC-USD

      kandle up --feed binance:BTCUSDT --history 30d

      kandle up --data-dir /var/tmp/kandle --http-port 9000 --udp-port 6000

      kandle up --dashboard-port 8088 --host 0.0.0.0   # the page on a phone, with a token

      kandle up --replicas candle-aggregate=2

      kandle up --eventing my-triggers/ --functions none
    """
    from local.cli.run.session import run

    options = Options(
        data_dir,
        eventing,
        functions,
        http_port,
        udp_port,
        simulate,
        simulate_rate,
        parse_feeds(feed or []),
        observe,
        parse_replicas(replicas or []),
        span_us(history, "--history") // 1_000_000,
        dashboard_port,
        address(host),
    )
    asyncio.run(run(options, status_view, as_json=json_lines))
