from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx
import nats
import nats.errors
import nats.js.errors
import pytest

from local.errors import StartError
from local.servers import external
from local.servers.nats import nats as nats_server
from local.servers.server import Workspace
from tests.local.servers.running import Running

pytestmark = pytest.mark.processes


async def ignore(_: Exception) -> None:
    """Ignore it: the error is raised as well."""


async def append(url: str, text: bytes) -> None:
    client = await nats.connect(url, error_cb=ignore)
    stream = client.jetstream()
    await stream.add_stream(name="EVENTS", subjects=["events"])
    await stream.publish("events", text)
    await client.close()


async def stored(url: str) -> list[bytes]:
    client = await nats.connect(url, error_cb=ignore)
    stream = client.jetstream()
    state = (await stream.stream_info("EVENTS")).state
    found = [
        (await stream.get_msg("EVENTS", number)).data or b""
        for number in range(state.first_seq, state.last_seq + 1)
    ]
    await client.close()
    return found


def test_acknowledged_messages_survive_a_kill(place: Workspace, tmp_path: Path) -> None:
    """An acknowledged message is there after kill -9 and the restart, at the same address."""
    with Running(nats_server(place), tmp_path) as server:
        server.ask(append(server.variables["NATS_URL"], b"one"))
        server.kill_and_await_return()
        assert server.ask(stored(server.variables["NATS_URL"])) == [b"one"]
        assert any("died (killed by SIGKILL)" in each for each in server.notices)


def test_a_path_may_have_any_letters(tmp_path: Path) -> None:
    """NATS starts in a directory whose name has blanks, quotes and letters beyond ASCII."""
    place = Workspace.at(tmp_path / 'Bücher "der" Märkte 市场')
    with Running(nats_server(place), tmp_path) as server:
        server.ask(append(server.variables["NATS_URL"], b"one"))
    assert (place.directory("nats") / "jetstream").is_dir()


@contextmanager
def small_disk(mounted: Path) -> Iterator[int]:
    """A process in whose namespace a disk of 8 MiB is mounted."""
    command = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    mount = f"mount -t tmpfs -o size=8m none '{mounted}' && echo mounted && exec cat"
    try:
        holder = subprocess.Popen(
            [*command, mount], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    except FileNotFoundError:
        pytest.skip("no unshare")
    with holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != "mounted\n":
            pytest.skip("no user namespace, in which a small disk could be mounted")
        yield holder.pid  # it ends when its standard input closes


async def is_taken(url: str, text: bytes) -> bool:
    """Whether JetStream acknowledges a message."""
    client = await nats.connect(url, error_cb=ignore)
    try:
        await client.jetstream(timeout=2).publish("events", text)
    except (nats.errors.TimeoutError, nats.js.errors.Error):
        return False
    finally:
        await client.close()
    return True


def test_jetstream_writes_again_when_a_full_disk_has_room(place: Workspace, tmp_path: Path) -> None:
    """After a full disk has room JetStream is restarted and accepts messages again."""
    server = nats_server(place)
    disk = server.component.directory / "jetstream"
    disk.mkdir()
    with small_disk(disk) as holder:
        prefix = ("nsenter", "--target", str(holder), "--user", "--mount", "--preserve-credentials")
        server = replace(server, component=replace(server.component, prefix=prefix))
        with Running(server, tmp_path) as running:
            url, text = running.variables["NATS_URL"], bytes(65_536)
            running.ask(append(url, b"one"))
            filler = Path(f"/proc/{holder}/root{disk}/filler")
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while file.write(text):
                    pass
            while running.ask(is_taken(url, text)):
                pass
            filler.unlink()
            assert not running.ask(is_taken(url, text))  # else there is nothing to recover from
            broken = running.keeper.pid
            running.ask(running.keeper.mend())
            running.await_return(broken)
            assert "writes no more since the disk was full" in running.notices[0]
            assert running.ask(is_taken(url, text))
            assert running.ask(stored(url))[0] == b"one"


def test_a_client_without_password_is_refused(place: Workspace, tmp_path: Path) -> None:
    """A client without credentials is refused, and no log has them."""
    with Running(nats_server(place), tmp_path) as server:
        nobody = {"NATS_URL": server.keeper.component.url}
        with pytest.raises(StartError, match=r"(?i)authorization"):
            server.ask(external.check("NATS_URL", nobody))
        password = place.credentials.nats_password
        assert password not in server.keeper.component.log.read_text()
        assert password not in " ".join(server.keeper.component.command)


def test_acknowledged_messages_are_synced_within_a_second(place: Workspace, tmp_path: Path) -> None:
    """Messages are synced to disk within a second; the server's default is two minutes."""
    with Running(nats_server(place), tmp_path) as server:
        text = (server.keeper.component.directory / "nats.conf").read_text()
        (monitor,) = re.findall(r'http: "(.+)"', text)
        answer = httpx.get(f"http://{monitor}/jsz", trust_env=False)
        assert answer.json()["config"]["sync_interval"] == 1_000_000_000


def test_a_client_that_answers_no_ping_has_no_connection(place: Workspace, tmp_path: Path) -> None:
    """A client whose connection is half-open is disconnected in half a minute, not in six."""
    with Running(nats_server(place), tmp_path) as server:
        text = (server.keeper.component.directory / "nats.conf").read_text()
        (monitor,) = re.findall(r'http: "(.+)"', text)
        answer = httpx.get(f"http://{monitor}/varz", trust_env=False).json()
        assert answer["ping_interval"] * (answer["ping_max"] + 1) == 30_000_000_000
