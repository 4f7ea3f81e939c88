"""The UDP listener alone: datagrams and ticks a second that it takes without loss.

One process sends as fast as the listener reads: it waits while the kernel's receive buffer is half
full, so nothing is lost and the figure is the listener's. Another answers 202 to every event. Timed
until the sink has taken the last datagram; with `recvmmsg` and with the plain loop over `recv`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from benchmarks import _market
from local.servers.ports import free_port
from local.supervisor.counters import samples_of

LINES_A_DATAGRAM = (1, 20)
SECONDS = 4.0
BETWEEN_LOOKS = 500
"""Datagrams sent between two looks at the receive buffer; a look takes as long as some of them."""
PLAIN = (
    "import functions.udp_bridge.recvmmsg as r; r.supported = lambda: False;"
    "import functions.udp_bridge.listener as l; l.main()"
)
READERS = {
    "recvmmsg": ("-m", "functions.udp_bridge.listener"),
    "plain recv loop": ("-c", PLAIN),
}


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request of a connection 202, without looking at it."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionResetError):
        writer.close()


async def sink(port: int) -> None:
    """Serve until killed."""
    async with await asyncio.start_server(answer, "127.0.0.1", port, limit=1 << 21) as server:
        await server.serve_forever()


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with these arguments; stop it in the end."""
    started = subprocess.Popen([sys.executable, *arguments], env={**os.environ, **environment})
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(20)


def metrics(port: int) -> dict[str, float]:
    """Read the listener's metrics; none while it does not answer."""
    try:
        return samples_of(httpx.get(f"http://127.0.0.1:{port}/metrics").text, "kandle_")
    except httpx.HTTPError:
        return {}


def queued(port: int) -> int:
    """Return the bytes in the receive buffer of a UDP port."""
    for line in Path("/proc/net/udp").read_text().splitlines():
        fields = line.split()
        if fields[1].endswith(f":{port:04X}"):
            return int(fields[4].split(":")[1], 16)
    return 0


def send(port: int, datagrams: list[bytes]) -> int:
    """Send all, again and again for SECONDS, as fast as they are read; return how many."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        most = int(Path("/proc/sys/net/core/rmem_max").read_text())
        until = time.perf_counter() + SECONDS
        sent = 0
        while time.perf_counter() < until:
            for start in range(0, len(datagrams), BETWEEN_LOOKS):
                while queued(port) > most:
                    time.sleep(0.0002)
                for datagram in datagrams[start : start + BETWEEN_LOOKS]:
                    sock.send(datagram)
            sent += len(datagrams)
    return sent


def measure(arguments: tuple[str, ...], lines_a_datagram: int, lines: list[str]) -> None:
    """Print what one listener takes."""
    sink_port, metrics_port, udp_port = free_port(), free_port(), free_port(socket.SOCK_DGRAM)
    environment = {
        "K_SINK": f"http://127.0.0.1:{sink_port}/",
        "UDP_PORT": str(udp_port),
        "METRICS_PORT": str(metrics_port),
        # What is read and not sent yet waits here; the time until it is sent counts.
        "BUFFER_BYTES": str(1 << 30),
        "LOG_LEVEL": "WARNING",
    }
    with (
        process("-m", "benchmarks.udp", str(sink_port)),
        process(*arguments, **environment) as listener,
    ):
        while not metrics(metrics_port):
            time.sleep(0.1)
        usage = psutil.Process(listener.pid)
        before_s = sum(usage.cpu_times()[:2])
        started = time.perf_counter()
        sent = send(udp_port, _market.datagrams(lines, lines_a_datagram))
        seen: dict[str, float] = {}
        while time.perf_counter() - started < SECONDS + 10:
            seen = metrics(metrics_port)
            if seen["kandle_udp_sent_datagrams_total"] >= sent:
                break
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        cpu_s = sum(usage.cpu_times()[:2]) - before_s
        lost = sent - seen["kandle_udp_sent_datagrams_total"]
        rate = sent / seconds / 1e3
        print(
            f"    {rate:7.0f} k datagrams/s {rate * lines_a_datagram:7.0f} k ticks/s"
            f"   {lost:.0f} lost   {cpu_s / sent * 1e6:5.2f} us CPU a datagram"
            f"   rss {usage.memory_info().rss / 2**20:.0f} MiB"
        )


def run() -> None:
    """Print the table."""
    lines = _market.recent_lines(20_000)
    for lines_a_datagram in LINES_A_DATAGRAM:
        for name, arguments in READERS.items():
            print(f"  {name}, {lines_a_datagram} lines a datagram")
            measure(arguments, lines_a_datagram, lines)


if __name__ == "__main__":
    asyncio.run(sink(int(sys.argv[1])))
