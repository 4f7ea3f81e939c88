from __future__ import annotations

from pathlib import Path

import pytest
import redis
import redis.exceptions

from local.servers.server import Workspace
from local.servers.valkey import valkey
from tests.local.servers.running import Running

pytestmark = pytest.mark.processes


def test_what_it_answered_survives_a_kill(place: Workspace, tmp_path: Path) -> None:
    """An answered write is there after kill -9 and the restart, at the same address."""
    with Running(valkey(place), tmp_path) as server:
        with redis.Redis.from_url(server.variables["REDIS_URL"]) as client:
            client.set("key", "value")
        server.kill_and_await_return()
        with redis.Redis.from_url(server.variables["REDIS_URL"]) as client:
            assert client.get("key") == b"value"


def test_it_refuses_who_has_no_password(place: Workspace, tmp_path: Path) -> None:
    """Without its password nobody gets in."""
    with (
        Running(valkey(place), tmp_path) as server,
        redis.Redis.from_url(server.keeper.component.url) as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.ping()


def test_it_evicts_nothing(place: Workspace, tmp_path: Path) -> None:
    """State is never evicted: a full memory refuses writes instead."""
    with (
        Running(valkey(place), tmp_path) as server,
        redis.Redis.from_url(server.variables["REDIS_URL"], decode_responses=True) as client,
    ):
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("appendfsync") == {"appendfsync": "always"}
