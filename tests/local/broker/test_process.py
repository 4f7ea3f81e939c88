"""The broker process from inside: conditions that no client can cause."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
import yaml

from local.broker import __main__ as command
from local.broker import process as broker_process
from local.broker.channel import Channel
from local.broker.jetstream import JetStream
from local.broker.process import BrokerProcess
from local.servers.ports import free_port
from local.topology.eventing import load_eventing
from tests.local.broker.manifests import addresses, broker, channel, trigger
from tests.local.broker.processes import NatsServer
from tests.local.broker.subscriber import Subscriber
from tests.local.broker.test_wiring import ping_source


def write(directory: Path, *objects: dict[str, object]) -> Path:
    (directory / "all.yaml").write_text(yaml.safe_dump_all(objects))
    return directory


def test_an_internal_error_ends_the_broker(
    nats_server: NatsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An internal error ends the process with a failure, so that it is restarted."""

    async def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(broker_process, "run_ping_source", fail)
    clock = ping_source("clock", "* * * * * *")
    eventing = write(tmp_path, channel("wiring"), broker("wiring", "main"), clock)
    (tmp_path / "addresses.json").write_text(json.dumps({}))
    monkeypatch.setenv("NATS_URL", nats_server.url)
    monkeypatch.setattr(
        sys,
        "argv",
        [
            *("broker", "--eventing", str(eventing), "--port", str(free_port())),
            *("--addresses", str(tmp_path / "addresses.json")),
        ],
    )
    with pytest.raises(RuntimeError, match="a bug"):
        command.main()
    assert "WARNING a fault of the broker ends it" in capsys.readouterr().err


def test_streams_are_created_by_one_task_at_a_time(
    nats_server: NatsServer,
    subscriber: Subscriber,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If NATS reconnects while streams are created, they are created again afterwards."""
    running: list[str] = []
    runs: list[int] = []
    is_open: list[bool] = []
    unready: list[str] = []
    begun, done_twice = asyncio.Event(), asyncio.Event()
    ensure_stream = Channel.ensure_stream

    async def slow(self: Channel) -> None:
        running.append(self.stream)
        runs.append(len(running))
        begun.set()
        await ensure_stream(self)
        await asyncio.sleep(0.2)
        running.pop()
        if len(runs) == 2:
            done_twice.set()

    monkeypatch.setattr(Channel, "ensure_stream", slow)
    objects = [channel("twice"), broker("twice", "main"), trigger("twice", "work")]
    eventing = load_eventing(write(tmp_path, *objects))
    services = addresses("twice", subscriber.url)

    async def run() -> None:
        process = BrokerProcess(eventing, services, nats_server.url, free_port())
        task = asyncio.create_task(process.run())
        await begun.wait()
        await process._lost()
        await process._back()
        await process._back()
        await done_twice.wait()
        await asyncio.sleep(0.2)
        is_open.append(process._intakes["twice/main"].open)
        unready.append(process._why_unready())
        await process._lost()
        unready.append(process._why_unready())
        process._asked_to_stop.set()
        await task

    asyncio.run(run())
    assert runs == [1, 1]
    assert is_open == [True]
    assert unready == ["", "not every trigger is subscribed yet"]


@pytest.mark.processes
def test_a_failure_of_nats_that_is_over_is_forgotten(tmp_path: Path) -> None:
    """The reason why NATS is away is known until the broker is connected again."""
    server = NatsServer(tmp_path)
    away, back = asyncio.Event(), asyncio.Event()

    async def note_away() -> None:
        away.set()

    async def note_back() -> None:
        back.set()

    async def test() -> None:
        jetstream = JetStream(server.url, note_away, note_back)
        await jetstream.connect()
        server.stop(signal.SIGKILL)
        async with asyncio.timeout(60):
            await away.wait()
            assert jetstream.failure
            await asyncio.to_thread(server.start)
            await back.wait()
        assert jetstream.failure == ""
        await jetstream.close()

    server.start()
    asyncio.run(test())
    server.stop()
