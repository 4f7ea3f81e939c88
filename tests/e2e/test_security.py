"""Hostile clients of the public entries, all in one process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from websockets import Subprotocol
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from local.servers.ports import free_port
from local.supervisor.component import tethered
from tests.e2e.client import web
from tests.local.broker.processes import eventually
from tests.local.broker.subscriber import Subscriber
from tests.platform import kandle

ROOT = Path(__file__).parents[2]
TOKENS = tuple(f"hostile-test-{name}-5f2b8c91" for name in ("reader", "greedy", "retired"))
BEARER = {"authorization": f"Bearer {TOKENS[0]}"}
PAGE, EVIL = "https://charts.example.com", "https://evil.example"
EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "x", "ce-source": "/evil"}
HTTP = "shared.adapter.bounded_http:BoundedHttp"
STORES = ("DATABASE", "REDIS", "NATS")
RATE, BURST, CLIENTS = 5, 60, 3


@dataclass(frozen=True)
class Entries:
    """A live server: history-query's API, POST /ingest, live-feed's page, /sse and /ws."""

    client: httpx.Client
    log: Path
    sink: Subscriber
    secrets: tuple[str, ...]

    def upgraded(self, headers: dict[str, str], *protocols: str) -> ClientConnection:
        """Open the WebSocket."""
        return connect(
            f"ws://{self.client.base_url.netloc.decode()}/ws",
            additional_headers=headers,
            subprotocols=[Subprotocol(each) for each in protocols] or None,
            proxy=None,
        )

    def upgrade(self, headers: dict[str, str], *protocols: str) -> str | None:
        """Open the WebSocket and close it; return the chosen subprotocol."""
        with self.upgraded(headers, *protocols) as opened:
            return opened.subprotocol


def hostile_environment(servers: dict[str, str], sink: Subscriber) -> dict[str, str]:
    """The pipeline as one process over its own stores, with tokens and low limits."""
    return {
        **os.environ,
        **servers,
        "DATABASE_URL": servers["DATABASE_URL"].rsplit("/", 1)[0] + "/hostile",
        "REDIS_URL": servers["REDIS_URL"].rsplit("/", 1)[0] + "/3",
        "K_SINK": f"{sink.url}/events",
        "FUNCTION_TARGET": "pipeline",
        "FUNCTION_SOURCE": "functions/pipeline/main.py",
        "FUNCTION_SIGNATURE_TYPE": "http",
        "API_TOKENS": ",".join(TOKENS[:2]),
        "CORS_ORIGINS": PAGE,
        "RATE_LIMIT": str(RATE),
        "RATE_BURST": str(BURST),
        "LIVE_MAX_CLIENTS": str(CLIENTS),
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
    }


@pytest.fixture(scope="module")
def entries(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entries]:
    with psycopg.connect(servers["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE DATABASE hostile")
    log, port, sink = tmp_path_factory.mktemp("hostile") / "log", free_port(), Subscriber()
    with log.open("w") as stream:
        process = subprocess.Popen(
            tethered(
                [
                    *(sys.executable, "-m", "uvicorn", "functions.live_feed.asgi:app"),
                    *("--host", "127.0.0.1", "--port", str(port), "--http", HTTP),
                ]
            ),
            env=hostile_environment(servers, sink),
            cwd=ROOT,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    passwords = [urlsplit(servers[f"{name}_URL"]).password or "" for name in STORES]
    secrets = (*TOKENS, *passwords, servers["AWS_SECRET_ACCESS_KEY"])
    assert all(len(each) > 12 for each in secrets)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

            def ready() -> bool:
                assert process.poll() is None, log.read_text()
                try:
                    return client.get("/health/readiness").status_code == 200
                except httpx.TransportError:
                    return False

            eventually(ready, 180)
            yield Entries(client, log, sink, secrets)
    finally:
        process.terminate()
        process.wait(20)
        sink.close()


WITHOUT_TOKEN = [
    {},
    {"authorization": f"Bearer {TOKENS[2]}"},
    {"authorization": f"Bearer {TOKENS[0][:-1]}"},
    {"authorization": f"Bearer {','.join(TOKENS[:2])}"},
    {"authorization": f"Basic {TOKENS[0]}"},
    {"cookie": f"token={TOKENS[0]}", "x-api-key": TOKENS[0]},
]


@pytest.mark.parametrize("headers", WITHOUT_TOKEN)
def test_without_a_token_no_entry_answers(entries: Entries, headers: dict[str, str]) -> None:
    """No entry answers without a valid token.

    None, a retired, a shortened one, all at once, another scheme, another place.
    """
    client = entries.client
    answers = [
        client.get("/api/symbols", headers=headers),
        client.get("/sse?channels=ticks:A", headers=headers),
        client.get("/config.json", headers=headers),
        client.post("/ingest", content=b"EVIL,1", headers=headers),
    ]
    assert [each.status_code for each in answers] == [401] * 4
    assert {each.headers["www-authenticate"] for each in answers} == {"Bearer"}
    with pytest.raises(InvalidStatus, match="403"):
        entries.upgrade(headers, "kandle.v1.json", f"bearer.{TOKENS[2]}")
    assert not entries.sink.received


@pytest.mark.parametrize(
    "path", ["//api/symbols", "/./api/symbols", "/health/../api/symbols", "/assets/../config.json"]
)
def test_an_odd_path_is_no_way_round_the_token(entries: Entries, path: str) -> None:
    """An odd path does not bypass the token: open paths are compared literally."""
    target = entries.client.build_request("GET", "/")
    target.url = target.url.copy_with(raw_path=path.encode())
    answer = entries.client.send(target)
    assert answer.status_code in (401, 404), answer.text
    assert "NATS" not in answer.text.upper()


def test_with_the_token_each_entry_answers(entries: Entries) -> None:
    """Each entry answers with the token, the WebSocket with its subprotocol, not echoed."""
    client = entries.client
    assert client.get("/api/symbols", headers=BEARER).json() == []
    assert client.get("/config.json", headers=BEARER).status_code == 200
    with client.stream("GET", "/sse?channels=ticks:A", headers=BEARER) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
    assert client.post("/ingest", content=b"A,1", headers=BEARER).status_code == 202
    protocols = ("kandle.v1.json", f"bearer.{TOKENS[0]}")
    assert entries.upgrade({}, *protocols) == "kandle.v1.json"
    assert entries.upgrade({"origin": PAGE}, *protocols) == "kandle.v1.json"
    with pytest.raises(InvalidStatus, match="403"):
        entries.upgrade({"origin": EVIL}, *protocols)


@pytest.mark.parametrize("path", ["/api/symbols", "/ingest", "/sse"])
def test_only_a_named_page_passes_the_preflight(entries: Entries, path: str) -> None:
    """Only an allowed origin passes the preflight and gets CORS headers, never credentials."""
    asked = {"access-control-request-method": "POST" if path == "/ingest" else "GET"}
    for origin, status in ((PAGE, 204), (EVIL, 403), ("null", 403)):
        answer = entries.client.options(path, headers={**asked, "origin": origin})
        assert answer.status_code == status
        allowed = answer.headers.get("access-control-allow-origin")
        assert allowed == (origin if status == 204 else None)
        assert "access-control-allow-credentials" not in answer.headers


def endless(size: int) -> Iterable[bytes]:
    """A body without content-length."""
    line = b"EVIL,1,1\n" * 1000
    return (line for _ in range(size // len(line) + 1))


INSIDE = {"host": "kandle.kandle.svc.cluster.local"}


def test_no_body_is_read_past_its_limit(entries: Entries) -> None:
    """No body is read past its limit, with content-length or without."""
    client, big = entries.client, 4 * 1024 * 1024
    before = len(entries.sink.received)
    for body in (bytes(big), endless(big)):
        assert client.post("/ingest", content=body, headers=BEARER).status_code == 413
    for path in ("/", "/persist"):
        for body in (bytes(big), endless(big)):
            assert client.post(path, content=body, headers=EVENT | INSIDE).status_code == 413
    assert len(entries.sink.received) == before


def test_watchers_are_bounded_over_both_protocols(entries: Entries) -> None:
    """Watchers are bounded over both protocols, and a closed one frees its place."""
    url = f"{entries.client.base_url}/sse?channels=ticks:A"
    with contextlib.ExitStack() as watching:
        for _ in range(CLIENTS):
            watching.enter_context(httpx.stream("GET", url, headers=BEARER)).raise_for_status()
        refused = entries.client.get(url, headers=BEARER)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        with entries.upgraded(BEARER) as late, pytest.raises(ConnectionClosedError, match="1013"):
            late.recv(timeout=10)
    eventually(lambda: "subscribed" in first_event(url), 20)


def first_event(url: str) -> str:
    with httpx.stream("GET", url, headers=BEARER) as answer:
        return next(answer.iter_text(), "")


def test_too_much_is_refused_until_later(entries: Entries) -> None:
    """A client over its rate gets 429 with Retry-After, and another token is another client."""
    headers = {"authorization": f"Bearer {TOKENS[1]}"}
    answers = [entries.client.get("/api/latest", headers=headers) for _ in range(BURST + 10 * RATE)]
    refused = [each for each in answers if each.status_code == 429]
    assert {each.status_code for each in answers} == {200, 429}
    assert all(1 <= int(each.headers["retry-after"]) <= 60 for each in refused)
    assert entries.client.get("/api/latest", headers=BEARER).status_code == 200


def test_no_secret_is_said(entries: Entries) -> None:
    """No log at DEBUG and no metric has a secret after all these requests."""
    said = entries.log.read_text() + entries.client.get("/metrics").text
    assert "POST /ingest" in said  # the requests were logged
    for secret in entries.secrets:
        assert secret not in said


def test_the_platform_tells_no_password(pipeline: dict[str, str]) -> None:
    """Status, metrics page and logs have no password, and files are the owner's."""
    data_dir = Path(pipeline["DATA_DIR"])
    directory = ("--data-dir", str(data_dir))
    said = [kandle("status", *more, *directory, check=False).stdout for more in ((), ("--json",))]
    said += [web.get(f"{pipeline['OBSERVE_URL']}/{path}").text for path in ("samples", "metrics")]
    said += [log.read_text(errors="replace") for log in (data_dir / "logs").iterdir()]
    passwords = [pipeline["AWS_SECRET_ACCESS_KEY"]]
    passwords += [urlsplit(pipeline[f"{name}_URL"]).password or "" for name in STORES]
    assert all(len(each) > 12 for each in passwords)
    assert all("normalize" in each for each in said[:3])
    assert not [each for each in passwords for text in said if each in text]
    for kept in ("credentials.json", "run/instance.json", "nats/nats.conf", "valkey/valkey.conf"):
        assert (data_dir / kept).stat().st_mode & 0o077 == 0, kept
