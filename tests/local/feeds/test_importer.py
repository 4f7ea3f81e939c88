"""An import depends only on the files' content: interrupted or repeated, it sends the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.normalize.handler import Normalize
from local.feeds import batches as batching
from local.feeds.batches import batches
from local.feeds.files.layouts import Choice
from local.feeds.files.opening import Progress
from local.feeds.files.trades import Trades, read_trades
from local.feeds.importer import Imported, Normalizing, Positions, send
from shared.adapter.event import Event
from shared.adapter.sink import Sink
from shared.inputs.clock import ClockRule
from shared.wire import events, rejects
from shared.wire.compression import decompress
from shared.wire.ticks import Ticks
from tests.local.feeds.receivers import Answer, HttpReceiver, http_receiver

START_MS = 1_700_000_000_000
LINES = [f"A,{100 + n % 7},1,{START_MS + n}" for n in range(1_000)]


@pytest.fixture
def ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(batching, "BATCH_LINES", 100)
    path = tmp_path / "ticks.csv"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


def trades(path: Path) -> Iterator[Trades]:
    return (each.with_ids() for _, each in read_trades([path], Choice(), Progress()))


def imported(
    path: Path, receiver: HttpReceiver, positions: Path, stop_after: int = 10**9
) -> Imported:
    return asyncio.run(
        send(
            batches(trades(path)),
            Normalizing(),
            Sink(receiver.url, "/kandle/import"),
            Positions(positions),
            lambda _: None,
            lambda: len(receiver.requests) >= stop_after,
        )
    )


def bodies(receiver: HttpReceiver, type_: str) -> list[bytes]:
    """The bodies of events of a type."""
    some = (each for each in receiver.requests if each.headers["ce-type"] == type_)
    return [decompress(each.body) for each in some]


def test_every_line_is_sent_once(ticks: Path, tmp_path: Path) -> None:
    """Each line is in one of ten batches with continuing sequences, and bad ones are rejects."""
    with ticks.open("a") as file:
        file.write("A,wrong\n")
    with http_receiver() as receiver:
        done = imported(ticks, receiver, tmp_path / "positions")
    assert (done.accepted, done.rejected, done.batches) == (1_000, 1, 11)
    assert "bad_price" in done.first_errors[0]
    found = [Ticks.decode(body) for body in bodies(receiver, events.TICKS)]
    assert len(found) == 10
    found.sort(key=lambda each: int(each.sequence[0]))
    times = [time_us for each in found for time_us in each.event_time_us.tolist()]
    assert times == [(START_MS + n) * 1000 for n in range(1_000)]
    assert len({each.text_at(row) for each in found for row in range(len(each))}) == 1_000
    ((_, (reject,)),) = map(rejects.decode, bodies(receiver, events.REJECTS))
    assert reject.code == "bad_price"


def test_an_import_sends_the_events_of_normalize(ticks: Path, tmp_path: Path) -> None:
    """An import sends normalize's events under its ids.

    Ticks too far in the future are rejects, those beyond 64 bits an event of their own.
    """
    lines = [
        *(f"A,1.5,1,{START_MS}", "A,wrong", f"B,{10**30}.5,1,{START_MS}", "C,1,1,9999999999999"),
    ]
    ticks.write_text("".join(f"{line}\n" for line in lines))
    with http_receiver() as receiver:
        done = imported(ticks, receiver, tmp_path / "positions")
    (batch,) = batches(trades(ticks))
    first = Ticks.decode(bodies(receiver, events.TICKS)[0])
    raw = batch.raw_batch(int(first.receive_time_us[0]))
    cause = f"import-{batch.identity}-0"
    made = Normalize(ClockRule(5_000_000))(Event(cause, events.RAW, "/test", {}, raw.encode()))
    keys = {each.headers.get("ce-idempotencykey") for each in receiver.requests}
    assert keys == {cause}  # with other receive times they still count once
    sent = {each.headers["ce-id"]: each.body for each in receiver.requests}
    assert sent == {out.id: out.body for out in made.emit}
    assert (done.accepted, done.rejected, len(made.emit)) == (2, 2, 3)


def test_skipped_rows_and_unread_conditions_are_reported(ticks: Path, tmp_path: Path) -> None:
    """Official prices are reported as skipped; an unknown condition does not reject a trade."""
    ticks.write_text(f"A,1,1,{START_MS},,,M\nA,2,1,{START_MS},,,zz:1\nA,3,1,{START_MS},,,@\n")
    with http_receiver() as receiver:
        done = imported(ticks, receiver, tmp_path / "positions")
    assert (done.accepted, done.rejected) == (2, 0)
    assert dict(done.skipped) == {"official_price": 1}
    assert dict(done.unread) == {"condition zz:1": 1}


def test_a_second_run_resumes(ticks: Path, tmp_path: Path) -> None:
    """An interrupted import resumes, with the ids of an uninterrupted one."""
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


def test_a_refused_batch_is_sent_again(ticks: Path, tmp_path: Path) -> None:
    """A refused batch is sent again under its id before the position moves."""
    with http_receiver() as receiver:
        receiver.answers = [Answer(503), Answer(500)]
        done = imported(ticks, receiver, tmp_path / "positions")
        ids = [each.headers["ce-id"] for each in receiver.requests]
    assert done.batches == 10
    assert len(set(ids)) == 10
    assert len(ids) == 12
