"""`kandle status`: processes of an instance, and its throughput."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import typer

from local.cli.commands.lake import failing, failure_text
from local.cli.options.common import AsJson, DataDir
from local.instance import DEFAULT_DATA_DIR, Instance, load_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

_NEARLY_FULL: Final = 0.8
_STALE_S: Final = 10.0
"""A sample comes each second; one that is older could not be written."""
_ANSWER_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class RedisMemory:
    """Bytes; a limit of 0 means the machine's."""

    used_bytes: int
    limit_bytes: int

    @property
    def is_nearly_full(self) -> bool:
        """Whether a fifth or less is left."""
        return bool(self.limit_bytes) and self.used_bytes >= _NEARLY_FULL * self.limit_bytes

    def __str__(self) -> str:
        limit = f"of {self.limit_bytes / 1e6:,.0f} MB" if self.limit_bytes else "without a limit"
        text = f"redis {self.used_bytes / 1e6:,.0f} MB {limit}"
        if self.is_nearly_full:
            return f"{text}: full, it refuses writes and events wait; raise `maxmemory`"
        return text


def redis_memory(env: Mapping[str, str]) -> RedisMemory | None:
    """Query the instance's Redis; None while it is away."""
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


def silent_storage(env: Mapping[str, str]) -> str | None:
    """Return that object storage gives no answer, of any kind; None: it does, or there is none."""
    import httpx

    url = env.get("S3_ENDPOINT_URL")
    try:
        if url:
            httpx.get(url, timeout=_ANSWER_S, trust_env=False)
    except httpx.TransportError as error:
        return f"object storage does not answer at {url} ({type(error).__name__}): the lake waits"
    return None


def full_disk(free_bytes: int, data_dir: str) -> str | None:
    """Return what to do where the servers will soon stop for want of room; None: there is some."""
    from local.machine import LEAST_DISK_GB

    if free_bytes >= LEAST_DISK_GB * 1e9:
        return None
    return (
        f"disk {free_bytes / 1e9:.1f} GB free at {data_dir}: make room, or shorten what is kept"
        " (kandle retention); without room servers stop, and what comes is refused"
    )


def stale(sample: dict[str, Any], now: datetime) -> str | None:
    """Return how old a sample is that is not of now."""
    age_s = (now - datetime.fromisoformat(sample["time"])).total_seconds()
    if age_s < _STALE_S:
        return None
    return f"what follows is {age_s:,.0f} s old: the instance could not write a newer sample"


AMBER_S, RED_S = 2.0, 10.0
"""Style of an age, as in the dashboard."""


app = typer.Typer()


@app.command("status")
def status(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Show the processes of the data directory, and their throughput.

    Examples:

      kandle status

      kandle status --json | jq .lag
    """
    instance = Instance.load(data_dir)
    sample = load_status(data_dir)
    memory = redis_memory(instance.env)
    storage = silent_storage(instance.env)
    free_bytes = shutil.disk_usage(instance.data_dir).free
    lake = failing(instance.env["DATABASE_URL"]) if "DATABASE_URL" in instance.env else None
    if as_json:
        output: dict[str, object] = {"pid": instance.pid, "started_at": instance.started_at}
        output["disk_free_bytes"] = free_bytes
        output["redis"] = None if memory is None else asdict(memory)
        output["object_storage"] = storage
        output["lake_failures"] = None if lake is None else [each._asdict() for each in lake]
        typer.echo(
            json.dumps({**output, "data_dir": instance.data_dir, **sample}, indent=2, default=str)
        )
        return
    from rich.text import Text

    from local.cli.output import display

    console = display.console()
    console.print(
        f"process {instance.pid} since {instance.started_at}, data {instance.data_dir}",
        markup=False,
        soft_wrap=True,
    )
    display.print_components(console, instance.components)
    if disk := full_disk(free_bytes, instance.data_dir):
        _say(console, disk, "red")
    if storage:
        _say(console, storage, "red")
    for each in lake or []:
        _say(console, failure_text(each), "red")
    if not sample:
        console.print("no sample yet")
        return
    if old := stale(sample, datetime.now(UTC)):
        _say(console, old, "red")
    lags = {name: Text(f"{lag:,}") for name, lag in sample["lag"].items()}
    for name, reason in sample["unready"].items():
        lags[name] = Text(f"not ready: {reason}", style="red")
    display.print_table(("trigger", "lag"), lags.items(), prose=("lag",), is_boxed=False)
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
            age = f"{age_s:.0f} s" if age_s >= 2 else f"{age_s * 1000:.0f} ms"
            _say(console, f"{kind} are shown {age} after their receipt", style)
    if memory is not None:
        _say(console, str(memory), "red" if memory.is_nearly_full else "")
    for note in sample.get("input_notes", []):
        _say(console, note, "yellow")
    console.print(display.status_line({**sample, "lag": {}, "unready": {}}, console.width))


def _say(console: Console, text: str, style: str) -> None:
    console.print(text, style=style, markup=False, soft_wrap=True)
