"""Redis' memory beside its limit: as the server says it, and the advice when it fills."""

from __future__ import annotations

import redis

from local.cli.status import RedisMemory, redis_memory


def test_memory_is_what_the_server_says(servers: dict[str, str]) -> None:
    """Used bytes and its limit; a limit that is nearly reached says what to do."""
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


def test_a_redis_that_is_away_is_none() -> None:
    """Status goes on without it."""
    assert redis_memory({"REDIS_URL": "redis://127.0.0.1:1/0"}) is None
    assert redis_memory({}) is None
