"""`kandle simulate`: a simulated market, optionally fast and disorderly."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from typing import Annotated, Final

import typer

from local.cli.options.addresses import http_url, ticks_broker
from local.cli.options.common import DEFAULT_DATA_DIR, ApiUrl, AsJson, BrokerUrl, DataDir
from local.cli.options.destination import FeedSender, IngestUrl, To, UdpAddr, Via, open_sender
from local.cli.options.times import span_us
from local.cli.run.simulated_past import store_past
from local.cli.run.stopping import stop_on_signals
from local.errors import CliError, UsageError
from local.feeds.instruments import instrument
from local.feeds.simulator import GONE_LIVE, MAX_STEP_MS, Arrival, Arrived, Disorder, Simulator
from local.feeds.tick import plain_symbol

STEP_S: Final = 0.02
REPORT_EVERY_S: Final = 10.0
HTTP_STEP_S: Final = 0.1

app = typer.Typer()


@app.command("simulate")
def simulate(
    symbols: Annotated[
        str, typer.Option(help="Instruments, separated by commas; any names.")
    ] = "BTC-USD,ETH-USD,AAPL",
    rate: Annotated[float, typer.Option(min=0.01, help="Ticks a second, in total.")] = 200.0,
    seed: Annotated[int, typer.Option(help="Another seed is another market.")] = 1,
    bursts: Annotated[
        bool, typer.Option("--bursts", help="Occasional bursts of 5 to 15 times the rate.")
    ] = False,
    late_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the ticks that arrive late.")
    ] = 0.0,
    late_ms: Annotated[
        int, typer.Option(min=1, help="Maximum lateness; at least half of it.")
    ] = 5_000,
    duplicate_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the ticks that arrive twice.")
    ] = 0.0,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so long.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this many trades.")] = None,
    history: Annotated[
        str,
        typer.Option(
            metavar="SPAN",
            help="First store this much history (2d, 12h), then continue from its prices.",
        ),
    ] = "0",
    to: To = Via.UDP,
    udp_addr: UdpAddr = None,
    ingest_url: IngestUrl = None,
    broker_url: BrokerUrl = None,
    api_url: ApiUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the summary.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send ticks of a simulated market until stopped (Ctrl-C) or finished.

    Prices are random walks on each instrument's tick size. The same --seed gives the same market,
    at current times; trade ids are never reused by a later run.

    Examples:

      kandle simulate

      kandle simulate --symbols BTC-USD,AAPL --rate 5000 --bursts

      kandle simulate --late-share 0.02 --late-ms 90000 --duplicate-share 0.05

      kandle simulate --count 100000 --rate 20000 --to http

      kandle simulate --history 2d
    """
    from local.feeds.senders import SendError

    instruments = [instrument(name) for name in _symbols(symbols)]
    span_ms = span_us(history, "--history") // 1000
    with stop_on_signals() as stop:
        # The listener may restart; the market continues meanwhile.
        sender = open_sender(
            to, udp_addr, ingest_url, data_dir, goes_on_refused=True, gives_up=stop.is_set
        )
        start_ms = time.time_ns() // 1_000_000
        if span_ms:
            instruments, start_ms = store_past(
                instruments,
                seed=seed,
                span_ms=span_ms,
                rate=rate,
                broker_url=http_url(ticks_broker(broker_url, data_dir), "--broker-url"),
                api_url=api_url,
                data_dir=data_dir,
                stopped=stop.is_set,
            )
            typer.echo(GONE_LIVE, err=True)
        started = time.monotonic()
        simulator = Simulator(
            instruments,
            seed=seed,
            start_ms=start_ms,
            rate=rate,
            bursts=bursts,
            disorder=Disorder(late_share, late_ms, duplicate_share),
        )
        sent: Counter[Arrival] = Counter()
        try:
            with sender:
                if count is None:
                    _catch_up(simulator, start_ms, sender, sent)
                _run(simulator, sender, sent, stop, seconds=seconds, count=count, quiet=quiet)
        except SendError as error:
            raise CliError(str(error)) from None
        finally:
            _sum_up(sender, sent, time.monotonic() - started, as_json=as_json)


def _run(
    simulator: Simulator,
    sender: FeedSender,
    sent: Counter[Arrival],
    stop: threading.Event,
    *,
    seconds: float | None,
    count: int | None,
    quiet: bool,
) -> None:
    """Send what arrives, in steps of wall clock time; held back ticks go at the end."""
    from local.feeds.senders import HttpSender, UdpSender

    step_s = HTTP_STEP_S if isinstance(sender, HttpSender) else STEP_S
    started = time.monotonic()
    next_report = started + REPORT_EVERY_S
    warned = quiet
    while not stop.is_set() and (count is None or simulator.traded < count):
        left = None if count is None else count - simulator.traded
        _send(simulator.advance(time.time_ns() // 1_000_000, left), sender, sent)
        if isinstance(sender, UdpSender) and sender.refused_lines and not warned:
            warned = True
            typer.echo("nothing is listening; the market continues", err=True)
        now = time.monotonic()
        if seconds is not None and now - started >= seconds:
            break
        if not quiet and now >= next_report:
            next_report = now + REPORT_EVERY_S
            typer.echo(f"{_counts(sent)}, {sent.total() / (now - started):,.0f} ticks/s", err=True)
        stop.wait(step_s)
    _send(simulator.drain(), sender, sent)


def _catch_up(
    simulator: Simulator, since_ms: int, sender: FeedSender, sent: Counter[Arrival]
) -> None:
    """Send what was traded while the history was stored."""
    for at_ms in range(since_ms + MAX_STEP_MS, time.time_ns() // 1_000_000, MAX_STEP_MS):
        _send(simulator.advance(at_ms), sender, sent)


def _send(arrived: list[Arrived], sender: FeedSender, sent: Counter[Arrival]) -> None:
    for tick, _arrival in arrived:
        sender.send(tick.line())
    sender.flush()
    sent.update(arrival for _tick, arrival in arrived)


def _symbols(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise UsageError("--symbols: name at least one instrument")
    for name in names:
        try:
            plain_symbol(name)
        except ValueError as error:
            raise UsageError(f"--symbols: {name!r} {error}") from None
    return names


def _counts(sent: Counter[Arrival]) -> str:
    late, duplicates = sent[Arrival.LATE], sent[Arrival.DUPLICATE]
    return f"sent {sent.total():,} ticks, {late:,} of them late, {duplicates:,} duplicates"


def _sum_up(sender: FeedSender, sent: Counter[Arrival], seconds: float, *, as_json: bool) -> None:
    from local.feeds.senders import HttpSender

    if as_json:
        typer.echo(
            json.dumps(
                {
                    "ticks": sent.total(),
                    "late": sent[Arrival.LATE],
                    "duplicates": sent[Arrival.DUPLICATE],
                    sender.unit: sender.units,
                    "seconds": round(seconds, 3),
                    **(sender.answers() if isinstance(sender, HttpSender) else {}),
                }
            )
        )
        return
    typer.echo(
        f"{_counts(sent)}; {sender.units:,} {sender.unit}, "
        f"{seconds:.1f} s, {sent.total() / max(seconds, 1e-3):,.0f} ticks/s"
    )
    if isinstance(sender, HttpSender):
        if sender.repeats:
            typer.echo(f"repeated {sender.repeats:,} requests until they were accepted")
    elif sender.refused_lines:
        typer.echo(f"{sender.refused_lines:,} of these ticks found no listener", err=True)
