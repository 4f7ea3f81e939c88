from __future__ import annotations

import json
import signal
import socket
from collections import Counter
from pathlib import Path

import pytest

from local.servers.ports import free_port
from tests.local.cli.running import invoke, process, refusal
from tests.local.feeds.receivers import (
    address_of,
    http_receiver,
    received,
    udp_receiver,
)


def test_count_bounds_the_trades() -> None:
    """`--count` trades of the given instruments are sent, then it ends."""
    with udp_receiver() as receiver:
        result = invoke(
            *("simulate", "--symbols", "BTC-USD, FOO", "--count", 200, "--rate", 5_000),
            *("--udp-addr", address_of(receiver)),
        )
        lines = b"".join(received(receiver)).decode().splitlines()
    assert result.exit_code == 0
    assert len(lines) == 200
    assert {line.split(",")[0] for line in lines} == {"BTC-USD", "FOO"}
    assert all(len(line.split(",")) == 6 for line in lines)
    assert "sent 200 ticks, 0 of them late, 0 duplicates" in result.stdout


def test_the_summary_counts_late_and_repeated_ticks() -> None:
    """The summary counts late and repeated ticks, and held-back ones are sent at the end."""
    with http_receiver() as receiver:
        result = invoke(
            *("simulate", "--count", 500, "--rate", 5_000, "--seed", 3, "--late-share", 0.2),
            *("--duplicate-share", 0.1, "--to", "http", "--ingest-url", receiver.url),
        )
        lines = b"".join(request.body for request in receiver.requests).decode().splitlines()
        summary = invoke(
            *("simulate", "--count", 50, "--rate", 5_000, "--json"),
            *("--to", "http", "--ingest-url", receiver.url),
        )
    copies = Counter(lines)
    repeated = copies.total() - len(copies)
    assert len(copies) == 500
    assert repeated > 20
    assert f"sent {len(lines)} ticks" in result.stdout
    assert f"{repeated} duplicates" in result.stdout
    assert json.loads(summary.stdout)["ticks"] == 50


def test_seconds_bound_the_run() -> None:
    """`--seconds` bounds the run."""
    with udp_receiver() as receiver:
        result = invoke("simulate", "--seconds", 0.2, "--udp-addr", address_of(receiver))
    assert result.exit_code == 0
    assert "datagrams" in result.stdout


def test_a_missing_listener_is_reported() -> None:
    """Without a listener the market goes on, and the missing listener is reported."""
    nowhere = f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    result = invoke("simulate", "--count", 50, "--rate", 2_000, "--udp-addr", nowhere)
    assert result.exit_code == 0
    assert "nothing is listening" in result.stderr
    assert "50 of these ticks found no listener" in result.stderr


def test_symbols_that_cannot_be_sent_are_refused() -> None:
    """No symbol, or one that would break a line, is refused."""
    assert "at least one instrument" in refusal("simulate", "--symbols", " , ")
    assert "control" in refusal("simulate", "--symbols", "A\tB")


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_market_stops_cleanly_at_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    """A signal ends the market with a summary and exit code 0."""
    with (
        udp_receiver() as receiver,
        process("simulate", "--udp-addr", address_of(receiver), cwd=tmp_path) as command,
    ):
        receiver.settimeout(60)
        assert receiver.recv(2_000)
        command.send_signal(number)
        out, err = command.communicate(timeout=30)
    assert out.startswith("sent ")
    assert (command.returncode, err) == (0, "")
