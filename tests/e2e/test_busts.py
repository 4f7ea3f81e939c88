"""Cancels and corrections through the whole pipeline, before and after a trade."""

from __future__ import annotations

import json
import socket
from typing import Any

from websockets.sync.client import connect

from tests.e2e.client import candles, eventually, fresh_symbol, rows, web
from tests.platform import kandle

TIME_MS = 1_660_000_020_000


def post(pipeline: dict[str, str], *objects: dict[str, Any]) -> dict[str, Any]:
    """Send JSON lines; return the response."""
    body = "\n".join(map(json.dumps, objects))
    headers = {"Content-Type": "application/x-ndjson"}
    answer = web.post(pipeline["INGEST_URL"], content=body, headers=headers)
    assert answer.status_code == 202
    said: dict[str, Any] = answer.json()
    return said


def trades(symbol: str, *prices: float) -> list[dict[str, Any]]:
    """A trade every ten seconds with ids from 1, and one an hour later that closes the minutes."""
    found = [
        {"symbol": symbol, "price": price, "size": 2, "time": TIME_MS + n * 10_000, "id": n + 1}
        for n, price in enumerate(prices)
    ]
    return [*found, {"symbol": symbol, "price": 1, "time": TIME_MS + 3_600_000, "id": 99}]


def test_a_bust_reaches_candles_history_and_audit(pipeline: dict[str, str]) -> None:
    """A cancel over HTTP and a correction over UDP reach candles, history and audit.

    One of them is sent twice; the print stays readable.
    """
    symbol, api = fresh_symbol("BUST"), pipeline["API_URL"]
    post(pipeline, *trades(symbol, 10, 999, 12, 13))
    before = eventually(lambda: candles(api, symbol), lambda c: len(c) == 2 and c[0]["closed"])
    assert (before[0]["h"], before[0]["n"]) == ("999", 4)
    cancel = {"cancel": 2, "symbol": symbol}
    with connect(pipeline["LIVE_URL"].replace("http", "ws") + "/ws", proxy=None) as live:
        live.send(json.dumps({"op": "subscribe", "channels": [f"busts:{symbol}"]}))
        while json.loads(live.recv(timeout=30))["type"] != "snapshot":
            pass
        assert post(pipeline, cancel, cancel, {"cancel": 3})["rejected"] == 1
        told = json.loads(live.recv(timeout=30))["data"]
        assert (told["trade_id"], told["status"]) == ("2", "cancelled")
    correction = {"correct": "4", "symbol": symbol, "price": "13.5", "size": 1}
    host, port = pipeline["UDP_ADDR"].removeprefix("udp://").rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(json.dumps(correction).encode(), (host, int(port)))

    def first() -> list[Any]:
        candle = candles(api, symbol)[0]
        return [candle[name] for name in ("o", "h", "l", "c", "v", "n")]

    expected = ["10", "13.5", "10", "13.5", "5", 3]
    assert eventually(first, lambda found: found == expected, 60) == expected
    assert candles(api, symbol)[0]["revision"] > before[0]["revision"]

    def hour() -> tuple[str, int]:
        found = candles(api, symbol, "1h")[0]
        return found["h"], found["n"]

    assert eventually(hour, ("13.5", 3).__eq__) == ("13.5", 3)
    told = web.get(f"{api}/api/ticks/{symbol}", params={"from": "0"}).json()["ticks"]
    assert [(t["id"], t["p"], t["ended"] is None, t["flags"]) for t in told] == [
        ("1", "10", True, None),
        ("2", "999", False, None),
        ("3", "12", True, None),
        ("4", "13", False, None),
        ("4", "13.5", True, "corrected"),
        ("99", "1", True, None),
    ]
    known = {"from": "0", "timeframe": "1m", "as_of": str(told[1]["ended"] - 1)}
    (then, _) = web.get(f"{api}/api/candles/{symbol}", params=known).json()["candles"]
    assert then["h"] == "999"
    said = kandle("audit", symbol, "--data-dir", pipeline["DATA_DIR"])
    assert said.returncode == 0


def test_a_bust_before_its_trade_waits_for_it(pipeline: dict[str, str]) -> None:
    """A bust before its trade waits for it, and one without a trade is listed as waiting."""
    symbol, api = fresh_symbol("EARLY"), pipeline["API_URL"]
    post(pipeline, {"cancel": 2, "symbol": symbol, "time": TIME_MS})
    waiting = "SELECT count(*) FROM pending_busts"
    assert eventually(lambda: rows(pipeline["DATABASE_URL"], waiting), lambda r: r[0][0] > 0)
    post(pipeline, *trades(symbol, 10, 999, 12))

    def count() -> list[int]:
        return [candle["n"] for candle in candles(api, symbol)]

    assert eventually(count, lambda found: found == [2, 1], 90) == [2, 1]
    left = eventually(lambda: rows(pipeline["DATABASE_URL"], waiting), [(0,)].__eq__)
    assert left == [(0,)]


def test_cancels_and_corrections_of_alpaca_find_their_trades(pipeline: dict[str, str]) -> None:
    """Alpaca's busts find their trades by exchange and id, and conditions count.

    A second correction names the id of the first, and REST lists the trade under the last one.
    """
    symbol, api = fresh_symbol("ALP"), pipeline["API_URL"]

    def trade(id_: int, price: float, minute: int, exchange: str = "V", *more: str) -> str:
        time = f"2022-08-08T23:{minute:02}:00.000000001Z"
        return json.dumps(
            {"T": "t", "S": symbol, "i": id_, "x": exchange, "p": price, "s": 10, "z": "C",
             "c": ["@", *more], "t": time}
        )  # fmt: skip

    made = [trade(1, 10, 7), trade(2, 999, 7), trade(2, 11, 7, "D"), trade(3, 12, 7)]
    made += [trade(5, 500, 7, "V", "I"), trade(9, 9, 30)]
    cancel = {"T": "x", "S": symbol, "i": 2, "x": "V", "p": 999, "s": 10, "a": "C", "z": "C"}
    correction = {"T": "c", "S": symbol, "x": "V", "oi": 3, "op": 12, "os": 10, "oc": ["@"]}
    correction |= {"ci": 4, "cp": 12.5, "cs": 20, "cc": ["@"], "z": "C"}
    second = {**correction, "oi": 4, "ci": 6, "cp": 12.75, "cs": 30}
    said = (second, cancel, correction)
    ends = [json.dumps([{**each, "t": "2022-08-08T23:08:00Z"}]) for each in said]
    listed = json.loads(trade(6, 12.75, 9)) | {"s": 30, "u": "corrected"}
    body = "\n".join([f"[{','.join(made)}]", *ends, json.dumps([listed])])
    headers = {"Content-Type": "application/x-ndjson; feed=alpaca"}
    assert web.post(pipeline["INGEST_URL"], content=body, headers=headers).status_code == 202

    def first() -> list[Any]:
        found = candles(api, f"{symbol}.ALPACA")
        return [found[0][name] for name in ("o", "h", "l", "c", "v")] if found else []

    expected = ["10", "12.75", "10", "12.75", "60"]  # the odd lot at 500 has volume only
    assert eventually(first, lambda found: found == expected, 90) == expected

    def counted() -> list[int]:
        return [candle["n"] for candle in candles(api, f"{symbol}.ALPACA")]

    assert eventually(counted, lambda found: found == [4, 1], 90) == [4, 1]
