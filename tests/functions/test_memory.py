"""Libraries for Parquet are loaded when a function first reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STORES = {
    "DATABASE_URL": "postgresql://127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1",
    "NATS_URL": "nats://127.0.0.1:1",
    "S3_ENDPOINT_URL": "http://127.0.0.1:1",
    "K_SINK": "http://127.0.0.1:1",
}
LOADED = """
import json, sys
class NoPandas:  # TA-Lib loads it where it is installed, which an image has not
    def find_spec(self, name, *_):
        if name == "pandas":
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, NoPandas())
import functions.{}.main
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.processes
@pytest.mark.parametrize(
    "stage", sorted(path.parent.name for path in ROOT.glob("functions/*/main.py"))
)
def test_no_function_loads_large_libraries_at_start(stage: str) -> None:
    """No function loads libraries for Parquet, 100 MiB, before it reads cold data, nor redis-py's
    metrics.
    """
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(stage)],
        cwd=ROOT,
        env=STORES,
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    loaded = set(json.loads(done.stdout))
    assert f"functions.{stage}.main" in loaded
    assert not loaded & {"pyarrow", "duckdb", "pyiceberg", "boto3", "opentelemetry.sdk.metrics"}
    if stage == "history_query":  # it posts only in tests of notifications
        assert not loaded & {"aiohttp", "httpx"}
