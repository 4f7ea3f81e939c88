"""The passwords of a cluster: the two Secrets agree, and existing ones stay."""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from local.cluster.api_server import trusting
from local.manifests.secrets import SERVERS, STORES, create

pytestmark = pytest.mark.processes

SECRETS = "/api/v1/namespaces/kandle/secrets"


class ApiServer(BaseHTTPRequestHandler):
    """The API server's routes that create and return Secrets."""

    secrets: dict[str, dict[str, str]]

    def do_POST(self) -> None:
        """Create it, or answer 409."""
        manifest = json.loads(self.rfile.read(int(self.headers["content-length"])))
        name = manifest["metadata"]["name"]
        exists = name in self.secrets
        if not exists:
            self.secrets[name] = manifest["stringData"]
        self._answer(409 if exists else 201, {})

    def do_GET(self) -> None:
        """Return a Secret in base64, as the API server does."""
        values = self.secrets[self.path.removeprefix(f"{SECRETS}/")]
        data = {key: base64.b64encode(each.encode()).decode() for key, each in values.items()}
        self._answer(200, {"data": data})

    def _answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


@pytest.fixture
def api() -> Iterator[tuple[httpx.Client, dict[str, dict[str, str]]]]:
    """A client of the API server, and its Secrets."""
    ApiServer.secrets = {}
    with HTTPServer(("127.0.0.1", 0), ApiServer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}") as client:
            yield client, ApiServer.secrets
        server.shutdown()
        thread.join()


def agree(servers: dict[str, str], stores: dict[str, str]) -> bool:
    """Whether the functions' passwords are those of the stores."""
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
    """The Job of a later apply leaves both Secrets unchanged."""
    client, secrets = api
    assert create(client, "kandle", "127.0.0.1:8443") == [SERVERS, STORES]
    before = json.dumps(secrets)
    assert agree(secrets[SERVERS], secrets[STORES])
    assert create(client, "kandle", "127.0.0.1:8443") == []
    assert json.dumps(secrets) == before


def test_a_job_that_died_between_the_secrets_is_completed(
    api: tuple[httpx.Client, dict[str, dict[str, str]]],
) -> None:
    """The second Secret is made from the passwords of the first."""
    client, secrets = api
    create(client, "kandle", "127.0.0.1:8443")
    del secrets[STORES]
    assert create(client, "kandle", "127.0.0.1:8443") == [STORES]
    assert agree(secrets[SERVERS], secrets[STORES])


def test_printed_secrets_differ_each_time() -> None:
    """Printed Secrets have new passwords each time, as JSON for `kubectl apply -f -`."""
    command = [sys.executable, "-m", "local.manifests.secrets"]
    first, second = (
        json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["items"]
        for _ in range(2)
    )
    assert agree(*(each["stringData"] for each in first))
    assert first != second


CONFIGURATION = """
[req]
distinguished_name = name
prompt = no
[name]
CN = kubernetes
[authority]
basicConstraints = critical, CA:TRUE
[server]
subjectAltName = IP:127.0.0.1
"""
"""An authority without key usage, a server without authority key identifier: kubeadm's of old."""


def openssl(directory: Path, *arguments: str) -> None:
    """Run openssl in this directory."""
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def old_cluster(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An API server over TLS with such an authority; its URL and the authority's file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the certificates")
    (tmp_path / "cnf").write_text(CONFIGURATION)
    common = ("-config", "cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "other"):
        made = ("-keyout", f"{name}.key", "-out", f"{name}.crt", "-extensions", "authority")
        openssl(tmp_path, "req", "-x509", *common, *made)
    openssl(tmp_path, "req", "-new", *common, "-keyout", "server.key", "-out", "server.csr")
    signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-extfile", "cnf", "-extensions", "server")
    openssl(tmp_path, "x509", "-req", "-in", "server.csr", *signing, "-out", "server.crt")
    ApiServer.secrets = {}
    with HTTPServer(("127.0.0.1", 0), ApiServer) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}", tmp_path / "ca.crt"
        server.shutdown()
        thread.join()


def test_an_authority_without_modern_extensions_is_trusted(old_cluster: tuple[str, Path]) -> None:
    """The cluster's authority is trusted without the extensions that Python 3.13 asks for."""
    url, authority = old_cluster
    strict = ssl.create_default_context(cafile=str(authority))
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    with httpx.Client(base_url=url, verify=strict) as client, pytest.raises(httpx.ConnectError):
        create(client, "kandle", "127.0.0.1:8443")
    with httpx.Client(base_url=url, verify=trusting(authority)) as client:
        assert create(client, "kandle", "127.0.0.1:8443") == [SERVERS, STORES]


def test_another_authority_is_not_trusted(old_cluster: tuple[str, Path]) -> None:
    """Another authority, and a name that is not in the certificate, are refused."""
    url, authority = old_cluster
    for trusted, host in (("other.crt", "127.0.0.1"), ("ca.crt", "localhost")):
        context = trusting(authority.parent / trusted)
        with (
            httpx.Client(base_url=url.replace("127.0.0.1", host), verify=context) as client,
            pytest.raises(httpx.ConnectError, match="certificate verify failed"),
        ):
            create(client, "kandle", "127.0.0.1:8443")
