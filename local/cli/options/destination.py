"""Options for the destination of ticks, and its sender."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias
from urllib.parse import urlsplit

import typer

from local.cli.options.addresses import address, host_and_port, http_address
from local.cli.options.common import url_option
from local.errors import CliError
from local.feeds.pacing import RateLimiter

if TYPE_CHECKING:
    from local.feeds.senders import HttpSender, UdpSender

DEFAULT_UDP_LINES_PER_S: Final = 100_000
"""UDP has no back pressure: this rate the listener takes without loss on two cores."""

FeedSender: TypeAlias = "UdpSender | HttpSender"


class Via(StrEnum):
    """Transport of ticks."""

    UDP = "udp"
    HTTP = "http"


To = Annotated[Via, typer.Option("--to", help="UDP datagrams, or HTTP with a response.")]
UdpAddr = Annotated[
    str | None,
    typer.Option(
        "--udp-addr",
        envvar="UDP_ADDR",
        metavar="HOST:PORT",
        help="The UDP listener. Default: the running instance's.",
    ),
]
IngestUrl = Annotated[str | None, url_option("INGEST_URL", "The HTTP ingest.")]


def open_sender(
    via: Via,
    udp_addr: str | None,
    ingest_url: str | None,
    data_dir: Path,
    *,
    rate_limit: float | None = None,
    goes_on_refused: bool = False,
    gives_up: Callable[[], bool] = lambda: False,
) -> FeedSender:
    """Return the sender selected by the options.

    `rate_limit` is in lines per second: 0 for none; None: UDP has a default, and HTTP none, since
    it waits for responses. Raises CliError: no address, or an invalid one.
    """
    from local.feeds.senders import HttpSender, SendError, UdpSender

    try:
        if via is Via.HTTP:
            url = http_address(ingest_url, "INGEST_URL", data_dir)
            if not urlsplit(url).path:
                url += "/ingest"
            return HttpSender(url, RateLimiter(rate_limit or 0), gives_up=gives_up)
        target = host_and_port(address(udp_addr, "UDP_ADDR", data_dir), "--udp-addr")
        limit = DEFAULT_UDP_LINES_PER_S if rate_limit is None else rate_limit
        return UdpSender(target, RateLimiter(limit), goes_on_refused=goes_on_refused)
    except SendError as error:
        raise CliError(str(error)) from None
