"""JetStream: connections, errors of NATS as TransientError, and streams made or updated."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from nats.js.errors import BadRequestError

from shared.errors import TransientError

log = logging.getLogger(__name__)

PING_S: Final = 10
"""A server that answered neither of the last two pings is away; the library's two minutes would
leave a half-open connection silent for six."""
_NAME_IN_USE: Final = 10058


def credentials(url: str) -> dict[str, Any]:
    """Return nats-py's options for the user in `url`: it would send escapes as they are."""
    parts = urlsplit(url)
    if parts.password is None:
        return {} if parts.username is None else {"token": unquote(parts.username)}
    return {"user": unquote(parts.username or ""), "password": unquote(parts.password)}


async def connect(url: str) -> Client:
    """Return a client that reconnects forever, also while it connects first.

    Raises TransientError: the server refuses it, as with a wrong password.
    """
    client, is_first = Client(), True

    async def note(error: Exception) -> None:
        if is_first and str(error).startswith("nats: '"):  # quoted: what the server says
            raise TransientError(f"NATS refuses (see NATS_URL): {error}") from error
        log.warning("NATS: %r", error)

    try:
        await client.connect(
            url,
            **credentials(url),
            connect_timeout=5,
            ping_interval=PING_S,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,  # type: ignore[arg-type]  # a float does
            error_cb=note,
        )
    except BaseException:
        await client.close()
        raise
    is_first = False
    return client


@contextmanager
def translated(problem: str = "NATS is away") -> Iterator[None]:
    """Turn errors of NATS into TransientError."""
    try:
        yield
    except (nats.errors.Error, OSError) as error:
        raise TransientError(f"{problem}: {error!r}") from error


async def ensure_stream(jetstream: JetStreamContext, config: StreamConfig) -> None:
    """Create the stream, or give the present one this configuration, with no fewer replicas."""
    try:
        await jetstream.add_stream(config)
    except BadRequestError as error:
        if error.err_code != _NAME_IN_USE:
            raise
        present = (await jetstream.stream_info(str(config.name))).config
        replicas = max(config.num_replicas or 1, present.num_replicas or 1)
        await jetstream.update_stream(config, num_replicas=replicas)
