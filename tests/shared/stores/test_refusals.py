"""Stores that refuse a password: the error says so, and names the setting."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from pyiceberg.io.pyarrow import PyArrowFileIO

from functions.dead_letter.handler import DeadLetterHandler
from functions.live_feed.hub import Hub
from functions.live_feed.stream import Limits, LiveStream
from local.broker.jetstream import JetStream
from shared.errors import TransientError
from shared.lake.access import file_io
from shared.lake.access import translated as of_lake
from shared.stores.postgres import CONNECT_TIMEOUT_S, Postgres
from shared.stores.redis import connect
from shared.stores.redis import translated as of_redis
from shared.stores.s3 import ObjectStore, S3Access


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    host = f"{parts.username or ''}:{password}@{parts.hostname}:{parts.port}"
    return parts._replace(netloc=host).geturl()


def test_postgres(servers: dict[str, str]) -> None:
    """Postgres' refusal is in the error, from the second check on in time for a probe."""
    postgres = Postgres(with_password(servers["DATABASE_URL"], "wrong"))
    refusal = r'password authentication failed for user "kandle" \(see DATABASE_URL\)'
    with pytest.raises(TransientError, match=refusal):
        postgres.check()
    with pytest.raises(TransientError, match=f"after 1.00 sec: .*{refusal}"):
        postgres.check()
    postgres.close()


def test_postgres_without_the_database(servers: dict[str, str]) -> None:
    """A database that does not exist is a refusal."""
    url = urlsplit(servers["DATABASE_URL"])._replace(path="/nowhere").geturl()
    postgres = Postgres(url)
    with pytest.raises(TransientError, match=r'"nowhere" does not exist \(see DATABASE_URL\)'):
        postgres.check()
    postgres.close()


def test_postgres_that_is_busy(database: str) -> None:
    """A server without a free connection is no refusal: it is waited for, with no hint."""
    url = urlsplit(database)
    role = f"busy_{url.path[1:]}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT 0 PASSWORD 'x'").format(
                sql.Identifier(role)
            )
        )
        postgres = Postgres(url._replace(netloc=f"{role}:x@{url.hostname}:{url.port}").geturl())
        with pytest.raises(TransientError, match=f'too many connections for role "{role}"$'):
            postgres.check()
        assert postgres._patience_s() == CONNECT_TIMEOUT_S
        postgres.close()
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_postgres_that_is_away() -> None:
    """Without a server the error says why there is no connection."""
    postgres = Postgres("postgresql://kandle:x@127.0.0.1:1/kandle")
    with pytest.raises(TransientError, match="Connection refused"):
        postgres.check()
    postgres.close()


@pytest.mark.parametrize("password", ["wrong", ""])
def test_redis(servers: dict[str, str], password: str) -> None:
    """A wrong password of Redis, and none, are refusals."""
    client = connect(with_password(servers["REDIS_URL"], password))
    with pytest.raises(TransientError, match=r"^Redis refuses \(see REDIS_URL\): "), of_redis():
        client.ping()


def test_object_storage(servers: dict[str, str]) -> None:
    """Object storage that refuses the keys is a refusal, to the lake as well."""
    access = S3Access(servers["S3_ENDPOINT_URL"], servers["AWS_ACCESS_KEY_ID"], "wrong")
    setting = r"\(see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY\)$"
    with pytest.raises(TransientError, match=setting):
        list(ObjectStore(access).listing("lake"))
    with pytest.raises(TransientError, match=setting), of_lake():
        PyArrowFileIO(file_io(access)).new_input("s3://lake/a").open()


def test_nats(servers: dict[str, str]) -> None:
    """NATS' refusal is in the readiness of live-feed and dead-letter."""
    url = with_password(servers["NATS_URL"], "wrong")

    async def test() -> None:
        refusal = r"NATS refuses \(see NATS_URL\): nats: 'Authorization Violation'"
        with pytest.raises(TransientError, match=refusal):
            await DeadLetterHandler(url).check()
        hub = Hub(LiveStream(url, Limits()), 10)
        with pytest.raises(TransientError, match=refusal):
            await hub.ready()
        await hub.close()

    asyncio.run(test())


def test_nats_of_the_broker(servers: dict[str, str]) -> None:
    """The laptop's broker remembers why NATS refuses it, and goes on trying."""

    async def nothing() -> None:
        pass

    async def test() -> None:
        jetstream = JetStream(with_password(servers["NATS_URL"], "wrong"), nothing, nothing)
        connecting = asyncio.create_task(jetstream.connect())
        async with asyncio.timeout(60):
            # NATS may reset the connection before its reason was read; a later attempt reads it
            while "Authorization Violation" not in jetstream.failure:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not connecting.done()
        connecting.cancel()
        await jetstream.close()

    asyncio.run(test())
