"""UDP listener: datagrams in, raw batches to K_SINK.

A separate process, since Knative Serving has no UDP: `python -m functions.udp_bridge.listener`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from dataclasses import dataclass

import prometheus_client
import uvloop

from functions.udp_bridge import recvmmsg
from functions.udp_bridge.datagrams import Datagrams
from functions.udp_bridge.formats import UdpFormat, sorted_out
from functions.udp_bridge.receiver import Receiver
from functions.udp_bridge.udp_socket import bind
from shared.adapter.logs import configure_logging
from shared.adapter.sink import Sink
from shared.adapter.tracing import Tracing, tracing
from shared.runtime import metrics
from shared.runtime.memory import settle
from shared.runtime.settings import (
    Environment,
    FromEnvironment,
    SettingsError,
    integer,
    nested,
    parsed,
    text,
)
from shared.sources.batcher import Batcher, Limits, new_source
from shared.sources.outbox import Outbox
from shared.wire.raw_batch import FORMAT_CSV, FORMAT_SCANNER, FORMAT_TICKER

log = logging.getLogger(__name__)


def _batch_limits(env: Environment) -> Limits:
    return Limits(
        payloads=env.integer("BATCH_DATAGRAMS", 16_384, 1, 65_536),
        bytes=env.integer("BATCH_BYTES", 1024 * 1024, 1024, 4 * 1024 * 1024),
        age_us=env.integer("BATCH_MS", 5, 1, 10_000) * 1000,
    )


@dataclass(frozen=True, kw_only=True)
class Settings(FromEnvironment):
    """Settings of the listener, from its environment."""

    sink: str = text("K_SINK")
    host: str = text("UDP_HOST", "127.0.0.1")
    port: int = integer("UDP_PORT", 5005, 1, 65_535)
    metrics_host: str = text("UDP_HOST", "127.0.0.1", overridden_by="METRICS_HOST")
    metrics_port: int = integer("METRICS_PORT", 9090, 1, 65_535)
    format: UdpFormat = parsed("UDP_FORMAT", UdpFormat.AUTO, UdpFormat)
    batch: Limits = nested(_batch_limits)
    buffer_bytes: int = integer("BUFFER_BYTES", 64 * 1024 * 1024, 1024 * 1024, 1 << 40)
    drain_s: int = integer("DRAIN_S", 8, 0, 3_600)


def _one_format(datagrams: Datagrams) -> tuple[Datagrams]:
    return (datagrams,)


async def serve(settings: Settings, sink: Sink, tracing: Tracing) -> None:
    """Listen until SIGTERM or SIGINT, then drain. Metrics are served until the process ends."""
    sock = bind(settings.host, settings.port)
    outbox = Outbox(
        sink,
        max_bytes=settings.buffer_bytes,
        sent=metrics.UDP_SENT,
        buffered=metrics.UDP_BUFFERED,
        tracing=tracing,
    )
    csv = Batcher(new_source("udp"), settings.batch, FORMAT_CSV)
    ticker = Batcher(new_source("udp"), settings.batch, FORMAT_TICKER)
    objects = Batcher(new_source("udp"), settings.batch, FORMAT_SCANNER)
    batchers, sort = {
        UdpFormat.AUTO: ((csv, ticker, objects), sorted_out),
        UdpFormat.CSV: ((csv,), _one_format),
        UdpFormat.TICKER: ((ticker,), _one_format),
    }[settings.format]
    receiver = Receiver(sock, recvmmsg.reader(sock), batchers, sort, outbox)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, receiver.stop)
    prometheus_client.start_http_server(settings.metrics_port, settings.metrics_host)
    log.info("listening on udp %s:%d", settings.host, settings.port)
    try:
        await receiver.run()
        lost = await outbox.close(settings.drain_s)
        if lost:
            log.error(
                "%d datagrams were not accepted within %d s and are lost", lost, settings.drain_s
            )
    finally:
        sock.close()


def main() -> None:
    """Command line."""
    configure_logging(os.environ)
    try:
        settings = Settings.from_env(os.environ)
        sink = Sink.from_env(os.environ, "/kandle/udp-listener")
        assert sink is not None  # K_SINK is set: the settings are checked
        spans = tracing("udp-listener", os.environ)
    except SettingsError as error:
        sys.exit(str(error))
    settle()
    try:
        uvloop.run(serve(settings, sink, spans))
    except OSError as error:
        sys.exit(f"cannot listen on udp {settings.host}:{settings.port}: {error}")


if __name__ == "__main__":
    main()
