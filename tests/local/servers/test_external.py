from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from local.errors import StartError
from local.instance import INSTANCE_SERVERS
from local.servers import external
from local.servers.nats import nats
from local.servers.postgres import postgres
from local.servers.seaweedfs import seaweedfs
from local.servers.server import Workspace
from local.servers.valkey import valkey
from tests.local.servers.running import Running

UNREACHABLE = {
    "NATS_URL": "nats://user:hunter2@127.0.0.1:9",
    "REDIS_URL": "redis://:hunter2@127.0.0.1:9/0",
    "DATABASE_URL": "postgresql://user:hunter2@127.0.0.1:9/kandle",
    "S3_ENDPOINT_URL": "http://127.0.0.1:9",
}
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hunter2"}


@pytest.mark.parametrize("variable", UNREACHABLE)
def test_an_unreachable_server_is_named_without_its_password(variable: str) -> None:
    """The error of an unreachable server has variable and address without the password."""
    configured = external.configured(variable, {**UNREACHABLE, **KEYS})
    with pytest.raises(StartError, match=rf"{variable} is set.*127\.0\.0\.1:9") as caught:
        asyncio.run(external.check(variable, configured))
    assert "hunter2" not in str(caught.value)


@pytest.mark.processes
def test_reachable_servers_are_used(place: Workspace, tmp_path: Path) -> None:
    """A server that answers with the given credentials is used."""
    for variable, server in (
        ("NATS_URL", nats),
        ("REDIS_URL", valkey),
        ("DATABASE_URL", postgres),
        ("S3_ENDPOINT_URL", seaweedfs),
    ):
        with Running(server(place), tmp_path) as running:
            configured = external.configured(variable, running.variables)
            running.ask(external.check(variable, configured))


@pytest.mark.processes
def test_a_wrong_password_is_distinguished_from_an_absent_server(
    place: Workspace, tmp_path: Path
) -> None:
    """The error of a wrong password has the reason of the refusal."""
    with Running(valkey(place), tmp_path) as running:
        wrong = {"REDIS_URL": running.variables["REDIS_URL"].replace("redis://:", "redis://:no")}
        with pytest.raises(StartError, match=r"REDIS_URL.*(invalid|WRONGPASS)"):
            running.ask(external.check("REDIS_URL", wrong))


def test_an_endpoint_without_keys_is_refused() -> None:
    """An S3 endpoint without both keys is refused with the missing one."""
    environment = {"S3_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "key"}
    with pytest.raises(StartError, match="without AWS_SECRET_ACCESS_KEY"):
        external.configured("S3_ENDPOINT_URL", environment)


def test_an_unset_variable_means_a_local_server() -> None:
    """An unset or empty variable selects a local server."""
    assert (
        external.configured("NATS_URL", {})
        == external.configured("NATS_URL", {"NATS_URL": ""})
        == {}
    )


def test_the_servers_of_another_instance_are_ignored() -> None:
    """Servers that `kandle env` exported are ignored; one that was set afterwards is used."""
    shell = {**UNREACHABLE, **KEYS, INSTANCE_SERVERS: "127.0.0.1:9 127.0.0.1:10"}
    assert [external.configured(variable, shell) for variable in UNREACHABLE] == [{}] * 4
    other = {"REDIS_URL": "redis://127.0.0.1:6379/0"}
    assert external.configured("REDIS_URL", {**shell, **other}) == other
