from __future__ import annotations

import gzip
import json
import signal
import socket
import time
from pathlib import Path

import pytest

from local.servers.ports import free_port
from tests.local.cli.running import instance, invoke, process, refusal
from tests.local.feeds.receivers import (
    Answer,
    address_of,
    http_receiver,
    received,
    udp_receiver,
)

LINES = [b"BTC-USD,61837.63,0.02,%d,buy,%d" % (1700000000000 + n, n) for n in range(3_000)]


def answer_of(accepted: int, rejected: int = 0) -> Answer:
    """The response of POST /ingest."""
    error = {"line": 1, "code": "bad_price", "detail": "PRICE 'x' is not a decimal number"}
    body = {"accepted": accepted, "rejected": rejected, "first_errors": [error] * bool(rejected)}
    return Answer(202, json.dumps(body).encode())


@pytest.fixture
def ticks(tmp_path: Path) -> Path:
    path = tmp_path / "ticks.csv.gz"
    path.write_bytes(gzip.compress(b"\n".join(LINES)))
    return path


def test_every_line_is_sent_over_udp_and_counted(ticks: Path) -> None:
    """All lines arrive over UDP in order and unchanged, and the summary counts them."""
    with udp_receiver() as receiver:
        result = invoke("replay", ticks, "--udp-addr", address_of(receiver))
        got = received(receiver)
    assert b"".join(got).splitlines() == LINES
    assert f"sent 3,000 lines in {len(got)} datagrams" in result.stdout


def test_every_line_is_confirmed_over_http(ticks: Path) -> None:
    """Over HTTP the summary counts accepted lines, and /ingest is added to a bare address."""
    with http_receiver() as receiver:
        receiver.otherwise = answer_of(3_000)
        result = invoke("replay", ticks, "--to", "http", "--ingest-url", receiver.url)
        assert result.exit_code == 0
        assert b"".join(request.body for request in receiver.requests).splitlines() == LINES
        assert receiver.requests[0].path == "/ingest"
    assert "confirmed 3,000 lines in 1 requests: 3,000 ticks, 0 rejects" in result.stdout
    with http_receiver() as receiver:
        receiver.otherwise = answer_of(3_000)
        where = ("--to", "http", "--ingest-url", receiver.url)
        counts = json.loads(invoke("replay", ticks, *where, "--json").stdout)
    assert (counts["lines"], counts["requests"], counts["accepted"]) == (3_000, 1, 3_000)
    shown = invoke("replay", ticks, "--dry-run", "--json").stdout.splitlines()
    assert json.loads(shown[0])["line"] == LINES[0].decode()


def test_a_refusal_ends_the_replay_with_the_confirmed_count(ticks: Path) -> None:
    """A refusal is shown after a summary that counts only confirmed lines."""
    with http_receiver() as receiver:
        receiver.otherwise = Answer(400, b'{"detail": "no such format"}')
        result = invoke("replay", ticks, "--to", "http", "--ingest-url", receiver.url + "/in")
    assert result.exit_code == 1
    assert "confirmed 0 lines" in result.stdout
    assert "answered 400: no such format" in str(result.exception)


def test_the_address_is_flag_then_environment_then_instance(ticks: Path, tmp_path: Path) -> None:
    """The address is that of the flag, else of the environment, else of the instance."""
    with udp_receiver() as flagged, udp_receiver() as named, udp_receiver() as running:
        instance(tmp_path, {"UDP_ADDR": address_of(running)})
        where = ("replay", ticks, "--data-dir", tmp_path)
        invoke(*where, "--udp-addr", address_of(flagged), UDP_ADDR=address_of(named))
        assert [bool(received(each)) for each in (flagged, named, running)] == [True, False, False]
        invoke(*where, UDP_ADDR=address_of(named))
        assert [bool(received(each)) for each in (flagged, named, running)] == [False, True, False]
        invoke(*where)
        assert [bool(received(each)) for each in (flagged, named, running)] == [False, False, True]


def test_without_an_address_the_error_says_what_to_start(ticks: Path, tmp_path: Path) -> None:
    """Without any address the error names `kandle up` and `--udp-addr`."""
    message = refusal("replay", ticks, "--data-dir", tmp_path / "none")
    assert "kandle up" in message
    assert "--udp-addr" in message


def test_invalid_arguments_are_one_line(ticks: Path, tmp_path: Path) -> None:
    """An invalid file, format, speed or address is one line without a traceback."""
    bad = tmp_path / "bad.csv"
    bad.write_text("1,2,3,4,5\n")
    nowhere = f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    for arguments, message in [
        ((tmp_path / "none.csv", "--udp-addr", nowhere), "no such file"),
        ((ticks, "--columns", "prize=x", "--udp-addr", nowhere), "is not FIELD=COLUMN"),
        ((bad, "--udp-addr", nowhere), "bad.csv: cannot tell which column is which"),
        ((ticks, "--speed", "fast", "--udp-addr", nowhere), "is not a speed; try max"),
        ((ticks, "--udp-addr", nowhere), "nothing listens for UDP"),
        ((ticks, "--udp-addr", "5005"), "is not HOST:PORT"),
        ((ticks, "--to", "http", "--ingest-url", "localhost:80"), "is not a URL"),
    ]:
        assert message in refusal("replay", *arguments)


def test_a_missing_file_has_no_summary(ticks: Path, tmp_path: Path) -> None:
    """Of a missing file nothing is sent, and no summary of zero lines is printed."""
    with udp_receiver() as receiver:
        missing = tmp_path / "none.csv"
        result = invoke("replay", ticks, missing, "--udp-addr", address_of(receiver))
        assert not received(receiver)
    assert str(result.exception) == f"{missing}: no such file"
    assert not result.stdout


def test_messages_that_are_no_trades_are_counted(tmp_path: Path) -> None:
    """The summary counts a capture's messages that are not trades, by kind."""
    path = tmp_path / "capture.txt"
    path.write_text(
        '1700000000000000000 {"e":"trade","s":"X","t":1,"p":"1.50","q":"2",'
        '"T":1700000000005,"m":false}\n'
        '1700000000000000001 {"e":"depthUpdate"}\n'
    )
    with udp_receiver() as receiver:
        result = invoke("replay", path, "--udp-addr", address_of(receiver))
        assert received(receiver) == [b"X,1.50,2,1700000000005000,buy,1\n"]
    assert "skipped 1 that are not trades: 1 depthUpdate" in result.stdout


START_MS = 1_700_000_000_000
PACED = [f"A,{n},,{START_MS + ms},,{n}" for n, ms in enumerate([0, 0, 1000, 500])]


def test_timed_ticks_are_sent_one_by_one(tmp_path: Path) -> None:
    """At a multiple of recorded time, ticks of different times are in different datagrams."""
    path = tmp_path / "ticks.csv"
    path.write_text("".join(f"{line}\n" for line in PACED))
    with udp_receiver() as receiver:
        invoke("replay", path, "--speed", "20x", "--udp-addr", address_of(receiver))
        first, second = received(receiver)
    assert first.decode().splitlines() == PACED[:2]
    assert second.decode().splitlines() == PACED[2:]


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_replay_stops_at_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    """A signal during a long wait ends the replay at once with a summary and exit code 1."""
    path = tmp_path / "ticks.csv"
    path.write_text(f"A,1,,{START_MS},,1\nA,2,,{START_MS + 10**8},,2\n")
    with (
        udp_receiver() as receiver,
        process(
            "replay", path, "--speed", "1x", "--udp-addr", address_of(receiver), cwd=tmp_path
        ) as command,
    ):
        receiver.settimeout(60)
        assert receiver.recv(2_000).decode() == f"A,1,,{START_MS},,1\n"
        time.sleep(0.1)
        command.send_signal(number)
        out, err = command.communicate(timeout=30)
    assert "sent 1 lines in 1 datagrams" in out
    assert "stopped before the end of the file" in err
    assert command.returncode == 1


def test_rejects_are_reported_with_exit_code_1(ticks: Path) -> None:
    """Rejects of accepted bytes are reported with the first reasons and exit code 1."""
    with http_receiver() as receiver:
        receiver.otherwise = answer_of(0, 3_000)
        result = invoke("replay", ticks, "--to", "http", "--ingest-url", receiver.url)
    assert "0 ticks, 3,000 rejects" in result.stdout
    assert "line 1: bad_price: PRICE 'x' is not a decimal number" in result.stdout
    assert result.exit_code == 1
    assert "3,000 of 3,000 lines were rejected" in str(result.exception)


def test_a_repeated_file_has_the_same_ids(tmp_path: Path) -> None:
    """A file that is sent again has the same ids and counts once; `--again` sends none."""
    path = tmp_path / "ticks.csv"
    path.write_text(f"A,1,1,{START_MS}\nA,2,1,{START_MS}\n")
    with udp_receiver() as receiver:
        where = ("--udp-addr", address_of(receiver))
        invoke("replay", path, *where)
        invoke("replay", path, *where)
        first, second = received(receiver)
        assert first == second
        assert len({line.rsplit(b",", 1)[1] for line in first.splitlines()}) == 2
        invoke("replay", path, "--again", *where)
        assert received(receiver) == [path.read_bytes()]


def test_a_dry_run_shows_rows_and_sends_nothing(tmp_path: Path) -> None:
    """A dry run shows the guessed columns and the first rows, and sends nothing."""
    path = tmp_path / "BCHEUR.csv"
    path.write_text("1577836800,61.5,0.25\n" * 20)
    result = invoke("replay", path, "--dry-run", "--again")
    assert result.stdout.splitlines() == ["BCH-EUR,61.5,0.25,1577836800000000"] * 5
    assert "read as Kraken trades: symbol is BCH-EUR" in result.stderr
