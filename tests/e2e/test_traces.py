"""One trace from a datagram, or a client's request, through every stage."""

from __future__ import annotations

import secrets

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.collector import Collector
from tests.e2e.client import eventually, fresh_symbol, rows, send_udp, web
from tests.e2e.test_live import until, watching

START_MS = 1_640_000_040_000
"""Of a minute."""

AFTER_NORMALIZE = {
    ("normalize", "candle-aggregate"),
    ("normalize", "persist"),
    ("normalize", "live-feed"),
    ("candle-aggregate", "persist"),
    ("candle-aggregate", "detect-pattern"),
    ("candle-aggregate", "live-feed"),
}
"""Who handed an event to whom: ticks, then the closed candle."""


def lines(symbol: str) -> list[str]:
    """Ticks of three minutes: the watermark closes the first."""
    return [f"{symbol},{10 + n},1,{START_MS + n * 30_000}" for n in range(6)]


def handed(collector: Collector, trace_id: str) -> set[tuple[str, str]]:
    """Pairs of stages, sender and receiver, of a trace."""
    spans = collector.trace(trace_id)
    stages = {span.span_id: collector.attributes(span)["kandle.stage"] for span in spans}
    return {
        (stages[span.parent_span_id], stages[span.span_id])
        for span in spans
        if span.parent_span_id in stages
    }


def test_a_datagram_is_one_trace_through_all_stages(
    pipeline: dict[str, str], collector: Collector
) -> None:
    """A datagram's trace has a span of every stage, each with its event's id as in Postgres."""
    symbol = fresh_symbol("TRACED")
    with watching(pipeline, f"ticks:{symbol}", f"candles:1m:{symbol}") as socket:
        until(socket, lambda frame: frame["type"] == "snapshot")
        send_udp(pipeline["UDP_ADDR"], lines(symbol))
    query = "SELECT DISTINCT event_id FROM ticks_raw WHERE instrument = %s"
    ((event_id,),) = eventually(
        lambda: rows(pipeline["DATABASE_URL"], query, symbol), lambda found: len(found) == 1
    )
    raw_id = event_id.split("/")[0]

    (root,) = eventually(lambda: of_event(collector, raw_id, "udp-listener"), bool)
    assert not root.parent_span_id
    trace_id = root.trace_id.hex()
    expected = {("udp-listener", "normalize"), *AFTER_NORMALIZE}
    assert eventually(lambda: handed(collector, trace_id), expected.__le__) >= expected
    spans = [collector.attributes(span) for span in collector.trace(trace_id)]
    persisted = [each for each in spans if each["kandle.stage"] == "persist"]
    assert event_id in {each["cloudevents.event_id"] for each in persisted}
    assert {each["kandle.outcome"] for each in persisted} == {"ok"}


def test_a_clients_trace_goes_on(pipeline: dict[str, str], collector: Collector) -> None:
    """POST /ingest continues a client's trace, and an invalid header begins a new one."""
    trace_id, parent = secrets.token_hex(16), secrets.token_hex(8)
    symbol = fresh_symbol("CLIENT")
    headers = {"traceparent": f"00-{trace_id}-{parent}-01"}
    with watching(pipeline, f"ticks:{symbol}", f"candles:1m:{symbol}") as socket:
        until(socket, lambda frame: frame["type"] == "snapshot")
        body = "\n".join(lines(symbol))
        web.post(pipeline["INGEST_URL"], content=body, headers=headers).raise_for_status()
    expected = {("udp-bridge", "normalize"), *AFTER_NORMALIZE}
    assert eventually(lambda: handed(collector, trace_id), expected.__le__) >= expected
    ours = [s for s in collector.trace(trace_id) if s.parent_span_id.hex() == parent]
    assert [collector.attributes(span)["kandle.stage"] for span in ours] == ["udp-bridge"]

    odd = {"traceparent": "00-" + "x" * 4_000}
    answer = web.post(pipeline["INGEST_URL"], content="ODDTRACE,1", headers=odd)
    assert answer.status_code == 202
    mine = eventually(lambda: of_event(collector, answer.json()["id"], "udp-bridge"), bool)
    assert [span.parent_span_id for span in mine] == [b""]


def of_event(collector: Collector, event_id: str, stage: str) -> list[Span]:
    wanted = {"cloudevents.event_id": event_id, "kandle.stage": stage}.items()
    return [s for s in list(collector.spans) if wanted <= collector.attributes(s).items()]
