"""Output of `kandle up --host`: the page's address for other machines, and as a QR code."""

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
"""An address of nobody (RFC 5737): no datagram is sent to it."""


def elsewhere(platform: Platform) -> Iterator[str]:
    """Yield the lines; none where the page is served on loopback alone."""
    host = platform.options.host
    urls = {each.component.name: each.component.url for each in platform.keepers}
    port = urls.get(WATCHERS, "").rpartition(":")[2]
    if host == LOOPBACK or not port:
        return
    url = (
        f"http://{own_address() if host == ANY_HOST else host}:{port}/#token={platform.watch_token}"
    )
    yield f"other machines  {url}"
    yield "  It shows the market data to whoever has it, unencrypted: for a network you trust."
    code = io.StringIO()
    segno.make(url, error="l").terminal(code, compact=True, border=2)
    yield from code.getvalue().splitlines()


def own_address() -> str:
    """Return the address by which this machine is reached from its network; else loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_OUTSIDE)
        except OSError:
            return LOOPBACK
        found: str = probe.getsockname()[0]
        return found
