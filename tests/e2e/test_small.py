"""The whole pipeline as one function, with the small cluster's own YAML."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from operator import eq
from pathlib import Path

import pytest

from tests.e2e.client import (
    candles,
    eventually,
    fresh_symbol,
    rows,
    send_udp,
    wait_until_applied,
    web,
)
from tests.e2e.trades import exact, expected_candles, generated_trades, over_days
from tests.platform import running

ROOT = Path(__file__).parents[2]
MINUTE_MS = 1_650_000_000_000 // 60_000 * 60_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`kandle up` with the objects of `kubectl apply -k knative/eventing/small`."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: it builds knative/eventing/small")
    directory = tmp_path_factory.mktemp("small")
    eventing = directory / "eventing"
    eventing.mkdir()
    built = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / "knative" / "eventing" / "small")],
        capture_output=True,
        text=True,
        check=True,
    )
    (eventing / "all.yaml").write_text(built.stdout)
    with running(directory / "data", "--eventing", str(eventing)) as environment:
        yield environment


def test_ticks_become_exact_candles_in_one_function(small: dict[str, str]) -> None:
    """Ticks over UDP become exact candles in the API, through one Broker and one process."""
    symbol = fresh_symbol("SMALL")
    trades = over_days(generated_trades(seed=11, count=2_000), days=2)
    send_udp(small["UDP_ADDR"], (trade.line(symbol) for trade in trades))
    wait_until_applied(small, symbol, len(trades))

    def read(timeframe: str) -> list[dict[str, object]]:
        return [exact(each) for each in candles(small["API_URL"], symbol, timeframe)]

    for timeframe, minutes in (("1m", 1), ("1h", 60)):
        expected = expected_candles(trades, minutes)
        # Ticks stored before their shard has its first state are late; repairs make candles.
        assert eventually(partial(read, timeframe), partial(eq, expected), 120) == expected


def test_ingest_page_and_websocket_address_stand_beside_the_api(small: dict[str, str]) -> None:
    """Ingest, page and WebSocket have the API's address."""
    symbol = fresh_symbol("SMALLHTTP")
    line = f"{symbol},10,1,{MINUTE_MS},buy,1"
    assert web.post(small["INGEST_URL"], content=line).status_code == 202
    wait_until_applied(small, symbol, 1)
    assert [exact(each)["o"] for each in candles(small["API_URL"], symbol)] == [10]
    assert web.get(small["API_URL"]).status_code == 200
    assert web.get(f"{small['API_URL']}/config.json").json()["nats"]
    assert web.get(f"{small['API_URL']}/health/readiness").status_code == 200


def test_an_event_posted_to_the_function_goes_by_its_type(small: dict[str, str]) -> None:
    """An event to the function is routed by type; an unknown one is dead-lettered with a 2xx."""
    url = small["API_URL"]
    headers = {"ce-specversion": "1.0", "ce-source": "/test", "content-type": "application/json"}
    headers["host"] = "kandle.kandle.svc.cluster.local"
    clock = {**headers, "ce-id": "clock-1", "ce-type": "dev.knative.sources.ping"}
    assert web.post(url, headers=clock, content=b"{}").status_code == 204
    unknown = {**headers, "ce-id": "unknown-1", "ce-type": "com.example.unknown"}
    assert web.post(url, headers=unknown, content=b"{}").status_code == 204
    for stage in ("normalize", "persist", "candle-aggregate", "detect-pattern", "live-feed"):
        answer = web.post(f"{url}/{stage}", headers=clock, content=b"{}")
        assert answer.status_code == 204, (stage, answer.text)


def test_closed_candles_become_rows_through_their_own_path(small: dict[str, str]) -> None:
    """Closed candles go through the one Broker to persist and become rows."""
    symbol = fresh_symbol("SMALLROWS")
    lines = [f"{symbol},10,1,{MINUTE_MS},buy,1", f"{symbol},12,1,{MINUTE_MS + 90_000},buy,2"]
    send_udp(small["UDP_ADDR"], lines)
    found = eventually(
        lambda: rows(
            small["DATABASE_URL"],
            "SELECT open, close FROM candles WHERE instrument = %s AND timeframe = '1m'",
            symbol,
        ),
        bool,
    )
    assert [tuple(map(float, each)) for each in found] == [(10.0, 10.0)]
