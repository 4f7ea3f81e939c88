"""Real servers for tests, started once, and how tests are distributed over workers."""

from __future__ import annotations

import atexit
import gc
import re
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx
import httpx._transports.default as httpx_transports
import psycopg
import pytest
import redis
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from local.servers.nats import nats
from local.servers.postgres import postgres as postgres_server
from local.servers.seaweedfs import seaweedfs
from local.servers.server import Workspace
from local.servers.valkey import valkey as valkey_server
from shared.stores.postgres import Postgres
from tests.collector import Collector
from tests.databases import Databases
from tests.local.broker.subscriber import Subscriber
from tests.local.servers.running import Running
from tests.messenger import Messenger
from tests.platform import running

ROOT = Path(__file__).parents[1]

# an example's time depends on the machine
settings.register_profile("kandle", deadline=None)
settings.load_profile("kandle")

# each `httpx.get` would read all certificates, for 25 ms of CPU
vars(httpx_transports)["create_ssl_context"] = cache(httpx.create_ssl_context)

_GROUPS: Final = ("pipeline", "page")
_SERVERS = frozenset({"servers", "pipeline", "nats_server"})
_PIPELINE = ExitStack()
_ENVIRONMENT: dict[str, str] = {}
"""What `kandle env` says of the pipeline while it runs."""


class Schedule(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Distributes test files over workers; those that share a pipeline go to one worker.

    A pipeline costs 9 s of CPU to start. Tests of the page and of feeds have their own: with one
    pipeline its worker would end minutes after the others.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid.partition("::")[0])


@cache
def _scope(file: str) -> str:
    text = (ROOT / file).read_text()
    if re.search(r"\bpage: Page\b", text):
        return "page"
    if re.search(r"\bpipeline: dict\b", text):
        return "page" if "tests.exchanges" in text else "pipeline"
    return file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Schedule:
    """Say how xdist distributes the tests."""
    return Schedule(config, log)


gc.disable()  # until all is collected: a third of the time of that, and nothing is freed


def pytest_collection_finish() -> None:
    """Leave what was collected, a million objects, out of every later collection of garbage."""
    gc.freeze()
    atexit.register(gc.unfreeze)  # the interpreter frees it: extension modules report leaks
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use servers as `processes`, and sort.

    Tests of the pipeline are adjacent, since it stops after the last of them. Tests that rebuild
    the live state of every instrument come before those that add instruments.
    """
    order = [*_GROUPS, ""]
    items.sort(
        key=lambda item: (order.index(_group(item)), item.get_closest_marker("early") is None)
    )
    for item in items:
        if "e2e" in item.path.parts or _SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.processes)


def _group(item: pytest.Item | None) -> str:
    scope = _scope(item.nodeid.partition("::")[0]) if item is not None else ""
    return scope if scope in _GROUPS else ""


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the pipeline after its group's last test: idle it uses an eighth of a core."""
    if _group(nextitem) != _group(item):
        _PIPELINE.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test that starts a process must have the mark, so that `make test-fast` skips it.

    So must one whose fixture of any scope starts it.
    """
    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("processes") is None:
            patch.setattr("subprocess.Popen.__init__", _refuse)
        return (yield)


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("a test that starts a process is marked with pytest.mark.processes")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The URLs of real stores, as `kandle up` runs them, without anything of Kandle."""
    directory = tmp_path_factory.mktemp("servers")
    workspace = Workspace.at(directory / "data")
    environment: dict[str, str] = {}
    with ExitStack() as stack:
        for each in (nats, valkey_server, postgres_server, seaweedfs):
            server = Running(each(workspace), workspace.directory(each.__name__))
            environment |= stack.enter_context(server).variables
        with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
            # test databases need neither vacuum nor durability
            for setting in ("autovacuum", "fsync", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            connection.execute("SELECT pg_reload_conf()")
        with redis.Redis.from_url(environment["REDIS_URL"]) as client:
            client.config_set("appendfsync", "no")
        yield environment


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """The collector of the pipeline's spans."""
    started = Collector()
    yield started
    started.close()


@pytest.fixture(scope="session")
def messenger() -> Iterator[Messenger]:
    """The messenger of the pipeline's alerts."""
    started = Messenger()
    yield started
    started.close()


@pytest.fixture(scope="session")
def _platforms(collector: Collector, messenger: Messenger) -> Iterator[ExitStack]:
    """Stops the pipeline before the collectors of its traces and alerts."""
    with _PIPELINE:
        yield _PIPELINE


@pytest.fixture(scope="module")
def pipeline(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    collector: Collector,
    messenger: Messenger,
    _platforms: ExitStack,
) -> dict[str, str]:
    """The whole of Kandle: one `kandle up` for many files.

    That of the page and of feeds has no traces, which would cost CPU. Tests send trades of some
    hundred days; each day would be work for the lake, which has its own tests.
    """
    if not _ENVIRONMENT:
        arguments, variables = [], {"ALERT_URLS": messenger.url(), "SNAPSHOT_S": "3600"}
        if _scope(request.node.nodeid) == "pipeline":
            arguments.append("--observe")
            variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
        directory = tmp_path_factory.mktemp("pipeline")
        platform = running(directory / "data", *arguments, settings=variables)
        _ENVIRONMENT.update(_platforms.enter_context(platform))
        _platforms.callback(_ENVIRONMENT.clear)
    return _ENVIRONMENT


@pytest.fixture(scope="session")
def databases(servers: dict[str, str]) -> Databases:
    """Databases of the server."""
    return Databases(servers["DATABASE_URL"])


@pytest.fixture
def empty_database(databases: Databases) -> str:
    """The URL of a database of its own, without a schema."""
    return databases.create()


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """The URL of a database of its own, with the schema, a lake's name and no rows."""
    url = databases.take()
    yield url
    databases.release(url)


@pytest.fixture
def postgres(database: str) -> Iterator[Postgres]:
    """A pool of connections to a database of its own."""
    opened = Postgres(database, size=8)
    yield opened
    opened.close()


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    """An HTTP server that records events and gives scripted answers."""
    started = Subscriber()
    yield started
    started.close()


@pytest.fixture
def valkey(servers: dict[str, str]) -> Iterator[redis.Redis]:
    """An empty Redis database."""
    client = redis.Redis.from_url(servers["REDIS_URL"].rsplit("/", 1)[0] + "/1")
    client.flushdb()
    yield client
    client.close()


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """The recorded trades; tests that need them are skipped without."""
    import os

    places = [os.environ.get("KANDLE_DATA"), Path(__file__).parents[2] / "shared" / "data"]
    for place in places:
        if place and Path(place).is_dir():
            return Path(place)
    pytest.skip("no recorded data: neither KANDLE_DATA nor ../shared/data is there")
