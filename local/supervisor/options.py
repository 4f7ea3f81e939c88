"""Options of `kandle up`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from local.errors import UsageError
from local.instance import DEFAULT_DATA_DIR
from local.servers.server import LOOPBACK
from shared.sources.feed_choice import FeedChoice

DEFAULT_HTTP_PORT = 8080
DEFAULT_UDP_PORT = 5005
MAX_REPLICAS: Final = 16


@dataclass(frozen=True)
class Options:
    """Options of one start.

    `eventing` None is the repository's own topology; `functions` is `all`, `none` or names;
    `simulate_rate` is in ticks a second, None for the simulator's default. `observe`: the metrics
    of all processes on one page. `replicas`: replicas by function, 1 if absent. `dashboard_port`:
    port of the page, None for any. `host`: address of the page; requires a token unless loopback.
    `history_s`: length of history that feeds and the simulated market begin with.
    """

    data_dir: Path = DEFAULT_DATA_DIR
    eventing: Path | None = None
    functions: str = "all"
    http_port: int = DEFAULT_HTTP_PORT
    udp_port: int = DEFAULT_UDP_PORT
    simulate: bool = False
    simulate_rate: float | None = None
    feeds: tuple[FeedChoice, ...] = ()
    observe: bool = False
    replicas: Mapping[str, int] = field(default_factory=dict)
    history_s: int = 0
    dashboard_port: int | None = None
    host: str = LOOPBACK


def parse_replicas(texts: Sequence[str]) -> dict[str, int]:
    """Read FUNCTION=N each. Raises UsageError."""
    replicas = {}
    for text in texts:
        name, _, count = text.partition("=")
        if not (name and count.isascii() and count.isdigit() and 1 <= int(count) <= MAX_REPLICAS):
            raise UsageError(
                f"--replicas: {text!r} is not FUNCTION=N with N from 1 to {MAX_REPLICAS}"
            )
        replicas[name] = int(count)
    return replicas
