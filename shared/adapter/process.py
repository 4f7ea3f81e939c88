"""A process beside functions-framework: settings, sink, signals, metrics, and its exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import prometheus_client
import uvloop

from shared.adapter.logs import configure_logging
from shared.adapter.sink import Sink
from shared.adapter.tracing import Tracing, tracing
from shared.runtime.memory import settle
from shared.runtime.settings import FromEnvironment, SettingsError

S = TypeVar("S", bound=FromEnvironment)


def run_process(
    name: str, settings_type: type[S], serve: Callable[[S, Tracing], Coroutine[Any, Any, None]]
) -> None:
    """Run `serve` until it returns; exit with the text of a SettingsError or OSError."""
    try:
        configure_logging(os.environ)
        settings, spans = settings_type.from_env(os.environ), tracing(name, os.environ)
        settle()
        uvloop.run(serve(settings, spans))
    except (SettingsError, OSError) as error:
        sys.exit(str(error) or repr(error))


def bound_sink(source: str) -> Sink:
    """Return the sink of a process whose settings require K_SINK."""
    sink = Sink.from_env(os.environ, source)
    assert sink is not None
    return sink


def on_stop(stop: Callable[[], None]) -> None:
    """Call `stop` at SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def serve_metrics(host: str, port: int) -> None:
    """Serve the metrics of this process until it ends. Raises OSError that names the port."""
    try:
        prometheus_client.start_http_server(port, host)
    except OSError as error:
        raise OSError(f"cannot serve metrics on port {port}: {error}") from error
