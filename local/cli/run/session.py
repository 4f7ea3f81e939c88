"""One run of the platform in a terminal: start, show, live view, stop. For `up` and `demo`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from local.cli.output import display
from local.cli.output.lan_address import lan_address
from local.cli.output.notices import Notices
from local.instance import Instance, status_path, write_json
from local.machine import raise_open_files
from local.supervisor.options import Options
from local.supervisor.platform import Platform
from local.supervisor.status import Sampler
from shared.runtime.tasks import end

_PLAIN_EVERY_S = 10.0
_SAMPLE_EVERY_S = 1.0


View = Callable[[dict[str, Any], Instance, int | None], Awaitable[RenderableType]]
"""Renders a sample of the status, for a terminal of some width (None: nothing has to fit)."""


@dataclass
class StopRequest:
    """Set by the first SIGINT or SIGTERM; the second SIGINT calls `kill`."""

    event: asyncio.Event
    kill: Callable[[], None]

    def ask(self, kill: bool) -> None:
        """Request a stop; the second time, kill."""
        if self.event.is_set() and kill:
            self.kill()
        self.event.set()


async def run(
    options: Options, view: View, *, seconds: float | None = None, as_json: bool = False
) -> dict[str, Any]:
    """Run the platform until SIGINT, SIGTERM or `seconds` after it is ready.

    `as_json`: one JSON object per line, each with its `event`: ready, status, stopped; progress and
    warnings go to standard error.

    Returns the last sample of the status, empty if it was stopped before there was one. Raises what
    `Platform.start` raises, after everything that had started was stopped.
    """
    raise_open_files()
    stop_event = asyncio.Event()
    console = display.console(on_lost=stop_event.set, stderr=as_json)
    emit = typer.echo if as_json else _nothing
    notice = Notices(console)
    platform = Platform(options, notice)
    stop = StopRequest(stop_event, platform.kill)
    with _signals(stop):
        try:
            instance = await _started(platform, console, stop)
            if instance is None:
                return {}
            emit(_event("ready", addresses=display.addresses(instance.env)))
            display.print_components(console, instance.components)
            for line in display.ready_lines(instance.env, console.width):
                console.print(line, style="bold green", markup=False, soft_wrap=True)
            for line in lan_address(platform):
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            return await _live(platform, instance, view, notice, stop, seconds, emit)
        finally:
            with contextlib.suppress(BrokenPipeError):
                emit(_event("stopped", **await _stop(platform, notice)))


def _event(name: str, **values: Any) -> str:
    return json.dumps({"event": name, **values})


def _nothing(text: str) -> None:
    """Print nothing in text mode."""


async def _stop(platform: Platform, notice: Notices) -> dict[str, Any]:
    console = notice.console
    started_s = time.monotonic()
    with contextlib.suppress(OSError):  # the terminal may have disappeared
        if platform.keepers:
            console.print("stopping (Ctrl-C again kills at once)", style="dim")
    killed = await platform.stop()
    with contextlib.suppress(OSError):
        for each in killed:
            notice(each)
        if platform.keepers:
            console.print(f"stopped in {time.monotonic() - started_s:.1f} s", style="dim")
    return {"seconds": round(time.monotonic() - started_s, 3), "killed": killed}


async def _started(platform: Platform, console: Console, stop: StopRequest) -> Instance | None:
    """Start the platform; None if a stop was requested before it was ready."""
    started_s = time.monotonic()
    with console.status("starting") as spinner:

        def progress(step: str) -> None:
            if console.is_terminal:
                spinner.update(step)
            else:
                console.print(step, markup=False, soft_wrap=True)

        start = asyncio.create_task(platform.start(progress))
        stopping = asyncio.create_task(stop.event.wait())
        try:
            await asyncio.wait({start, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not start.done():
                start.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await start
                return None
        finally:
            stopping.cancel()
    instance = start.result()
    console.print(f"started in {time.monotonic() - started_s:.1f} s", style="dim")
    return instance


async def _live(
    platform: Platform,
    instance: Instance,
    view: View,
    notice: Notices,
    stop: StopRequest,
    seconds: float | None,
    emit: Callable[[str], object],
) -> dict[str, Any]:
    """Sample and show until the stop; return the last sample."""
    console = notice.console
    started_s = time.monotonic()
    printed_s = -_PLAIN_EVERY_S if seconds is not None else 0.0
    processes = [each.pid for each in platform.keepers]
    sample: dict[str, Any] = {}
    data_dir = platform.options.data_dir.absolute()

    sampler = Sampler(platform, lambda text: notice(f"broker: {text}"))
    live = Live(console=console, auto_refresh=False, transient=False)
    if console.is_terminal:
        live.start()

    async def show() -> None:
        nonlocal printed_s, processes, sample
        while True:
            sample = await sampler.sample()
            now = [each.pid for each in platform.keepers]
            try:
                write_json(status_path(data_dir), sample)
                if now != processes:
                    platform.describe()
                    processes = now
            except OSError as error:
                notice(f"{data_dir} takes no file ({error.strerror}): make room, all goes on then")
            elapsed = time.monotonic() - started_s
            if console.is_terminal:
                live.update(await view(sample, instance, console.width), refresh=True)
            elif elapsed - printed_s >= _PLAIN_EVERY_S:
                printed_s = elapsed
                console.print(await view(sample, instance, None))
                emit(_event("status", **sample))
            if seconds is not None and elapsed >= seconds:
                return
            await asyncio.sleep(_SAMPLE_EVERY_S)

    showing, stopping = asyncio.create_task(show()), asyncio.create_task(stop.event.wait())
    try:
        await asyncio.wait({showing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if showing.done():
            showing.result()
    finally:
        await end(showing, stopping)
        live.stop()
        await sampler.close()
    return sample


@contextlib.contextmanager
def _signals(stop: StopRequest) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for each in caught:
        loop.add_signal_handler(each, stop.ask, each is signal.SIGINT)
    try:
        yield
    finally:
        for each in caught:
            loop.remove_signal_handler(each)
