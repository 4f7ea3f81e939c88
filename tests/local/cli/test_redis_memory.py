"""Redis' memory and its limit, and the advice when it fills."""

from __future__ import annotations

import redis

from local.cli.commands.status import RedisMemory, redis_memory


def test_memory_is_read_from_the_server(servers: dict[str, str]) -> None:
    """Used memory and limit are the server's, and a nearly full one has advice."""
    client = redis.Redis.from_url(servers["REDIS_URL"])
    client.config_set("maxmemory", 64_000_000)
    try:
        found = redis_memory(servers)
        assert found is not None
        assert 0 < found.used_bytes < 64_000_000 == found.limit_bytes
        assert "of 64 MB" in str(found)
        assert "maxmemory" in str(RedisMemory(60_000_000, 64_000_000))
    finally:
        client.config_set("maxmemory", 0)
        client.close()
    found = redis_memory(servers)
    assert found is not None
    assert "without a limit" in str(found)


def test_status_works_without_redis() -> None:
    """An unreachable Redis has no memory to show, and status goes on."""
    assert redis_memory({"REDIS_URL": "redis://127.0.0.1:1/0"}) is None
    assert redis_memory({}) is None
