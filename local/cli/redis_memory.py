"""Memory of an instance's Redis beside its limit, with advice when it fills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEARLY_FULL: Final = 0.8


@dataclass(frozen=True, slots=True)
class RedisMemory:
    """Bytes; a limit of 0 is that of the machine."""

    used_bytes: int
    limit_bytes: int

    @property
    def is_nearly_full(self) -> bool:
        """Whether a fifth is left, or less."""
        return bool(self.limit_bytes) and self.used_bytes >= _NEARLY_FULL * self.limit_bytes

    def __str__(self) -> str:
        limit = f"of {self.limit_bytes / 1e6:,.0f} MB" if self.limit_bytes else "without a limit"
        text = f"redis {self.used_bytes / 1e6:,.0f} MB {limit}"
        if self.is_nearly_full:
            return f"{text}: full, it refuses writes and events wait; raise `maxmemory`"
        return text


def redis_memory(env: Mapping[str, str]) -> RedisMemory | None:
    """Ask the instance's Redis; None while it is away."""
    import redis

    from shared.errors import TransientError
    from shared.stores.redis import connect, translated

    if "REDIS_URL" not in env:
        return None
    client = connect(env["REDIS_URL"])
    try:
        with translated():
            found = client.info("memory")
        return RedisMemory(int(found["used_memory"]), int(found["maxmemory"]))
    except (TransientError, redis.RedisError):
        return None
    finally:
        client.close()
