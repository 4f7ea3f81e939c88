"""The UDP listener: datagrams in, raw batches to K_SINK.

A process of its own, since Serving has no UDP: `python -m functions.udp_bridge.listener`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import prometheus_client
import uvloop

from functions.udp_bridge.batcher import Batcher, Limits, new_source
from functions.udp_bridge.outbox import Outbox
from functions.udp_bridge.udp_socket import MAX_DATAGRAM_BYTES, bind
from shared import metrics
from shared.adapter.sink import Sink
from shared.adapter.wiring import configure_logging
from shared.settings import Environment, SettingsError

log = logging.getLogger(__name__)

DRAIN_S = 8.0
_DATAGRAMS_A_TURN = 512


@dataclass(frozen=True)
class Settings:
    """What the listener reads from its environment."""

    host: str
    port: int
    metrics_host: str
    metrics_port: int
    sink: str
    batch: Limits
    buffer_bytes: int

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        host = env.text("UDP_HOST", "127.0.0.1")
        settings = cls(
            host=host,
            port=env.integer("UDP_PORT", 5005, 1, 65_535),
            metrics_host=env.text("METRICS_HOST", host),
            metrics_port=env.integer("METRICS_PORT", 9090, 1, 65_535),
            sink=env.text("K_SINK"),
            batch=Limits(
                payloads=env.integer("BATCH_DATAGRAMS", 4096, 1, 65_536),
                bytes=env.integer("BATCH_BYTES", 256 * 1024, 1024, 384 * 1024),
                age_us=env.integer("BATCH_MS", 20, 1, 10_000) * 1000,
            ),
            buffer_bytes=env.integer("BUFFER_BYTES", 64 * 1024 * 1024, 1024 * 1024, 1 << 40),
        )
        env.check()
        return settings


class Listener:
    """Reads the socket, closes batches when they are full or due, and hands them to the outbox."""

    def __init__(self, sock: socket.socket, batcher: Batcher, outbox: Outbox) -> None:
        self._socket = sock
        self._batcher = batcher
        self._outbox = outbox
        self._readable = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Receive until `stop()`, then take what the socket still holds, and send it."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._readable.set)
        age_s = self._batcher.limits.age_us / 1e6
        while not self._stopping:
            try:
                async with asyncio.timeout(age_s if self._batcher.waiting else None):
                    await self._readable.wait()
            except TimeoutError:
                pass
            self._readable.clear()
            await self._receive()
            if self._batcher.is_due(time.time_ns() // 1000):
                await self._flush()
        loop.remove_reader(self._socket)
        await self._receive()
        if self._batcher.waiting:
            await self._flush()

    def stop(self) -> None:
        """End `run` after what has come."""
        self._stopping = True
        self._readable.set()

    async def _receive(self) -> None:
        """Read until the socket is empty; one clock reading a datagram, for its receive time."""
        receive, add, clock = self._socket.recv, self._batcher.add, time.time_ns
        while True:
            count = size = 0
            full = False
            try:
                while count < _DATAGRAMS_A_TURN and not full:
                    payload = receive(MAX_DATAGRAM_BYTES)
                    count += 1
                    size += len(payload)
                    full = add(payload, clock() // 1000)
            except BlockingIOError:
                metrics.UDP_DATAGRAMS.inc(count)
                metrics.UDP_BYTES.inc(size)
                return
            metrics.UDP_DATAGRAMS.inc(count)
            metrics.UDP_BYTES.inc(size)
            if full or self._batcher.is_due(clock() // 1000):
                await self._flush()
            await asyncio.sleep(0)

    async def _flush(self) -> None:
        payloads = self._batcher.waiting
        event = self._batcher.take()
        if not await self._outbox.put(event, payloads):
            metrics.UDP_DROPPED.labels("outbox_full").inc(payloads)
            log.error("%d datagrams dropped: BUFFER_BYTES are full and the sink is away", payloads)


async def serve(settings: Settings) -> None:
    """Listen until SIGTERM or SIGINT, then drain."""
    sock = bind(settings.host, settings.port)
    outbox = Outbox(Sink(settings.sink, "/kandle/udp-listener"), max_bytes=settings.buffer_bytes)
    listener = Listener(sock, Batcher(new_source("udp"), settings.batch), outbox)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, listener.stop)
    server, thread = prometheus_client.start_http_server(
        settings.metrics_port, settings.metrics_host
    )
    log.info("listening on udp %s:%d", settings.host, settings.port)
    try:
        await listener.run()
        lost = await outbox.close(DRAIN_S)
        if lost:
            log.error("%d batches were not taken within %g s and are lost", lost, DRAIN_S)
    finally:
        sock.close()
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Command line."""
    configure_logging(os.environ)
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        sys.exit(str(error))
    try:
        uvloop.run(serve(settings))
    except OSError as error:
        sys.exit(f"cannot listen on udp {settings.host}:{settings.port}: {error}")


if __name__ == "__main__":
    main()
