"""The examples of docs/live.md, run as documented."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from grpc_tools import protoc

from local.supervisor.component import tethered
from tests.e2e.client import fresh_symbol
from tests.e2e.test_live import post

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    name: code
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "docs/live.md").read_text(), re.DOTALL)
    for name in re.findall(r"\A# (\w+):", code)
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the documented protoc command."""
    into = tmp_path_factory.mktemp("client")
    names = ("candles", "live", "patterns", "ticker", "feed_service")
    files = [f"shared/schema/{name}.proto" for name in names]
    outputs = (f"--python_out={into}", f"--grpc_python_out={into}")
    assert protoc.main(["protoc", f"-I{ROOT}", *outputs, *files]) == 0
    for package in ("shared", "shared/schema"):  # this environment has another `shared`
        (into / package / "__init__.py").touch()
    return into


def test_there_is_an_example_of_each_protocol() -> None:
    """The document has an example of each protocol, named in its first line."""
    assert set(EXAMPLES) == {"websocket", "sse", "grpc", "nats"}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_prints_what_happens(
    pipeline: dict[str, str], client: Path, tmp_path: Path, name: str
) -> None:
    """Each example prints the price of a tick that is posted meanwhile."""
    symbol = fresh_symbol(f"DOCS{name.upper()}")
    environment = {**os.environ, **pipeline, "PYTHONPATH": str(client), "NO_PROXY": "*"}
    with subprocess.Popen(
        tethered([sys.executable, "-W", "ignore", "-c", EXAMPLES[name]]),
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        heard = threading.Event()
        sender = threading.Thread(target=send_until, args=(pipeline, symbol, heard))
        sender.start()
        try:
            assert process.stdout is not None
            found = next((line for line in process.stdout if symbol in line and "7.25" in line), "")
            assert found, f"ended with {process.wait(10)}"
        finally:
            heard.set()
            sender.join()
            process.kill()


def send_until(pipeline: dict[str, str], symbol: str, heard: threading.Event) -> None:
    """Send ticks until the output has one: some protocols show only later ones."""
    number = 0
    while not heard.wait(0.2):
        number += 1
        post(pipeline, f"{symbol},7.25,1,1700000040000,buy,{number}")
