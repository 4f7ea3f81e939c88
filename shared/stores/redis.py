"""Redis at the edge: connections with bounds, and errors that say whether to try again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import TransientError
from shared.runtime.memory import without

with without(["opentelemetry.sdk.metrics"]):  # 65 modules for metrics that nobody collects
    import redis
    from redis.backoff import NoBackoff
    from redis.exceptions import (
        AuthenticationError,
        AuthorizationError,
        LockError,
        NoPermissionError,
    )
    from redis.exceptions import NoScriptError as NoScriptError
    from redis.exceptions import RedisError as RedisError
    from redis.retry import Retry

TIMEOUT_S = 5.0


def connect(url: str, timeout_s: float = TIMEOUT_S) -> redis.Redis:
    """Return a client with a connection pool. It connects at its first command."""
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        health_check_interval=30,
        retry=Retry(NoBackoff(), 1),  # one fresh connection; further retries belong to the channel
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn temporary errors into TransientError."""
    try:
        yield
    except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise TransientError(f"Redis refuses (see REDIS_URL): {error}") from error
    except (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError) as error:
        raise TransientError(f"Redis is away: {error}") from error
    except LockError as error:
        raise TransientError(f"Redis: a lock ran out, or another holds it: {error}") from error
    except redis.OutOfMemoryError as error:
        raise TransientError(f"Redis is full: {error}") from error
    except redis.ResponseError as error:
        if not str(error).startswith(("MISCONF", "BUSY", "TRYAGAIN", "CLUSTERDOWN")):
            raise
        raise TransientError(f"Redis cannot write now: {error}") from error
