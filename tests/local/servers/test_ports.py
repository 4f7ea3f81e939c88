from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local.servers import ports
from local.servers.ports import GRPC_OFFSET, PortBook, free_port, is_free


def test_a_restart_gets_the_same_port(tmp_path: Path) -> None:
    """A port is remembered by name over restarts, and no two names share one."""
    book = PortBook(tmp_path / "ports.json")
    taken = [book.take(name) for name in "abc"]
    again = PortBook(tmp_path / "ports.json")
    assert [again.take(name) for name in "abc"] == taken
    assert len(set(taken)) == 3


def test_a_port_in_use_is_replaced(tmp_path: Path) -> None:
    """A remembered port that is in use is replaced, and the new one remembered."""
    port = PortBook(tmp_path / "ports.json").take("a")
    with socket.create_server(("127.0.0.1", port)):
        moved = PortBook(tmp_path / "ports.json").take("a")
        assert moved != port
    assert PortBook(tmp_path / "ports.json").take("a") == moved


def test_a_name_keeps_its_port_while_its_server_listens(tmp_path: Path) -> None:
    """A port in use by its own server is given again."""
    book = PortBook(tmp_path / "ports.json")
    port = book.take("a")
    with socket.create_server(("127.0.0.1", port)):
        assert book.take("a") == port


def test_a_released_port_is_free_for_others(tmp_path: Path) -> None:
    """A reservation ends with `release`, and the port stays remembered."""
    book = PortBook(tmp_path / "ports.json")
    port = book.take("weed", with_grpc=True)
    both = (port, port + GRPC_OFFSET)
    assert [is_free(each, socket.SOCK_DGRAM) for each in both] == [False, False]
    book.release()
    assert [is_free(each, socket.SOCK_DGRAM) for each in both] == [True, True]
    assert book.take("weed", with_grpc=True) == port


def test_a_port_chosen_by_the_user_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port chosen by the user is given to no name, even if it had it before."""
    port = PortBook(tmp_path / "ports.json").take("a")
    book = PortBook(tmp_path / "ports.json")
    book.leave_out(port)
    assert book.take("a") != port
    monkeypatch.setattr(ports, "_FIRST", port)
    monkeypatch.setattr(ports, "_LAST", port + 30)
    assert port not in {book.take(name) for name in "bcdef"}


def test_the_port_above_is_free_too(tmp_path: Path) -> None:
    """A port whose partner 10,000 above is in use is refused if it needs one."""
    port = PortBook(tmp_path / "ports.json").take("weed", with_grpc=True)
    assert is_free(port + GRPC_OFFSET)
    with socket.create_server(("127.0.0.1", port + GRPC_OFFSET)):
        assert PortBook(tmp_path / "ports.json").take("weed", with_grpc=True) != port


def test_a_damaged_file_of_ports_is_replaced(tmp_path: Path) -> None:
    """A damaged file of ports is replaced by new ports."""
    (tmp_path / "ports.json").write_text("{")
    assert is_free(PortBook(tmp_path / "ports.json").take("a"))


@pytest.mark.processes
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_instances_that_start_at_once_share_no_port(
    kind: socket.SocketKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that another process has reserved is not given, even before it listens."""
    script = (
        "import socket, sys; from local.servers import ports; ports._LAST = ports._FIRST + 40;"
        "print(*[ports.free_port(socket.SocketKind(int(sys.argv[1]))) for _ in range(10)], "
        "flush=True); sys.stdin.read()"
    )
    monkeypatch.setattr(ports, "_LAST", ports._FIRST + 40)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(int(kind))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        theirs = set(map(int, other.stdout.readline().split()))
        ours = {free_port(kind) for _ in range(10)}
        other.communicate("")
    assert len(theirs) == len(ours) == 10
    assert ours.isdisjoint(theirs)
