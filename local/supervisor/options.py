"""What `kandle up` was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from local.instance import DEFAULT_DATA_DIR
from local.supervisor.feeds import FeedChoice

DEFAULT_HTTP_PORT = 8080
DEFAULT_UDP_PORT = 5005


@dataclass(frozen=True)
class Options:
    """One start.

    `eventing` None is the repository's own topology; `functions` is `all`, `none` or names;
    `simulate_rate` is in ticks a second, None for the simulator's own default. `observe`: the
    metrics of all processes on one page.
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
