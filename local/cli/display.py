"""How an instance is shown in a terminal: the table of processes, the ready line, the live line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.instance import RunningComponent

_PLAIN_WIDTH = 200  # a file or a pipe has no width: nothing should be cut


class _Console(Console):
    """Falls silent when its reader is gone (`kandle up | head`), and tells."""

    on_lost: Callable[[], None] | None = None

    def on_broken_pipe(self) -> None:
        """Throw further output away; rich would end the process in the midst of its work."""
        self.quiet = True
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        if self.on_lost is not None:
            self.on_lost()


def console(on_lost: Callable[[], None] | None = None) -> Console:
    """Make the console for standard output; wide where it is no terminal."""
    made = _Console(highlight=False)
    if not made.is_terminal:
        made = _Console(highlight=False, width=_PLAIN_WIDTH)
    made.on_lost = on_lost
    return made


def component_table(components: Iterable[RunningComponent]) -> Table:
    """Lay out what runs where."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("component", "kind", "address", "pid", "log"):
        table.add_column(column, justify="right" if column == "pid" else "left", overflow="fold")
    for each in components:
        pid = "" if each.pid is None else str(each.pid)
        table.add_row(each.name, each.kind, each.url, pid, short_path(each.log))
    return table


def ready_line(env: Mapping[str, str]) -> str:
    """Compose the line that says that everything is ready, and where."""
    shown = (("api", "API_URL"), ("ingest", "INGEST_URL"), ("udp", "UDP_ADDR"), ("sink", "K_SINK"))
    found = [f"{word} {env[name]}" for word, name in shown if name in env]
    # The sink is for those who have nothing friendlier to talk to.
    useful = [each for each in found if not each.startswith("sink")] or found
    return "  ".join(("ready", *useful))


def status_line(status: Mapping[str, Any], *, every_trigger: bool = True) -> Text:
    """Compose the live line from a sample of the status, as status.json holds it.

    Where the width is short, triggers without a lag can be left out.
    """
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{status['ticks_per_s']:,.0f} ticks/s", style="bold")
    line.append(f"  {status['events_per_s']:,.0f} events/s")
    line.append(f"  ticks {status['ticks']:,}")
    line.append(f"  candles {status['candles']:,}")
    _append_count(line, "rejects", status["rejects"], "yellow")
    _append_count(line, "dead letters", status["dead_letters"], "bold red")
    lags = {name: lag for name, lag in status["lag"].items() if lag or every_trigger}
    if status["lag"]:
        line.append("  lag" if lags else "  lag 0")
    for name, lag in lags.items():
        line.append(f" {name.rpartition('/')[2]} {lag:,}", style="yellow" if lag else "")
    absent = [each["name"] for each in status["components"] if each["state"] != "ready"]
    if absent:
        line.append(f"  down: {', '.join(absent)}", style="bold red")
    return line


def candle_table(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    """Lay out candles with their symbols; those still open are marked."""
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for column in ("symbol", "minute (UTC)", "open", "high", "low", "close", "volume", "ticks", ""):
        left = column in ("symbol", "minute (UTC)", "")
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    for symbol, candle in rows:
        table.add_row(
            symbol,
            _minute(candle["t"]),
            *(_number(candle[name]) for name in ("o", "h", "l", "c", "v")),
            f"{candle['n']:,}",
            "" if candle["closed"] else "open",
            style="" if candle["closed"] else "cyan",
        )
    return table


def short_path(path: str) -> str:
    """Shorten a path to one from the working directory, where it is below it."""
    here = str(Path.cwd()) + os.sep
    return path.removeprefix(here)


def _append_count(line: Text, name: str, count: int, style: str) -> None:
    line.append(f"  {name} {count:,}", style=style if count else "")


def _minute(start: Any) -> str:
    """Shorten the start of a candle, ISO 8601 or a count since 1970, to hours and minutes."""
    if isinstance(start, str) and "T" in start:
        return start.partition("T")[2][:5]
    seconds = int(start)
    while seconds > 10**11:  # in milliseconds or microseconds
        seconds //= 1000
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}"


def _number(value: Any) -> str:
    """Write an exact decimal without the zeros that say nothing."""
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text
