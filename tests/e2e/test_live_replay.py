"""Replay of any stored time: the same frames, in order, at the given speed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_sync

from tests.e2e.client import candles, eventually, fresh_symbol, wait_until_applied, web
from tests.e2e.test_live import post, until
from tests.platform import kandle

START_MS = 1_700_000_100_000
"""The start of a minute, and of a candle of three."""
SAME = ("t", "o", "h", "l", "c", "v", "qv", "n", "bv", "sv", "closed")


@contextmanager
def asking(pipeline: dict[str, str], **request: object) -> Iterator[ClientConnection]:
    """A WebSocket that has sent a request."""
    with connect_sync(pipeline["LIVE_URL"].replace("http", "ws") + "/ws", proxy=None) as socket:
        socket.send(json.dumps(request))
        yield socket


def ended(frame: dict[str, Any]) -> bool:
    """Whether a replay has ended."""
    return (frame["type"], frame.get("state")) == ("replay", "ended")


def is_error(frame: dict[str, Any]) -> bool:
    """Whether a request was refused."""
    return bool(frame["type"] == "error")


@pytest.fixture(scope="module")
def stored(pipeline: dict[str, str]) -> str:
    """A symbol with a trade each 10 s of six minutes, two of them in the last second."""
    symbol = fresh_symbol("PAST")
    sides = ("buy", "sell", "")
    lines = [
        f"{symbol},{100 + n % 7}.{n % 10},0.{n + 1},{START_MS + n * 10_000},{sides[n % 3]},{n}"
        for n in range(36)
    ]
    lines.append(f"{symbol},99.5,2,{START_MS + 359_900},sell,36")
    post(pipeline, *lines, f"{symbol},100,1,{START_MS + 420_000},,37")
    wait_until_applied(pipeline, symbol, 38)
    return symbol


def test_a_replay_ends_with_the_candles_of_the_api(pipeline: dict[str, str], stored: str) -> None:
    """A replay has every trade once and in order, and its last candles are the API's."""
    frames = [f"candles:{each}:{stored}" for each in ("1m", "3m", "5m")]
    asked = {"from": START_MS, "to": START_MS + 360_000, "speed": 3_000}
    with asking(pipeline, op="replay", channels=[f"ticks:{stored}", *frames], **asked) as socket:
        found = until(socket, ended)
    assert [each["type"] for each in found[:3]] == ["subscribed", "snapshot", "replay"]
    assert (found[-1]["time_ms"], found[-1]["speed"]) == (START_MS + 360_000, 3_000)
    updates = [each for each in found if each["type"] == "update"]
    places = [each["seq"] for each in updates]
    assert places == sorted(set(places))
    assert not any(each["late"] for each in updates)
    trades = [each["data"] for each in updates if each["channel"].startswith("ticks")]
    bounds = {"from": str(START_MS), "to": str(START_MS + 360_000)}
    known = web.get(f"{pipeline['API_URL']}/api/ticks/{stored}", params=bounds).json()["ticks"]
    names = {"t": "t", "price": "p", "size": "s", "side": "side", "trade_id": "id"}
    names["received"] = "received"
    assert [{name: each[name] for name in names} for each in trades] == [
        {name: each[theirs] for name, theirs in names.items()} for each in known
    ]
    for channel in frames:
        states = [each["data"] for each in updates if each["channel"] == channel]
        assert [(s["t"], s["revision"]) for s in states] == sorted(
            (s["t"], s["revision"]) for s in states
        )
        assert any(not each["closed"] for each in states)
        last = {each["t"]: each for each in states}
        minutes = int(channel.split(":")[1].removesuffix("m"))
        made = candles(pipeline["API_URL"], stored, f"{minutes}m")
        expected = [c for c in made if c["t"] + minutes * 60_000 <= START_MS + 360_000]
        assert len(expected) == {1: 6, 3: 2, 5: 1}[minutes]
        assert all(each["closed"] for each in expected)
        for each in expected:
            assert {n: last[each["t"]][n] for n in SAME} == {n: each[n] for n in SAME}


def test_a_replay_may_begin_within_a_candle(pipeline: dict[str, str], stored: str) -> None:
    """A replay from within a candle begins with the last trade and candles of that time."""
    from_ms = START_MS + 4 * 60_000 + 25_000
    channels = [f"{each}:{stored}" for each in ("ticks", "candles:1m", "candles:3m")]
    asked = {"from": from_ms, "to": START_MS + 360_000, "speed": 100_000}
    with asking(pipeline, op="replay", channels=channels, **asked) as socket:
        _, snapshot, *rest = until(socket, ended)
    present = {each["channel"]: each["data"] for each in snapshot["items"]}
    assert present[channels[0]]["t"] == START_MS + 4 * 60_000 + 20_000
    assert present[channels[1]]["n"] == 3
    assert (present[channels[2]]["t"], present[channels[2]]["n"]) == (START_MS + 180_000, 9)
    last = {each["channel"]: each["data"] for each in rest if each["type"] == "update"}
    made = {each["t"]: each for each in candles(pipeline["API_URL"], stored, "3m")}
    expected = made[START_MS + 180_000]
    assert {n: last[channels[2]][n] for n in SAME} == {n: expected[n] for n in SAME}


def test_by_receipt_a_late_trade_is_late_again(pipeline: dict[str, str]) -> None:
    """By receipt a late trade is replayed late, marked, and corrects its closed candle."""
    symbol, now_ms = fresh_symbol("RECEIPT"), int(time.time() * 1000)
    minute_ms = now_ms // 60_000 * 60_000 - 120_000
    post(pipeline, f"{symbol},10,1,{minute_ms + 1_000},,1")
    post(pipeline, f"{symbol},11,1,{minute_ms + 61_000},,2")
    post(pipeline, f"{symbol},12,1,{minute_ms + 2_000},,3")
    wait_until_applied(pipeline, symbol, 3)
    channels = [f"ticks:{symbol}", f"candles:1m:{symbol}"]
    asked = {"from": now_ms - 1_000, "by": "receipt", "speed": 100_000}
    with asking(pipeline, op="replay", channels=channels, **asked) as socket:
        found = [each for each in until(socket, ended) if each["type"] == "update"]
    trades = [each for each in found if each["channel"] == channels[0]]
    assert [(each["data"]["price"], each["late"]) for each in trades] == [
        *(("10", False), ("11", False), ("12", True))
    ]
    first = [
        f["data"] for f in found if f["channel"] == channels[1] and f["data"]["t"] == minute_ms
    ]
    assert [(each["h"], each["n"], each["closed"]) for each in first][-1] == ("12", 2, True)


def test_patterns_come_after_the_candle_that_completes_them(pipeline: dict[str, str]) -> None:
    """A replay has the API's patterns, each after the closed candle that completes it."""
    symbol = fresh_symbol("PASTPATTERN")
    lines = []
    for n in range(40):
        low, high = (90, 110) if n == 39 else (99, 101)
        for second, price in ((0, 100), (10, high), (20, low), (30, 100)):
            lines.append(
                f"{symbol},{price},{1 if n < 39 else 50},{START_MS + (n * 60 + second) * 1000}"
            )
    post(pipeline, *lines, f"{symbol},100,1,{START_MS + 41 * 60_000}")
    wait_until_applied(pipeline, symbol, len(lines) + 1)

    def found() -> list[dict[str, Any]]:
        answer = web.get(f"{pipeline['API_URL']}/api/patterns/{symbol}", params={"limit": "1000"})
        return [e for e in answer.json().get("patterns", []) if e["timestamp"] <= end_ms]

    end_ms = START_MS + 40 * 60_000
    known = eventually(found, lambda some: any(each["timestamp"] == end_ms for each in some))
    assert known
    channels = [f"candles:1m:{symbol}", f"patterns:{symbol}"]
    asked = {"from": START_MS, "to": end_ms + 60_000, "speed": 100_000}
    with asking(pipeline, op="replay", channels=channels, **asked) as socket:
        updates = [each for each in until(socket, ended) if each["type"] == "update"]
    closed: set[int] = set()
    seen = []
    for each in updates:
        if each["channel"] == channels[0] and each["data"]["closed"]:
            closed.add(each["data"]["t"])
        if each["channel"] == channels[1]:
            seen.append(each["data"])
            if each["data"]["timeframe"] == "1m":
                assert each["data"]["timestamp"] - 60_000 in closed
    assert {each["id"] for each in seen} >= {each["id"] for each in known}


def test_a_replay_can_be_paused_and_stopped(pipeline: dict[str, str], stored: str) -> None:
    """A replay can be paused, sped up and stopped, which makes room for another."""
    asked = {"channels": [f"ticks:{stored}"], "from": START_MS, "to": START_MS + 360_000}
    with asking(pipeline, op="replay", **asked, speed=20) as socket:
        until(socket, lambda f: f["type"] == "update")
        socket.send(json.dumps({"op": "pause"}))
        until(socket, lambda f: f.get("state") == "paused")
        with pytest.raises(TimeoutError):  # ten seconds of the replay take half a second
            socket.recv(timeout=1.5)
        socket.send(json.dumps({"op": "replay", **asked}))
        assert until(socket, is_error)[-1]["code"] == "replay_running"
        socket.send(json.dumps({"op": "subscribe", "channels": ["ticks:A"]}))
        assert until(socket, is_error)[-1]["code"] == "not_live_too"
        socket.send(json.dumps({"op": "resume", "speed": 200}))
        assert until(socket, lambda f: f["type"] == "update")
        socket.send(json.dumps({"op": "stop"}))
        until(socket, lambda f: f.get("state") == "stopped")
        socket.send(json.dumps({"op": "resume"}))
        assert until(socket, is_error)[-1]["code"] == "no_replay"
        socket.send(json.dumps({"op": "replay", **asked, "speed": 100_000}))
        found = [each for each in until(socket, ended) if each["type"] == "update"]
        assert len(found) == 37


@pytest.mark.parametrize(
    ("wrong", "code", "names"),
    [
        ({"from": None}, "bad_replay", "from"),
        ({"from": "yesterday"}, "bad_replay", "from"),
        ({"from": True}, "bad_replay", "from"),
        ({"to": START_MS - 1}, "bad_replay", "from"),
        ({"to": [1]}, "bad_replay", "to"),
        ({"speed": 0}, "bad_replay", "speed"),
        ({"speed": "fast"}, "bad_replay", "speed"),
        ({"by": "luck"}, "bad_replay", "by"),
        ({"channels": []}, "bad_channels", "channels"),
        ({"channels": ["ticks:*"]}, "bad_channels", "ticks:*"),
        ({"channels": ["alerts:A"]}, "bad_channels", "alerts:A"),
        ({"channels": ["candles:90s:A"]}, "bad_channels", "90s"),
        ({"channels": [f"ticks:S{n}" for n in range(21)]}, "too_many_channels", "symbols"),
        ({"channels": ["ticks:NEVER-SEEN"]}, "unknown_symbol", "NEVER-SEEN"),
    ],
)
def test_a_bad_replay_is_refused_by_name(
    pipeline: dict[str, str], wrong: dict[str, object], code: str, names: str
) -> None:
    """A bad replay is refused with a fix."""
    asked = {"channels": ["ticks:A"], "from": START_MS, "to": START_MS + 1_000, **wrong}
    with asking(pipeline, op="replay", **asked) as socket:
        refused = until(socket, is_error)[-1]
    assert (refused["code"], names in refused["msg"]) == (code, True), refused


def test_an_event_stream_replays_and_goes_on_after_a_cut(
    pipeline: dict[str, str], stored: str
) -> None:
    """An event stream with `replay_from` resumes after a cut, and its last id ends it."""
    url = f"{pipeline['LIVE_URL']}/sse"
    asked = {"channels": f"ticks:{stored}", "replay_from": str(START_MS), "speed": "100000"}
    asked["replay_to"] = str(START_MS + 360_000)

    def read(place: str) -> tuple[list[str], str]:
        prices = []
        headers = {"last-event-id": place} if place else {}
        with httpx.stream("GET", url, params=asked, headers=headers, timeout=30) as answer:
            assert answer.status_code == 200, answer.read()
            for line in answer.iter_lines():
                if line.startswith("id: "):
                    place = line.removeprefix("id: ")
                if line.startswith("data: "):
                    frame = json.loads(line.removeprefix("data: "))
                    prices += [frame["data"]["price"]] if frame["type"] == "update" else []
        return prices, place

    whole, place = read("")
    assert (len(whole), place) == (37, "replay/0")
    rest, _ = read(f"replay/{START_MS + 180_000}")
    assert rest == whole[18:]
    answer = web.get(url, params=asked, headers={"last-event-id": place})
    assert answer.status_code == 204
    refused = web.get(url, params={**asked, "speed": "fast"})
    assert (refused.status_code, refused.json()["title"]) == (400, "bad_replay")


def test_kandle_tail_plays_the_past(pipeline: dict[str, str], stored: str) -> None:
    """`kandle tail` prints a line for each message and ends with the range."""
    told = kandle(
        *("tail", f"ticks:{stored}", f"candles:5m:{stored}", "--live-url", pipeline["LIVE_URL"]),
        *("--from", str(START_MS), "--to", str(START_MS + 360_000), "--speed", "100000"),
    ).stdout.splitlines()
    assert len([each for each in told if " x " in each]) == 37
    assert "2023-11-14" in told[0]
