"""The folder for func's host builder: its scaffolded entry, started as func starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import jsonschema
import pytest
import yaml

from local.manifests.host import write
from local.servers.ports import free_port
from local.supervisor.component import tethered
from tests.e2e.client import eventually
from tests.knative.manifests import CRDS, ROOT

SCAFFOLD = """
from func_python.http import serve
from function import new as handler
if __name__ == "__main__":
    serve(handler)
"""
"""What func writes as service/main.py around a function, but for its logging and its ulimit."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `python -m local.manifests.host` writes."""
    folder = tmp_path_factory.mktemp("host") / "function"
    write(ROOT, folder)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The scaffolded server, with func.yaml's environment and unreachable stores."""
    port = free_port()
    service = tmp_path_factory.mktemp("service") / "main.py"
    service.write_text(SCAFFOLD)
    manifest = yaml.safe_load((folder / "func.yaml").read_text())
    environment = {
        each["name"]: re.sub(r"\{\{.*:(\w+) *\}\}", away, each["value"])
        for each in manifest["run"]["envs"]
    }
    environment |= {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(folder),  # nothing of the repository
        "PYTHONDONTWRITEBYTECODE": "1",
        "LISTEN_ADDRESS": f"127.0.0.1:{port}",
        "K_SINK": "http://127.0.0.1:9/",
        "DEAD_LETTER_URL": "http://127.0.0.1:9/",
    }
    command = [sys.executable, str(service)]
    process = subprocess.Popen(tethered(command), cwd=service.parent, env=environment)

    def alive() -> bool:
        assert process.poll() is None
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health/liveness").status_code == 200
        except httpx.TransportError:
            return False

    try:
        assert eventually(alive, bool, 90)
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def away(match: re.Match[str]) -> str:
    """An unreachable address in place of a secret."""
    schemes = {"REDIS_URL": "redis", "DATABASE_URL": "postgresql", "NATS_URL": "nats"}
    return f"{schemes.get(match[1], 'http')}://127.0.0.1:1"


def test_func_reads_the_folder(folder: Path) -> None:
    """The folder has a complete func.yaml and a distribution with the name that func asks for."""
    manifest = yaml.safe_load((folder / "func.yaml").read_text())
    schema = CRDS / "func_yaml-schema.json"
    if schema.exists():  # the official schema lacks the builder `host`, which func accepts
        without = {**manifest, "build": {}}
        jsonschema.validate(without, json.loads(schema.read_text()))
    assert manifest["build"] == {"builder": "host"}
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == "function"
    assert not any("functions-framework" in each for each in project["project"]["dependencies"])
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert all((folder / each / "__init__.py").exists() for each in packages)


@pytest.mark.processes
def test_the_scaffolded_entry_serves_the_pipeline(address: str) -> None:
    """The entry serves events, the API's description and the page, and routes an event."""
    assert httpx.get(f"{address}/health/readiness").status_code == 200
    assert "/api/candles" in httpx.get(f"{address}/openapi.json").text
    assert httpx.get(f"{address}/config.json").status_code == 200
    assert httpx.post(address, content=b"from outside").status_code == 403
    inside = {"host": "kandle.kandle.svc.cluster.local"}
    assert httpx.post(address, content=b"no event", headers=inside).status_code == 400
    headers = {**inside, "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/t"}
    raw = {**headers, "ce-type": "dev.kandle.raw.v1", "content-type": "application/protobuf"}
    answer = httpx.post(address, content=b"", headers=raw, timeout=60)
    assert answer.status_code == 503  # no batch, and dead letters are away: the event stays
    assert "did not take the event" in answer.text
