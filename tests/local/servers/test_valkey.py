from __future__ import annotations

from pathlib import Path

import pytest
import redis
import redis.exceptions

from local.servers.server import Workspace
from local.servers.valkey import valkey
from tests.local.servers.running import Running

pytestmark = pytest.mark.processes


def test_acknowledged_writes_survive_a_kill(place: Workspace, tmp_path: Path) -> None:
    """An acknowledged write is there after kill -9 and the restart, at the same address."""
    with Running(valkey(place), tmp_path) as server:
        with redis.Redis.from_url(server.variables["REDIS_URL"]) as client:
            client.set("key", "value")
        server.kill_and_await_return()
        with redis.Redis.from_url(server.variables["REDIS_URL"]) as client:
            assert client.get("key") == b"value"


def test_a_client_without_password_is_refused(place: Workspace, tmp_path: Path) -> None:
    """A client without the password is refused."""
    with (
        Running(valkey(place), tmp_path) as server,
        redis.Redis.from_url(server.keeper.component.url) as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.ping()


def test_nothing_is_evicted(place: Workspace, tmp_path: Path) -> None:
    """A full memory refuses writes and evicts no key."""
    with (
        Running(valkey(place), tmp_path) as server,
        redis.Redis.from_url(server.variables["REDIS_URL"], decode_responses=True) as client,
    ):
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
