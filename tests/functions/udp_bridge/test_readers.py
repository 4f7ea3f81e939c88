"""Both readers return what a real socket received."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from functions.udp_bridge import recvmmsg
from functions.udp_bridge.datagrams import DATAGRAMS_A_READ, Datagrams, PlainReader, Reader
from functions.udp_bridge.recvmmsg import ManyReader
from functions.udp_bridge.udp_socket import KernelDrops, bind

linux = pytest.mark.skipif(not recvmmsg.supported(), reason="recvmmsg is of 64-bit Linux")
Make = Callable[..., Reader]


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with bind("127.0.0.1", 0) as bound:
        yield bound


@pytest.fixture
def sender(sock: socket.socket) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connected:
        connected.connect(sock.getsockname())
        yield connected


both = pytest.mark.parametrize("make", [PlainReader, pytest.param(ManyReader, marks=linux)])


def read_all(reader: Reader) -> list[bytes]:
    found = []
    while (some := reader.read()) is not None:
        found += split(some)
    return found


def split(some: Datagrams) -> list[bytes]:
    found, start = [], 0
    assert len(some.lengths) == len(some.receive_time_us) == len(some)
    for length in some.lengths:
        found.append(some.payloads[start : start + length])
        start += length
    assert start == len(some.payloads)
    return found


@both
def test_datagrams_come_whole_and_in_order(
    make: Make, sock: socket.socket, sender: socket.socket
) -> None:
    """Small, empty and maximum-size datagrams are read whole and in order, over several reads."""
    payloads = [b"A,%d" % i * (i % 40) for i in range(3 * DATAGRAMS_A_READ)]
    payloads[5:5] = [b"", b"x" * 65_507, b"y" * 65_507, b""]
    for payload in payloads:
        sender.send(payload)
    reader = make(sock)
    assert read_all(reader) == payloads
    assert reader.read() is None


@both
def test_a_reused_buffer_keeps_earlier_payloads(
    make: Make, sock: socket.socket, sender: socket.socket
) -> None:
    """A reused buffer leaves earlier payloads unchanged and leaks nothing into later ones."""
    reader = make(sock)
    sender.send(b"first and long")
    first = reader.read()
    sender.send(b"2nd")
    second = reader.read()
    assert first is not None
    assert second is not None
    assert (first.payloads, second.payloads) == (b"first and long", b"2nd")


@both
def test_a_truncated_datagram_is_counted_and_left_out(
    make: Make, sock: socket.socket, sender: socket.socket
) -> None:
    """A truncated datagram is counted and left out, and its neighbours are read."""
    for payload in (b"before", b"x" * 101, b"y" * 100, b"x" * 5000, b"after"):
        sender.send(payload)
    read = make(sock, 100).read()
    assert read is not None
    assert split(read) == [b"before", b"y" * 100, b"after"]
    assert read.truncated == 2


@linux
def test_the_receive_time_is_the_kernels(sock: socket.socket, sender: socket.socket) -> None:
    """The receive time is the kernel's, however late the datagram is read."""
    reader = ManyReader(sock)
    before_us = time.time_ns() // 1000
    sender.send(b"A,1")
    sender.send(b"A,2")
    between_us = time.time_ns() // 1000
    while time.time_ns() // 1000 < between_us + 1000:
        pass
    sender.send(b"A,3")
    read = reader.read()
    assert read is not None
    first, second, third = read.receive_time_us
    assert before_us <= first <= second <= between_us < third


@pytest.mark.skipif(sys.platform != "linux", reason="SO_MEMINFO is of Linux")
def test_kernel_drops_are_counted_once(sock: socket.socket, sender: socket.socket) -> None:
    """Kernel drops are counted once: received and dropped equal sent."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    drops = KernelDrops(sock)
    for _ in range(200):
        sender.send(b"x" * 1000)
    received = len(read_all(PlainReader(sock)))
    assert 0 < received < 200
    assert drops.new() == 200 - received
    assert drops.new() == 0


def test_listeners_can_share_a_port(sock: socket.socket) -> None:
    """Several sockets can share a port."""
    with bind("127.0.0.1", sock.getsockname()[1]) as other:
        assert other.getsockname() == sock.getsockname()


@pytest.mark.parametrize(
    ("host", "senders"),
    [
        *(("::1", ("::1",)), ("::", ("::1", "127.0.0.1")), ("localhost", ("127.0.0.1",))),
        ("", ("127.0.0.1",)),
    ],
)
@both
def test_datagrams_come_by_ipv6(make: Make, host: str, senders: tuple[str, ...]) -> None:
    """An IPv6 address takes datagrams, `::` those of both kinds; no name, or one of both, IPv4."""
    with bind(host, 0) as bound:
        for sender in senders:
            family = socket.AF_INET6 if ":" in sender else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as client:
                client.sendto(sender.encode(), (sender, bound.getsockname()[1]))
        assert read_all(make(bound)) == [sender.encode() for sender in senders]


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64, "a..b"])
def test_a_name_that_cannot_be_resolved_is_an_oserror(host: str) -> None:
    """A host that does not exist, or cannot be a name, is an OSError."""
    with pytest.raises(OSError, match=r"\S"):
        bind(host, 0)
