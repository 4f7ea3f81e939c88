"""Object storage for PyIceberg and Arrow: configuration, and translation of errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from pyiceberg.expressions import (
    And,
    BooleanExpression,
    EqualTo,
    GreaterThanOrEqual,
    LessThan,
    Reference,
)
from pyiceberg.expressions.literals import literal

from shared.errors import TransientError
from shared.stores.s3 import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, REGION, S3Access, hint


def file_io(access: S3Access) -> dict[str, str]:
    """Return PyIceberg's properties for an object store."""
    return {
        "s3.endpoint": access.endpoint,
        "s3.access-key-id": access.access_key,
        "s3.secret-access-key": access.secret_key,
        "s3.region": REGION,
        "s3.connect-timeout": str(CONNECT_TIMEOUT_S),
        "s3.request-timeout": str(READ_TIMEOUT_S),
    }


def between(low_us: int, high_us: int, **series: str) -> BooleanExpression:
    """Return the filter for rows of a series with times in [low_us, high_us)."""
    return And(
        GreaterThanOrEqual(term=Reference("time"), value=literal(low_us)),
        LessThan(term=Reference("time"), value=literal(high_us)),
        *(EqualTo(term=Reference(name), value=literal(each)) for name, each in series.items()),
    )


def use_little_memory(*, threads: int = 1) -> None:
    """Make Arrow return freed memory and run few threads; its default is one per processor."""
    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(threads)
    pa.set_io_thread_count(2)


@contextmanager
def translated() -> Iterator[None]:
    """Turn temporary errors into TransientError."""
    try:
        yield
    except FileNotFoundError as error:
        raise TransientError(f"an object of the lake is missing: {error}") from error
    except (OSError, pa.ArrowException) as error:
        raise TransientError(f"object storage is away: {error}{hint(error)}") from error
