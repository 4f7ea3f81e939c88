"""Output of `kandle up --host`: the dashboard's address for other machines, as text and QR code."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from typing import Final

import segno

from local.servers.server import LOOPBACK
from local.supervisor.plan import ANY_HOST, WATCHERS
from local.supervisor.platform import Platform

_OUTSIDE: Final = ("192.0.2.1", 9)
"""A documentation address (RFC 5737): no datagram is sent to it."""


def lan_address(platform: Platform) -> Iterator[str]:
    """Yield the lines; none if the page is served on loopback only."""
    host = platform.options.host
    urls = {each.component.name: each.component.url for each in platform.keepers}
    port = urls.get(WATCHERS, "").rpartition(":")[2]
    if host == LOOPBACK or not port:
        return
    url = (
        f"http://{own_address() if host == ANY_HOST else host}:{port}/#token={platform.watch_token}"
    )
    yield f"other machines  {url}"
    yield "  Anyone with this address sees the market data, unencrypted: use a trusted network."
    code = io.StringIO()
    segno.make(url, error="l").terminal(code, compact=True, border=2)
    yield from code.getvalue().splitlines()


def own_address() -> str:
    """Return this machine's address on its network; else loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_OUTSIDE)
        except OSError:
            return LOOPBACK
        found: str = probe.getsockname()[0]
        return found
