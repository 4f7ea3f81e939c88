"""External servers, named by the environment: not started, only checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import httpx
import nats.errors
from nats.aio.client import Client

from local.errors import StartError
from local.instance import INSTANCE_SERVERS, host_port
from local.servers.s3 import S3
from shared.runtime.jetstream import credentials

_TIMEOUT_S = 3
BROWSER = "NATS_BROWSER_URL"
"""Address for browsers over WebSocket; an external NATS server may have none."""
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class _RefusedError(Exception):
    """An error of Redis or Postgres, whose clients are loaded only for this check."""


def configured(variable: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Read the environment of the server behind `variable`; empty: start a local one.

    Raises StartError: an S3 endpoint without its keys.
    """
    url = environment.get(variable, "")
    if not url or is_of_an_instance(variable, environment):
        return {}
    if variable == "NATS_URL":
        return {variable: url, BROWSER: environment.get(BROWSER, "")}
    if variable != "S3_ENDPOINT_URL":
        return {variable: url}
    keys = {name: environment[name] for name in _KEYS if environment.get(name)}
    if len(keys) < len(_KEYS):
        raise StartError(
            f"S3_ENDPOINT_URL is set without {' and '.join(set(_KEYS) - keys.keys())}: "
            "set both keys, or unset it to run a local S3 server"
        )
    return {variable: url, **keys}


def is_of_an_instance(variable: str, environment: Mapping[str, str]) -> bool:
    """Whether `variable` names a server that an instance started for itself.

    A shell that evaluated `kandle env` has these variables. Another instance must not use those
    servers.
    """
    servers = environment.get(INSTANCE_SERVERS, "").split()
    return host_port(environment.get(variable, "")) in servers


async def check(variable: str, variables: Mapping[str, str]) -> None:
    """Check that the server behind `variable` accepts the given credentials.

    Missing buckets on an S3 server are created.

    Raises StartError: it does not; the message names the variable and the host, no password.
    """
    try:
        await _CHECKS[variable](variables)
    except (OSError, ValueError, httpx.HTTPError, nats.errors.Error, _RefusedError) as error:
        reason = str(error).strip().rstrip(".").splitlines()
        raise StartError(
            f"{variable} is set, but the server at {address(variables[variable])} does not serve: "
            f"{reason[0] if reason else type(error).__name__}. "
            f"Correct {variable}, or unset it to run a local server"
        ) from None


def address(url: str) -> str:
    """Scheme, host and port of a URL: the parts that may be shown."""
    return f"{urlsplit(url).scheme}://{host_port(url)}"


async def _check_nats(variables: Mapping[str, str]) -> None:
    refusals: list[Exception] = []

    async def remember(error: Exception) -> None:
        refusals.append(error)

    client = Client()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await client.connect(
                variables["NATS_URL"],
                **credentials(variables["NATS_URL"]),
                allow_reconnect=False,
                connect_timeout=_TIMEOUT_S,
                error_cb=remember,
            )
            await client.jetstream().account_info()
    except TimeoutError:  # it retries far too long, whatever its options
        raise refusals[-1] if refusals else TimeoutError("no answer") from None
    finally:
        await client.close()


async def _check_redis(variables: Mapping[str, str]) -> None:
    import redis.asyncio
    import redis.exceptions

    client = redis.asyncio.from_url(
        variables["REDIS_URL"], socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
    )
    try:
        await client.ping()
    except redis.exceptions.RedisError as error:
        raise _RefusedError(str(error)) from error
    finally:
        await client.aclose()


async def _check_postgres(variables: Mapping[str, str]) -> None:
    import psycopg

    try:
        connection = await psycopg.AsyncConnection.connect(
            variables["DATABASE_URL"], connect_timeout=_TIMEOUT_S
        )
    except psycopg.Error as error:
        raise _RefusedError(str(error)) from error
    await connection.close()


async def _check_s3(variables: Mapping[str, str]) -> None:
    key, secret = (variables[name] for name in _KEYS)
    await S3(variables["S3_ENDPOINT_URL"], key, secret).make_missing()


_CHECKS: Mapping[str, Callable[[Mapping[str, str]], Awaitable[None]]] = {
    "NATS_URL": _check_nats,
    "REDIS_URL": _check_redis,
    "DATABASE_URL": _check_postgres,
    "S3_ENDPOINT_URL": _check_s3,
}
