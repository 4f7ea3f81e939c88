"""`kandle status`: processes of an instance, and its throughput."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import typer

from local.cli.options import AsJson, DataDir
from local.instance import DEFAULT_DATA_DIR, Instance, load_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

_NEARLY_FULL: Final = 0.8


@dataclass(frozen=True, slots=True)
class RedisMemory:
    """Bytes; a limit of 0 is that of the machine."""

    used_bytes: int
    limit_bytes: int

    @property
    def is_nearly_full(self) -> bool:
        """Whether a fifth is left, or less."""
        return bool(self.limit_bytes) and self.used_bytes >= _NEARLY_FULL * self.limit_bytes

    def __str__(self) -> str:
        limit = f"of {self.limit_bytes / 1e6:,.0f} MB" if self.limit_bytes else "without a limit"
        text = f"redis {self.used_bytes / 1e6:,.0f} MB {limit}"
        if self.is_nearly_full:
            return f"{text}: full, it refuses writes and events wait; raise `maxmemory`"
        return text


def redis_memory(env: Mapping[str, str]) -> RedisMemory | None:
    """Ask the instance's Redis; None while it is away."""
    import redis

    from shared.errors import TransientError
    from shared.stores.redis import connect, translated

    if "REDIS_URL" not in env:
        return None
    client = connect(env["REDIS_URL"])
    try:
        with translated():
            memory = client.info("memory")
        return RedisMemory(int(memory["used_memory"]), int(memory["maxmemory"]))
    except (TransientError, redis.RedisError):
        return None
    finally:
        client.close()


AMBER_S, RED_S = 2.0, 10.0
"""As the dashboard marks the age of what it shows."""


app = typer.Typer()


@app.command("status")
def status(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Show what runs on the data directory, and what flows through it.

    Examples:

      kandle status

      kandle status --json | jq .lag
    """
    instance = Instance.load(data_dir)
    sample = load_status(data_dir)
    memory = redis_memory(instance.env)
    if as_json:
        output: dict[str, object] = {"pid": instance.pid, "started_at": instance.started_at}
        output["redis"] = None if memory is None else asdict(memory)
        typer.echo(json.dumps({**output, "data_dir": instance.data_dir, **sample}, indent=2))
        return
    from rich.text import Text

    from local.cli import display
    from local.cli.fitted_table import FittedTable

    console = display.console()
    console.print(
        f"process {instance.pid} since {instance.started_at}, data {instance.data_dir}",
        markup=False,
        soft_wrap=True,
    )
    display.print_components(console, instance.components)
    if not sample:
        console.print("no sample yet")
        return
    names = ("trigger", "lag")
    table = FittedTable(names, frozenset(names), drops=(), prose=frozenset(("lag",)))
    for name, lag in sample["lag"].items():
        reason = sample["unready"].get(name)
        cell = Text(f"not ready: {reason}", style="red") if reason else Text(f"{lag:,}")
        table.add_row((name, cell))
    console.print(table)
    for each in sample["components"]:
        if each["state"] != "ready":
            reason = f": {each['reason']}" if each["reason"] else ""
            _say(console, f"{each['name']} is {each['state']}{reason}", "red")
        if each["restarts"]:
            _say(console, f"{each['name']} was restarted {each['restarts']} times", "yellow")
    for kind in ("trades", "candles"):
        age_s = sample.get(f"{kind}_age_s")
        if age_s is not None:
            style = "red" if age_s > RED_S else "yellow" if age_s > AMBER_S else ""
            _say(console, f"{kind} are shown {_span(age_s)} after their receipt", style)
    if memory is not None:
        _say(console, str(memory), "red" if memory.is_nearly_full else "")
    for note in sample.get("input_notes", []):
        _say(console, note, "yellow")
    console.print(display.status_line({**sample, "lag": {}, "unready": {}}, console.width))


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 2 else f"{seconds * 1000:.0f} ms"


def _say(console: Console, text: str, style: str) -> None:
    console.print(text, style=style, markup=False, soft_wrap=True)
