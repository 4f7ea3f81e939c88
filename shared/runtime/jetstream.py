"""JetStream: errors of NATS as TransientError, and streams made or updated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import BadRequestError

from shared.errors import TransientError

_NAME_IN_USE: Final = 10058


@contextmanager
def translated(problem: str = "NATS is away") -> Iterator[None]:
    """Turn errors of NATS into TransientError."""
    try:
        yield
    except (nats.errors.Error, OSError) as error:
        raise TransientError(f"{problem}: {error!r}") from error


async def ensure_stream(jetstream: JetStreamContext, config: StreamConfig) -> None:
    """Create the stream, or give the present one this configuration."""
    try:
        await jetstream.add_stream(config)
    except BadRequestError as error:
        if error.err_code != _NAME_IN_USE:
            raise
        await jetstream.update_stream(config)
