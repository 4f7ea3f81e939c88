from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local.cli.commands.candles import shown_vwap, state, utc
from local.servers.ports import free_port
from tests.local.cli.running import instance, invoke, process, refusal
from tests.local.feeds.receivers import Answer, HttpReceiver, Request, http_receiver

MINUTE_MS = 60_000
START_MS = 1570752000000  # 2019-10-11T00:00Z


def candle(number: int, **changes: object) -> dict[str, Any]:
    return {
        "t": START_MS + number * MINUTE_MS, "o": "0.00141342", "h": "0.00141379", "l": "0.00141266",
        "c": "0.00141300", "v": "1234.5", "vw": "0.001413333333333333", "n": 1_200 + number,
        "bv": "1000", "sv": "234.5", "closed": True, "partial": False, "complete": True,
        "revision": 1,
    } | changes  # fmt: skip


class Api(HttpReceiver):
    """Serves `candles` in pages of at most `page`, as the history API does."""

    candles: list[dict[str, Any]]
    page = 400

    def take(self, request: Request) -> Answer:
        self.requests.append(request)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        limit = min(int(asked["limit"]), self.page)
        if "from" in asked:
            start = int(asked.get("cursor", 0))
            page = self.candles[start : start + limit]
            more = start + limit < len(self.candles)
            following = str(start + limit) if more else None
        else:
            end = int(asked.get("cursor", len(self.candles)))
            page = self.candles[max(end - limit, 0) : end]
            following = str(end - limit) if end > limit else None
        answer = {"symbol": "S", "timeframe": "1m", "candles": page, "next": following}
        return Answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})


def serving(receiver: HttpReceiver, count: int) -> str:
    receiver.__class__ = Api
    assert isinstance(receiver, Api)
    receiver.candles = [candle(number) for number in range(count)]
    return receiver.url


def test_the_newest_candles_are_a_table_in_utc() -> None:
    """Without a range the newest 20 candles are shown in UTC, ascending and exact.

    Only the average is rounded.
    """
    with http_receiver() as receiver:
        url = serving(receiver, 30)
        result = invoke("candles", "XRP-ETH", "--api-url", url)
        path = receiver.requests[0].path
    assert path == "/api/candles/XRP-ETH?timeframe=1m&limit=20"
    lines = [line for line in result.stdout.splitlines() if "2019-" in line]
    assert len(lines) == 20
    assert lines[0].split() == [
        *("2019-10-11", "00:10:00", "0.00141342", "0.00141379", "0.00141266", "0.00141300"),
        *("1234.5", "0.0014133333", "1,210"),
    ]
    assert "older" not in result.stderr


def test_open_and_partial_candles_are_marked() -> None:
    """Open and partial candles are marked."""
    assert state(candle(0)) == ""
    assert state(candle(0, closed=False)) == "open"
    assert state(candle(0, closed=False, partial=True)) == "open, partial"


def test_a_range_is_shown_over_all_its_pages() -> None:
    """`--from` follows `next` until there is none."""
    with http_receiver() as receiver:
        url = serving(receiver, 1_001)
        result = invoke("candles", "S", "--from", "-24h", "--json", "--api-url", url)
        asked = [parse_qs(urlsplit(request.path).query) for request in receiver.requests]
    found = json.loads(result.stdout)
    assert [each["n"] for each in found["candles"]] == [1_200 + n for n in range(1_001)]
    assert [each.get("cursor") for each in asked] == [None, ["400"], ["800"]]
    assert all(each["from"] == ["-24h"] for each in asked)
    assert result.stderr == ""


def test_a_truncated_range_is_reported() -> None:
    """A range cut by `--limit` is reported on stderr; the newest are read by pages."""
    with http_receiver() as receiver:
        url = serving(receiver, 1_001)
        limited = invoke("candles", "S", "--from", "0", "--limit", 500, "--json", "--api-url", url)
        newest = invoke("candles", "S", "--limit", 500, "--json", "--api-url", url)
        exact = invoke("candles", "S", "--from", "0", "--limit", 1_001, "--json", "--api-url", url)
    assert len(json.loads(limited.stdout)["candles"]) == 500
    assert "cut after --limit 500" in limited.stderr
    assert [each["n"] for each in json.loads(newest.stdout)["candles"]] == [*range(1_701, 2_201)]
    assert newest.stderr == ""
    assert len(json.loads(exact.stdout)["candles"]) == 1_001
    assert exact.stderr == ""


def test_a_symbol_is_one_segment_of_the_path() -> None:
    """A slash or a question mark in a symbol is escaped in the path."""
    with http_receiver() as receiver:
        invoke("candles", "XRP/ETH?a=1#é", "--api-url", serving(receiver, 1))
        assert receiver.requests[0].path.startswith("/api/candles/XRP%2FETH%3Fa%3D1%23%C3%A9?")


def test_the_detail_of_a_problem_is_shown() -> None:
    """The detail of the API's problem is shown."""
    with http_receiver() as receiver:
        receiver.otherwise = Answer(404, b'{"title": "Not Found", "detail": "no symbol FOO"}')
        assert refusal("candles", "FOO", "--api-url", receiver.url) == "no symbol FOO (404)"
        receiver.otherwise = Answer(502, b"<html>")
        assert refusal("candles", "FOO", "--api-url", receiver.url) == "<html> (502)"


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    """A range that ends before it begins is refused without a request, with both times as given."""
    url = f"http://127.0.0.1:{free_port()}"
    for since, until in [
        ("2019-10-12", "2019-10-11"),
        ("-1h", "-24h"),
        ("1700000000", "1700000000"),
    ]:
        output = refusal("candles", "S", "--from", since, "--to", until, "--api-url", url)
        assert output.startswith(f"--from {since} is not before --to {until}")


def test_an_unreachable_api_is_an_error(tmp_path: Path) -> None:
    """A refused connection and a missing instance are errors without a traceback."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert "is the instance up?" in refusal("candles", "A", "--api-url", nowhere)
    assert "kandle up" in refusal("candles", "A", "--data-dir", tmp_path)


def test_api_url_of_the_running_instance_is_the_default(tmp_path: Path) -> None:
    """Without a flag API_URL of the running instance is used."""
    with http_receiver() as receiver:
        instance(tmp_path, {"API_URL": serving(receiver, 3) + "/"})
        result = invoke("candles", "A", "--data-dir", tmp_path)
    assert "A 1m: 3 candles" in result.stdout


def test_watching_reads_a_bounded_number() -> None:
    """Many candles are read in few pages, and `--watch` refuses more than a page of them."""
    with http_receiver() as receiver:
        url = serving(receiver, 10_001)
        assert isinstance(receiver, Api)
        receiver.page = 10_000
        whole = invoke("candles", "S", "--from", "0", "--json", "--api-url", url)
        assert len(json.loads(whole.stdout)["candles"]) == 10_001
        assert len(receiver.requests) == 2
        for asked in (("--from", "0"), ("--limit", 10_001)):
            refused = refusal("candles", "S", *asked, "--watch", "--json", "--api-url", url)
            assert "--watch: at most 10,000 candles" in refused


@pytest.mark.processes
def test_watching_shows_each_change_until_it_is_stopped(tmp_path: Path) -> None:
    """With `--watch` each changed candle is printed until Ctrl-C, which exits with 0."""
    with http_receiver() as receiver:
        url = serving(receiver, 1)
        assert isinstance(receiver, Api)
        with process(
            "candles", "A", "--watch", "--json", "--api-url", url, cwd=tmp_path
        ) as command:
            assert command.stdout is not None
            first = json.loads(command.stdout.readline())
            receiver.candles = [candle(0, closed=False, n=7)]
            second = json.loads(command.stdout.readline())
            command.send_signal(signal.SIGINT)
            command.communicate(timeout=30)
    assert [first["candles"][0]["n"], second["candles"][0]["n"]] == [1_200, 7]
    assert command.returncode == 0


def test_candles_are_drawn_in_the_terminal() -> None:
    """`--chart` draws the newest candles that fit, with the exact last close and times."""
    with http_receiver() as receiver:
        url = serving(receiver, 200)
        output = invoke("candles", "S", "--limit", 200, "--chart", "--api-url", url).stdout
    lines = output.splitlines()
    assert "S 1m: 64 of 200 candles, last close 0.00141300" in lines[0]
    assert len(lines) == 23
    assert max(map(len, lines)) <= 80
    assert "03:19" in lines[-1]
    assert any(each in output for each in "█│")


def test_the_average_is_rounded_only_where_it_is_longer() -> None:
    """The average is rounded to two decimals more than the prices, and short ones stay."""
    assert shown_vwap(candle(0, vw="0.0014")) == "0.0014"
    assert shown_vwap(candle(0, o="1", h="1", l="1", c="1", vw="1.23456")) == "1.23"
    assert shown_vwap(candle(0, vw=None)) == ""


def test_times_are_utc_with_milliseconds_if_any() -> None:
    """Times are UTC with seconds, and with milliseconds if there are any."""
    assert utc(START_MS) == "2019-10-11 00:00:00"
    assert utc(START_MS + 5) == "2019-10-11 00:00:00.005"
