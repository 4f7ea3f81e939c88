"""An import is a function of the files' content: interrupted or repeated, it sends the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.feeds import importer
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from local.feeds.files.trades import Trades, read_trades
from local.feeds.importer import Imported, Positions, batches, send
from shared.adapter.sink import Sink
from shared.compression import decompress
from shared.raw import RawBatch
from tests.local.feeds.receivers import Answer, HttpReceiver, http_receiver

START_MS = 1_700_000_000_000
LINES = [f"A,{100 + n % 7},1,{START_MS + n}" for n in range(1_000)]


@pytest.fixture
def ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(importer, "BATCH_LINES", 100)
    path = tmp_path / "ticks.csv"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


def trades(path: Path) -> Iterator[Trades]:
    return (each.with_ids() for _, each in read_trades([path], Choice(), Progress()))


def imported(
    path: Path, receiver: HttpReceiver, positions: Path, stop_after: int = 10**9
) -> Imported:
    async def run() -> Imported:
        sink = Sink(receiver.url, "/kandle/import")
        try:
            return await send(
                batches(trades(path)),
                sink,
                Positions(positions),
                lambda _: None,
                lambda: len(receiver.requests) >= stop_after,
            )
        finally:
            await sink.close()

    return asyncio.run(run())


def test_every_line_travels_once_and_is_judged(ticks: Path, tmp_path: Path) -> None:
    """Ten batches of a hundred lines, with sequences that go on; what is no tick is counted."""
    with ticks.open("a") as file:
        file.write("A,wrong\n")
    with http_receiver() as receiver:
        done = imported(ticks, receiver, tmp_path / "positions")
        bodies = [RawBatch.decode(decompress(each.body)) for each in receiver.requests]
    assert (done.accepted, done.rejected, done.batches) == (1_000, 1, 11)
    assert "bad_price" in done.first_errors[0]
    bodies.sort(key=lambda each: each.first_sequence)
    sent = b"\n".join(each.payloads for each in bodies).decode().splitlines()
    assert [line.rsplit(",", 2)[0] for line in sent[:1_000]] == LINES
    assert len({line.rsplit(",", 1)[1] for line in sent[:1_000]}) == 1_000


def test_a_second_run_goes_on_where_the_first_ended(ticks: Path, tmp_path: Path) -> None:
    """All batches have been sent, under the same ids as by a run that is not interrupted."""
    with http_receiver() as whole, http_receiver() as parts:
        imported(ticks, whole, tmp_path / "whole")
        first = imported(ticks, parts, tmp_path / "parts", stop_after=3)
        second = imported(ticks, parts, tmp_path / "parts")
        third = imported(ticks, parts, tmp_path / "parts")
        ids = [[each.headers["ce-id"] for each in receiver.requests] for receiver in (whole, parts)]
    assert 0 < first.batches < 10
    assert first.batches + second.batches == 10
    assert sorted(ids[0]) == sorted(ids[1])
    assert (third.batches, third.passed_over) == (0, 1_000)


def test_a_batch_that_is_not_taken_is_sent_again(ticks: Path, tmp_path: Path) -> None:
    """Under the same id; the position does not pass it."""
    with http_receiver() as receiver:
        receiver.answers = [Answer(503), Answer(500)]
        done = imported(ticks, receiver, tmp_path / "positions")
        ids = [each.headers["ce-id"] for each in receiver.requests]
    assert done.batches == 10
    assert len(set(ids)) == 10
    assert len(ids) == 12
