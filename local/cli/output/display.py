"""Terminal output of an instance: the table of processes, the ready line, the live line."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from local.cli.output.fitted_table import FittedTable, Row
from local.instance import RunningComponent

_PLAIN_WIDTH = 10_000  # a file or a pipe has no width: nothing is cut


class _Console(Console):
    """A console that goes silent, and reports it, when its reader is gone (`kandle up | head`)."""

    on_lost: Callable[[], None] | None = None

    def print(self, *objects: Any, **options: Any) -> None:
        """Print. What a full disk does not take is not said later."""
        try:
            super().print(*objects, **options)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            del self._buffer[:]

    def on_broken_pipe(self) -> None:
        """Discard further output; rich would exit the process in the middle of its work."""
        self.quiet = True
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        if self.on_lost is not None:
            self.on_lost()


def console(on_lost: Callable[[], None] | None = None, *, stderr: bool = False) -> Console:
    """Create the console for standard output or error; wide if it is not a terminal."""
    created = _Console(highlight=False, stderr=stderr)
    if not created.is_terminal:
        created = _Console(highlight=False, width=_PLAIN_WIDTH, stderr=stderr)
    created.on_lost = on_lost
    return created


def print_table(columns: Sequence[str], rows: Iterable[Row], **options: Any) -> None:
    """Print a FittedTable with these options."""
    console().print(FittedTable(columns, rows, **options))


def print_components(console: Console, components: Sequence[RunningComponent]) -> None:
    """Print the processes; if the logs do not fit beside them, their directory."""
    logs = {str(Path(each.log).parent) for each in components if each.log}
    rows = (
        (each.name, each.kind, each.url, str(each.pid or ""), short_path(each.log))
        for each in components
    )
    table = FittedTable(
        ("component", "kind", "address", "pid", "log"),
        rows,
        right=("pid",),
        drops=("log",),
        is_boxed=False,
        note="\n".join(f"logs in {short_path(each)}" for each in sorted(logs)),
    )
    # Wider lines are wrapped by the terminal: an address must be copied whole.
    console.print(table, crop=False)


_ADDRESSES: Final = (
    ("dashboard", "LIVE_URL"),
    ("metrics", "OBSERVE_URL"),
    ("api", "API_URL"),
    ("ingest", "INGEST_URL"),
    ("udp", "UDP_ADDR"),
    ("grpc", "GRPC_ADDR"),
    ("sink", "K_SINK"),
)


def addresses(env: Mapping[str, str]) -> dict[str, str]:
    """Return the public addresses; none of them is secret."""
    return {label: env[name] for label, name in _ADDRESSES if name in env}


def ready_lines(env: Mapping[str, str], width: int) -> list[str]:
    """Compose the ready message with the addresses: one line, or one per address."""
    entries = [f"{label} {address}" for label, address in addresses(env).items()]
    # The sink is a fallback if nothing friendlier is running.
    useful = [each for each in entries if not each.startswith("sink")] or entries
    line = "  ".join(("ready", *useful))
    if len(line) <= width:
        return [line]
    return [f"{' ' * len('ready') if row else 'ready'}  {each}" for row, each in enumerate(useful)]


def status_line(status: Mapping[str, Any], width: int | None = None) -> Text:
    """Compose the status line from a sample in status.json.

    All of it, if it fits into `width` (None: it does); else the most important parts.
    """
    full = _joined(
        [
            _rate(status),
            Text(f"{status['events_per_s']:,.0f} events/s"),
            Text(f"ticks {status['ticks']:,}"),
            Text(f"candles {status['candles']:,}"),
            *_counts(status),
            *_lag_by_trigger(status),
            *_absent(status),
        ]
    )
    if width is None or full.cell_len <= width:
        return full
    parts = [_rate(status), *_counts(status), *_absent(status), *_lag_in_all(status)]
    while len(parts) > 1 and _joined(parts).cell_len > width:
        parts.pop()
    return _joined(parts)


def _joined(parts: Iterable[Text]) -> Text:
    line = Text("  ").join(parts)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _rate(status: Mapping[str, Any]) -> Text:
    return Text(f"{status['ticks_per_s']:,.0f} ticks/s", style="bold")


def _counts(status: Mapping[str, Any]) -> list[Text]:
    counts = [
        _count("rejects", status["rejects"], "yellow"),
        _count("dead letters", status["dead_letters"], "bold red"),
    ]
    return [*counts, _count("lost", status["lost"], "bold red")] if status["lost"] else counts


def _count(name: str, count: int, style: str) -> Text:
    return Text(f"{name} {count:,}", style=style if count else "")


def _absent(status: Mapping[str, Any]) -> list[Text]:
    """Return the components that are down, and the components or triggers not ready."""
    states = {each["name"]: each["state"] for each in status["components"]}
    unready = [name for name, state in states.items() if state == "not ready"]
    unready += [f"trigger {_short(name)}" for name in status["unready"]]
    down = [name for name, state in states.items() if state not in ("ready", "not ready")]
    groups = (("down", down), ("not ready", unready))
    return [
        Text(f"{label}: {', '.join(names)}", style="bold red") for label, names in groups if names
    ]


def _lag_by_trigger(status: Mapping[str, Any]) -> list[Text]:
    """Return the triggers with a backlog; most have none."""
    if not status["lag"]:
        return []
    waiting = [(_short(name), lag) for name, lag in status["lag"].items() if lag]
    each = [Text(f"{name} {lag:,}", style="yellow") for name, lag in waiting]
    return [Text(" ").join([Text("lag"), *(each or [Text("0")])])]


def _lag_in_all(status: Mapping[str, Any]) -> list[Text]:
    if not status["lag"]:
        return []
    worst, worst_lag = max(status["lag"].items(), key=lambda each: each[1])
    if not worst_lag:
        return [Text("lag 0")]
    return [Text(f"lag {sum(status['lag'].values()):,} (most: {_short(worst)})", style="yellow")]


def _short(trigger: str) -> str:
    """Leave out the namespace."""
    return trigger.rpartition("/")[2]


def candle_table(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> FittedTable:
    """Render candles with their symbols; open ones are marked."""
    columns = ("symbol", "minute (UTC)", "open", "high", "low", "close", "volume", "trades", "")
    drops = ("trades", "volume", "open")
    table = FittedTable(columns, right=columns[2:-1], drops=drops, is_boxed=False)
    for symbol, candle in rows:
        numbers = [candle[name] for name in ("o", "h", "l", "c", "v")]
        is_open = "" if candle["closed"] else "open"
        minute = f"{datetime.fromtimestamp(candle['t'] / 1000, UTC):%H:%M}"
        row = [symbol, minute, *numbers, f"{candle['n']:,}", is_open]
        table.add_row(row, "" if candle["closed"] else "cyan")
    return table


def short_path(path: str) -> str:
    """Shorten a path below the working directory to a relative one."""
    prefix = str(Path.cwd()) + os.sep
    return path.removeprefix(prefix)
