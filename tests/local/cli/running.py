"""Runs commands within the test, or as a process that can be signalled."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from local.cli.commands import backtest, candles, dlq, lake, replay, simulate, status
from local.errors import PlatformError
from local.instance import Instance
from local.supervisor.component import tethered

REPOSITORY = Path(__file__).resolve().parents[3]
SETTINGS = ("UDP_ADDR", "INGEST_URL", "API_URL", "NATS_URL", "KANDLE_DATA_DIR", "KANDLE_DEBUG")

app = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)
for _command in (backtest, candles, dlq, lake, replay, simulate, status):
    app.add_typer(_command.app)


def invoke(*arguments: object, **settings: str) -> Result:
    """Run a command with only these settings in its environment."""
    environment: dict[str, str | None] = dict.fromkeys(SETTINGS)
    result = CliRunner().invoke(app, [*map(str, arguments)], env={**environment, **settings})
    if result.exception and not isinstance(result.exception, SystemExit | PlatformError):
        raise result.exception
    return result


def refusal(*arguments: object, **settings: str) -> str:
    """Run a command that must fail with one user-facing line, and return the line."""
    result = invoke(*arguments, **settings)
    assert isinstance(result.exception, PlatformError), result.output
    message = str(result.exception)
    assert "\n" not in message
    return message


@contextmanager
def process(*arguments: object, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `kandle` with these arguments; kill it at the end if it still runs."""
    inherited = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    command = [sys.executable, "-m", "local.cli.main", *map(str, arguments)]
    with subprocess.Popen(
        tethered(command),
        cwd=cwd,
        env=inherited | {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            if started.poll() is None:
                started.kill()


def instance(data_dir: Path, env: dict[str, str], addresses: dict[str, str] | None = None) -> None:
    """Write the description of an instance on `data_dir` that runs as this process."""
    Instance(
        pid=os.getpid(),
        started_at="2026-01-01T00:00:00+00:00",
        data_dir=str(data_dir),
        env=env,
        addresses=addresses or {},
        components=[],
    ).write()
