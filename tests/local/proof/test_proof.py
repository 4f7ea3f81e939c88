"""The proof of an installation runs against `kandle up`, and fails when a candle is not exact."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from local.proof.__main__ import delete_pods, differences, expected, generated
from tests.knative.manifests import ROOT, containers, of, template

pytestmark = pytest.mark.processes


def proof(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The finished command."""
    return subprocess.run(
        [sys.executable, "-m", "local.proof", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_running_pipeline_passes_with_one_line(pipeline: dict[str, str]) -> None:
    """The Job's proof, without the deletion of pods, passes with one line."""
    done = proof(
        *("--ingest", pipeline["INGEST_URL"], "--api", pipeline["API_URL"]),
        *("--trades", "1500", "--seconds", "0", "--patience", "120"),
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith("proof: ")
    assert " candles exact (1500 trades, 0 pods deleted, " in line


def test_recorded_trades_pass(pipeline: dict[str, str], tmp_path: Path) -> None:
    """Recorded trades pass under instrument names that nothing else has."""
    file = tmp_path / "trades.csv"
    at = 1_700_000_000_000
    file.write_text("".join(f"A,{10 + n % 7},1.5,{at + n * 900},buy,{n}\n" for n in range(400)))
    done = proof(
        *("--ingest", pipeline["INGEST_URL"], "--api", pipeline["API_URL"]),
        *("--file", str(file), "--seconds", "0", "--patience", "120"),
    )
    assert done.returncode == 0, done.stderr
    assert "proof: 7 candles exact (400 trades" in done.stdout


@contextmanager
def answering(post: int, candles: list[dict[str, Any]]) -> Iterator[str]:
    """An installation that accepts everything and returns these candles for every symbol."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._answer(post, {})

        def do_GET(self) -> None:
            self._answer(200, {"candles": candles, "next": None})

        def _answer(self, status: int, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_missing_candle_fails_the_proof() -> None:
    """A missing candle is exit code 1 with the expected candle."""
    with answering(202, []) as url:
        done = proof(
            *("--ingest", f"{url}/ingest", "--api", url, "--trades", "50"),
            *("--seconds", "0", "--patience", "0"),
        )
    assert done.returncode == 1
    assert done.stderr.startswith("proof FAILED: ")
    assert ": none, wanted " in done.stderr


def test_a_refused_batch_fails_the_proof() -> None:
    """A refused batch fails the proof with the receiver's response."""
    with answering(401, []) as url:
        done = proof("--ingest", f"{url}/ingest", "--api", url, "--trades", "50", "--seconds", "0")
    assert done.returncode == 1
    assert "answered 401" in done.stderr


def test_every_kind_of_difference_is_found() -> None:
    """A missing candle, a changed one and one without trades are each a difference."""
    ticks = generated(200, "P-", seed=5, end_ms=1_700_000_000_000)
    truth = expected(ticks)
    assert len(ticks) == 200
    assert differences(truth, dict(truth)) == []
    (first, *_), other = sorted(truth), ("P-X", 0)
    changed = {**truth, first: (*truth[first][:4], Decimal("0.1")), other: truth[first]}
    del changed[max(truth)]
    assert len(differences(truth, changed)) == 3


def test_pods_are_deleted_by_label_and_counted() -> None:
    """Pods are deleted by label without grace and counted; one that is gone is no error."""
    deleted: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        where = urlsplit(str(request.url))
        if request.method == "GET":
            assert parse_qs(where.query) == {"labelSelector": ["a/b=c"]}
            names = [{"metadata": {"name": name}} for name in ("p-1", "p-2")]
            return httpx.Response(200, json={"items": names})
        assert parse_qs(where.query) == {"gracePeriodSeconds": ["0"]}
        deleted.append(where.path)
        return httpx.Response(404 if where.path.endswith("2") else 200, json={})

    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="https://api")
    assert delete_pods(client, "kandle", "a/b=c") == 2
    assert deleted == ["/api/v1/namespaces/kandle/pods/p-1", "/api/v1/namespaces/kandle/pods/p-2"]


def test_the_jobs_labels_and_addresses_exist() -> None:
    """Each label of the Job is one of a pod of the dev overlay, each address one of a Service."""
    (job,) = of("knative/overlays/proof", "Job")
    (container,) = containers(job)
    labels = set()
    for each in of("knative/overlays/dev", "ksvc", "StatefulSet"):
        labels |= {f"{k}={v}" for k, v in template(each)["metadata"]["labels"].items()}
        labels.add(f"serving.knative.dev/service={each['metadata']['name']}")
    given = [arg.removeprefix("--delete=") for arg in container["args"] if "--delete=" in arg]
    assert given
    assert set(given) <= labels
    services = {each["metadata"]["name"] for each in of("knative/overlays/dev", "ksvc")}
    hosts = {arg.split("://")[1].split(".")[0] for arg in container["args"] if "://" in arg}
    assert hosts == {"udp-bridge", "history-query"} <= services


@pytest.mark.parametrize("verb", ["get", "list", "delete"])
def test_the_job_may_list_and_delete_pods(verb: str) -> None:
    """The Job's Role allows its verbs on pods and nothing else."""
    (role,) = of("knative/overlays/proof", "Role")
    (rule,) = role["rules"]
    assert rule["resources"] == ["pods"]
    assert verb in rule["verbs"]
