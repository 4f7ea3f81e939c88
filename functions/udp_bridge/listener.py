"""UDP listener: datagrams in, raw batches to K_SINK.

A separate process, since Knative Serving has no UDP: `python -m functions.udp_bridge.listener`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from functions.udp_bridge import recvmmsg
from functions.udp_bridge.datagrams import Datagrams
from functions.udp_bridge.formats import UdpFormat, sorted_out
from functions.udp_bridge.receiver import Receiver
from functions.udp_bridge.udp_socket import bind
from shared.adapter.process import bound_sink, on_stop, run_process, serve_metrics
from shared.adapter.tracing import Tracing
from shared.runtime import metrics
from shared.runtime.settings import Environment, FromEnvironment, integer, nested, parsed, text
from shared.sources.batcher import Batcher, Limits, new_source
from shared.sources.outbox import Outbox
from shared.wire.raw_batch import FORMAT_CSV, FORMAT_SCANNER, FORMAT_TICKER

log = logging.getLogger(__name__)


def _batch_limits(env: Environment) -> Limits:
    return Limits(
        payloads=env.integer("BATCH_DATAGRAMS", 16_384, 1, 65_536),
        bytes=env.integer("BATCH_BYTES", 2 * 1024 * 1024, 1024, 4 * 1024 * 1024),
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
    buffer_bytes: int = integer("BUFFER_BYTES", 64 * 1024 * 1024, 8 * 1024 * 1024, 1 << 40)
    drain_s: int = integer("DRAIN_S", 8, 0, 3_600)


def _one_format(datagrams: Datagrams) -> tuple[Datagrams]:
    return (datagrams,)


async def serve(settings: Settings, tracing: Tracing) -> None:
    """Listen until SIGTERM or SIGINT, then drain. Metrics are served until the process ends."""
    address = f"{settings.host}:{settings.port}"
    try:
        sock = bind(settings.host, settings.port)
    except OSError as error:
        raise OSError(f"cannot listen on udp {address}: {error}") from error
    outbox = Outbox(
        bound_sink("/kandle/udp-listener"),
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
    on_stop(receiver.stop)
    serve_metrics(settings.metrics_host, settings.metrics_port)
    log.info("listening on udp %s", address)
    try:
        await receiver.run()
        lost = await outbox.close(settings.drain_s)
        if lost:
            log.error(
                "%d datagrams were not accepted within %d s and are lost", lost, settings.drain_s
            )
    finally:
        sock.close()


if __name__ == "__main__":
    run_process("udp-listener", Settings, serve)
