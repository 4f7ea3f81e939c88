"""POST /ingest over a real sink: 202 only when the sink has it, and the errors otherwise."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import hashlib
import lzma
import time
import zlib

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from functions.udp_bridge.ingest import Ingest
from shared.adapter.sink import Sink
from shared.inputs.clock import ClockRule
from shared.inputs.columns.parsed import FeedRules
from shared.wire.compression import compress, decompress
from shared.wire.raw_batch import (
    FORMAT_CSV,
    FORMAT_CSV_DECIMAL_COMMA,
    FORMAT_SCANNER,
    FORMAT_TICKER_STREAM,
    RawBatch,
)
from tests.local.broker.subscriber import Reply, Subscriber

LINES = b"".join(b"GZ,%d,1,%d,buy,%d\n" % (i, 1735689600000 + i, i) for i in range(1, 1001))


def post(
    subscriber: Subscriber, *bodies: bytes, **headers: str
) -> list[tuple[httpx.Response, list[RawBatch]]]:
    """The response to each body in turn, with what the sink had by then."""

    async def whole() -> list[tuple[httpx.Response, list[RawBatch]]]:
        sink = Sink(subscriber.url, "/test")
        ingest = Ingest(sink, "http-1", 100_000, FeedRules(), ClockRule(5_000_000))
        app = Starlette(routes=[Route("/ingest", ingest.post, methods=["POST"])])
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answers = []
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test"
        ) as client:
            for body in bodies:
                answer = await client.post("/ingest", content=body, headers=named)
                taken = [RawBatch.decode(decompress(r.body)) for r in subscriber.received]
                answers.append((answer, taken))
        await sink.close()
        return answers

    return asyncio.run(whole())


def test_an_answer_of_202_means_that_the_sink_has_it(subscriber: Subscriber) -> None:
    """A response of 202 means that the sink has it, with sequences that continue over bodies."""
    (first, had_first), (second, had_both) = post(subscriber, b"A,1\nA,2\n", b"A,3\n")
    assert (first.status_code, first.json()) == (
        202,
        {"id": "http-1-0", "bytes": 8, "lines": 2, "accepted": 2, "rejected": 0,
         "first_errors": []},
    )  # fmt: skip
    assert [(b.format, b.payloads) for b in had_first] == [(FORMAT_CSV, b"A,1\nA,2\n")]
    assert (second.status_code, second.json()["id"]) == (202, "http-1-1")
    assert [b.first_sequence for b in had_both] == [0, 1]


@pytest.mark.parametrize("content_type", ["application/x-protobuf", "Application/Protobuf; v=1"])
def test_protobuf_is_recognized_by_its_content_type(
    subscriber: Subscriber, content_type: str
) -> None:
    """A protobuf body is recognized by its content type and forwarded unchanged."""
    ((answer, taken),) = post(subscriber, b"\x02ab\x01c", content_type=content_type)
    assert answer.status_code == 202
    assert [(b.format, b.payloads) for b in taken] == [(FORMAT_TICKER_STREAM, b"\x02ab\x01c")]


def test_json_objects_are_a_payload_each(subscriber: Subscriber) -> None:
    """Each JSON object is a payload, as the scanner's bridge sends them."""
    ((answer, taken),) = post(subscriber, b'[{"a":1}, {"b":2}]', content_type="application/json")
    assert answer.status_code == 202
    assert [(b.format, b.payloads, b.lengths.tolist()) for b in taken] == [
        (FORMAT_SCANNER, b'{"a":1}{"b":2}', [7, 7])
    ]


def test_an_unreachable_sink_is_503_and_a_retry_has_the_same_id(
    subscriber: Subscriber,
) -> None:
    """An unreachable sink is 503 with Retry-After, and a retry under the key has the same id."""
    event_id = f"http-k1-{hashlib.sha256(b'A,1').hexdigest()[:16]}"
    subscriber.script[event_id] = [Reply(503)] * 4 + [Reply(202)]
    (refused, _), (taken, _) = post(subscriber, b"A,1", b"A,1", idempotency_key="k1")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "send it again, with the same key" in refused.json()["detail"]
    assert (taken.status_code, taken.json()["id"]) == (202, event_id)
    assert subscriber.of(event_id)[0].headers["ce-idempotencykey"] == "k1"


def test_another_body_under_a_key_is_another_event(subscriber: Subscriber) -> None:
    """Another body under a reused key is another event: key and body make the id."""
    (first, _), (second, _), (again, _) = post(
        subscriber, b"A,1", b"A,2", b"A,1", idempotency_key="k2"
    )
    ids = [answer.json()["id"] for answer in (first, second, again)]
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b"A,1\n" * 25_001, {}, 413, "a body may have 100000 bytes"),
        (b"\n" * 40_000, {}, 413, "a body may have 32768 lines"),
        (b"", {}, 400, "send lines SYMBOL,PRICE"),
        (b"", {"content_type": "application/x-protobuf"}, 400, "each behind its length"),
        (b"A,1", {"idempotency_key": "a b"}, 400, "1 to 128"),
        (b"{}", {"content_type": "application/xml"}, 415, "send text/csv lines, application/json"),
        (b"{", {"content_type": "application/json"}, 400, "an array of such"),
        (
            b"A,1",
            {"content_encoding": "br"},
            415,
            "br is not read: send it as it is, or one of gzip",
        ),
        (b"A,1", {"content_encoding": "gzip, gzip"}, 415, "send it as it is"),
        (b"A,1", {"content_encoding": "gzip"}, 400, "not a complete gzip"),
        (gzip.compress(LINES)[:-9], {"content_encoding": "gzip"}, 400, "it is cut off"),
        (zlib.compress(LINES)[:-9], {"content_encoding": "deflate"}, 400, "it is cut off"),
        (compress(LINES)[:-3], {"content_encoding": "zstd"}, 400, "it is cut off"),
        (gzip.compress(bytes(1 << 23)), {"content_encoding": "gzip"}, 413, "200 times its size"),
        (zlib.compress(bytes(1 << 23)), {"content_encoding": "deflate"}, 413, "send several"),
        (compress(bytes(1 << 23)), {"content_encoding": "zstd"}, 413, "send several"),
        (gzip.compress(gzip.compress(LINES)), {"content_encoding": "gzip"}, 415, "packed once"),
        (b"PAR1\x15\x04", {"content_type": "text/csv"}, 415, "a Parquet file"),
        (b"A,1", {"content_type": "text/csv; charset=latin-1"}, 415, "send UTF-8"),
    ],
)
def test_a_refused_body_is_a_problem_with_a_fix(
    subscriber: Subscriber, body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    """A refused body is problem+json with a fix, and does not reach the sink."""
    ((answer, taken),) = post(subscriber, body, **headers)
    assert (answer.status_code, taken) == (status, [])
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (gzip.compress(LINES), "send it with Content-Encoding: gzip"),
        (compress(LINES), "send it with Content-Encoding: zstd"),
        (bz2.compress(LINES), "bzip2: unpack it"),
        (lzma.compress(LINES), "xz: unpack it"),
        ('{"symbol":"A","price":1}'.encode("utf-16"), "UTF-16 text: send UTF-8"),
        ('{"symbol":"A","price":1}'.encode("utf-16-le"), "UTF-16 text: send UTF-8"),
    ],
)
@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/csv",
        "application/json",
        "application/x-ndjson",
        "application/x-ndjson; feed=okx",
        "application/json; feed=alpaca",
        "application/fix",
        "application/x-protobuf",
    ],
)
def test_a_compressed_body_without_its_encoding_is_refused(
    subscriber: Subscriber, body: bytes, said: str, content_type: str
) -> None:
    """A body that is compressed or UTF-16 and does not say so is refused, whatever its type."""
    ((answer, taken),) = post(subscriber, body, content_type=content_type)
    assert (answer.status_code, taken) == (415, [])
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(LINES)),
        ("x-gzip", gzip.compress(LINES[:5_000]) + gzip.compress(LINES[5_000:])),
        ("GZIP", gzip.compress(LINES)),
        ("deflate", zlib.compress(LINES)),
        ("deflate", zlib.compress(LINES, wbits=-15)),
        ("zstd", compress(LINES)),
        ("zstd", compress(LINES[:5_000]) + compress(LINES[5_000:])),
        ("identity", LINES),
    ],
)
@pytest.mark.parametrize("content_type", ["text/csv", "application/x-ndjson"])
def test_a_compressed_body_is_its_lines(
    subscriber: Subscriber, encoding: str, body: bytes, content_type: str
) -> None:
    """A compressed body is sent as its lines, each of which becomes a tick or a reject."""
    ((answer, (batch,)),) = post(
        subscriber, body, content_encoding=encoding, content_type=content_type
    )
    ticks = 1000 if content_type == "text/csv" else 0
    assert batch.payloads.replace(b"\n", b"") == LINES.replace(b"\n", b"")
    assert (answer.status_code, answer.json()["accepted"]) == (202, ticks)
    assert answer.json()["rejected"] == 1000 - ticks


def test_the_response_lists_rejects_by_line(subscriber: Subscriber) -> None:
    """The response lists rejects by line of the body, in any payload and with a header."""
    rows = [b"%d,%d,AB" % (1735689600 + i, i) for i in range(5_000)]
    rows[4_543] = b"20250220,1,AB"
    rows[4_544] = b"1735689600,1,A,B,C"
    body = b"time;price;symbol;mood\n" + b"\n".join(rows).replace(b",", b";")
    ((answer, (batch,)),) = post(subscriber, body, content_type="text/csv")
    said = answer.json()
    assert len(batch.lengths) > 1
    assert (said["lines"], said["accepted"], said["rejected"]) == (5000, 4998, 2)
    assert [(error["line"], error["code"], error["text"]) for error in said["first_errors"]] == [
        (4545, "bad_time", "20250220;1;AB"),
        (4546, "bad_line", "1735689600;1;A;B;C"),
    ]
    assert "write 2025-02-20" in said["first_errors"][0]["detail"]
    assert said["fields_not_read"] == ["mood"]


@pytest.mark.parametrize("content_type", ["", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize(
    ("body", "ticks"),
    [(b'{"symbol":"A","price":1}', 1), (b'{"s":"A","p":1}\n{"s":"B","p":2}', 2), (b"A,1", 1)],
)
def test_an_untyped_body_is_recognized_by_its_first_character(
    subscriber: Subscriber, content_type: str, body: bytes, ticks: int
) -> None:
    """A body of an unknown type, as of `curl -d`, is recognized by its first character."""
    headers = {"content_type": content_type} if content_type else {}
    ((answer, _),) = post(subscriber, body, **headers)
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (ticks, 0)


def test_decimal_commas_are_read_where_they_are_declared(subscriber: Subscriber) -> None:
    """Decimal commas are read if declared, and else rejects that name the declaration."""
    body = b"A.B;61.845,68;0,5;1735689600\nA.B;-1,5;2;2025-01-01T00:00:00Z;sell\n"
    ((declared, (batch,)), (plain, _)) = (
        post(subscriber, body, content_type=f"text/csv{parameter}")[0]
        for parameter in ("; decimal=comma", "")
    )
    assert batch.format == FORMAT_CSV_DECIMAL_COMMA
    assert declared.json()["accepted"] == 2
    assert plain.json()["rejected"] == 2
    assert "decimal=comma" in plain.json()["first_errors"][1]["detail"]


def test_a_tick_ahead_of_the_clock_is_not_counted_as_accepted(subscriber: Subscriber) -> None:
    """The response does not count a tick ahead of the clock as accepted, by normalize's rule."""
    ahead = b"A,1,1,%d\nA,1" % (time.time_ns() // 1_000_000 + 60_000)
    ((answer, _),) = post(subscriber, ahead, content_type="text/csv")
    said = answer.json()
    assert (said["lines"], said["accepted"], said["rejected"]) == (2, 1, 1)
    assert said["first_errors"][0]["code"] == "time_in_future"
