"""The passwords of a cluster: the two Secrets agree, and what is there stays."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from local.manifests.secrets import SERVERS, STORES, create

SECRETS = "/api/v1/namespaces/kandle/secrets"


class ApiServer(BaseHTTPRequestHandler):
    """The part of the API server that makes Secrets and tells of them."""

    kept: dict[str, dict[str, str]]

    def do_POST(self) -> None:
        """Create, or answer 409."""
        manifest = json.loads(self.rfile.read(int(self.headers["content-length"])))
        name = manifest["metadata"]["name"]
        known = name in self.kept
        if not known:
            self.kept[name] = manifest["stringData"]
        self._answer(409 if known else 201, {})

    def do_GET(self) -> None:
        """Tell what a Secret holds, in base64 as the API server does."""
        values = self.kept[self.path.removeprefix(f"{SECRETS}/")]
        data = {key: base64.b64encode(each.encode()).decode() for key, each in values.items()}
        self._answer(200, {"data": data})

    def _answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[tuple[httpx.Client, dict[str, dict[str, str]]]]:
    """A client of it, and what it keeps."""
    ApiServer.kept = {}
    with HTTPServer(("127.0.0.1", 0), ApiServer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}") as client:
            yield client, ApiServer.kept
        server.shutdown()
        thread.join()


def agree(servers: dict[str, str], stores: dict[str, str]) -> bool:
    """Whether the functions get the passwords that the stores have."""
    return (
        servers["POSTGRES_PASSWORD"] in stores["DATABASE_URL"]
        and servers["VALKEY_PASSWORD"] in stores["REDIS_URL"]
        and servers["NATS_PASSWORD"] in stores["NATS_URL"]
        and servers["NATS_BROWSER_PASSWORD"] in stores["NATS_BROWSER_URL"]
        and servers["MINIO_KANDLE_PASSWORD"] == stores["AWS_SECRET_ACCESS_KEY"]
    )


def test_a_second_run_changes_nothing(
    api: tuple[httpx.Client, dict[str, dict[str, str]]],
) -> None:
    """The Job of a later apply finds both Secrets and leaves them."""
    client, kept = api
    assert create(client, "kandle", "127.0.0.1:8443") == [SERVERS, STORES]
    before = json.dumps(kept)
    assert agree(kept[SERVERS], kept[STORES])
    assert create(client, "kandle", "127.0.0.1:8443") == []
    assert json.dumps(kept) == before


def test_a_job_that_died_between_the_two_goes_on(
    api: tuple[httpx.Client, dict[str, dict[str, str]]],
) -> None:
    """The second Secret is made of the first one's passwords, not of new ones."""
    client, kept = api
    create(client, "kandle", "127.0.0.1:8443")
    del kept[STORES]
    assert create(client, "kandle", "127.0.0.1:8443") == [STORES]
    assert agree(kept[SERVERS], kept[STORES])


def test_the_printed_ones_are_different_each_time() -> None:
    """For `kubectl apply -f -`, which takes JSON as well."""
    command = [sys.executable, "-m", "local.manifests.secrets"]
    first, second = (
        json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["items"]
        for _ in range(2)
    )
    assert agree(*(each["stringData"] for each in first))
    assert first != second
