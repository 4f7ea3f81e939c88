"""Each event function behind the adapter, over real stores: any request gets a proper response.

204 if it was processed or dead-lettered; 400 or 413 if it is not an event, which no broker sends.
Never 5xx: the broker would redeliver it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Final

import httpx
import pytest
import redis
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from functions.candle_aggregate.display import Display
from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.handler import Aggregate, wall_clock_us
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.steps.store import Store
from functions.candle_aggregate.storage import Storage as ClockStorage
from functions.dead_letter.handler import DeadLetterHandler
from functions.detect_pattern.deliver import Delivery
from functions.detect_pattern.detection import Detection, kind_of
from functions.detect_pattern.evaluate import EvaluationRules
from functions.detect_pattern.handler import DetectPattern
from functions.detect_pattern.step import Steps
from functions.detect_pattern.storage import Storage
from functions.detect_pattern.store import Store as PatternStore
from functions.live_feed.handler import LiveHandler
from functions.live_feed.stream import Limits, LiveStream
from functions.normalize.handler import Normalize
from functions.notify.claims import Claims
from functions.notify.handler import Notify
from functions.persist.busts import BustWriter
from functions.persist.feeds import FeedWriter
from functions.persist.group_commit import grouped
from functions.persist.handler import Persist
from functions.persist.patterns import PatternWriter
from functions.persist.quotes import QuoteWriter
from functions.persist.tick_writer import TickWriter
from functions.persist.writer import Writer
from functions.pipeline.routing import STAGES_BY_TYPE
from shared.adapter.app import EventApp, Handler
from shared.adapter.sink import Sink
from shared.analysis.anomalies import AnomalySettings
from shared.analysis.detectors.settings import DetectorSettings
from shared.inputs.clock import ClockRule
from shared.market.timeframes import DEFAULT_LADDER, parse_ladder
from shared.realtime.leases import Watched
from shared.runtime.settings import Environment
from shared.schema import (
    busts_pb2,
    candles_pb2,
    feeds_pb2,
    gaps_pb2,
    late_pb2,
    patterns_pb2,
    quotes_pb2,
    raw_pb2,
    rejects_pb2,
)
from shared.stores.postgres import Postgres
from shared.wire import events
from shared.wire.compression import compress
from tests.fuzz.inputs import (
    bombs,
    candle_batches,
    encoded,
    jsons,
    messages,
    texts,
    tick_batches,
    tries,
)
from tests.local.broker.subscriber import Subscriber

BODIES: Final[Mapping[str, st.SearchStrategy[Message]]] = {
    events.RAW: messages(raw_pb2.RawBatch),
    events.TICKS: tick_batches(),
    events.REJECTS: messages(rejects_pb2.RejectBatch),
    events.CANDLES: candle_batches() | messages(candles_pb2.CandleBatch),
    events.LATE: messages(late_pb2.LateBatch),
    events.PATTERNS: messages(patterns_pb2.PatternBatch),
    events.QUOTES: messages(quotes_pb2.QuoteBatch),
    events.BUSTS: messages(busts_pb2.BustBatch),
    events.GAP: messages(gaps_pb2.GapBatch),
    events.HISTORY: messages(candles_pb2.CandleHistory),
    events.FEED: messages(feeds_pb2.FeedStatus),
    events.CLOCK: st.just(raw_pb2.RawBatch()),
}

Request = tuple[list[tuple[bytes, bytes]], bytes]


@st.composite
def requests(draw: st.DrawFn, stage: str) -> Request:
    """Headers and body, mostly of an event of the stage, with arbitrary attributes and bytes."""
    of_stage = [name for name, stages in STAGES_BY_TYPE.items() if stage in stages] or list(
        STAGES_BY_TYPE
    )
    type_ = draw(st.sampled_from(of_stage) | st.sampled_from([*sorted(BODIES), events.ALERTS]))
    body = draw(jsons if type_ == events.ALERTS else encoded(BODIES[type_]))
    attributes = {
        "specversion": "1.0",
        "type": type_,
        "source": "/fuzz",
        "id": draw(st.uuids()).hex,
    }
    if draw(st.booleans()):
        body = compress(body)
        attributes[events.CONTENT_ENCODING] = events.ZSTD
    changed = st.sampled_from([*attributes, "time", "traceparent", "datacontentencoding", "x"])
    attributes |= draw(st.dictionaries(changed, texts | st.just("zstd"), max_size=2))
    for name in draw(st.sets(st.sampled_from(sorted(attributes)), max_size=1)):
        del attributes[name]
    headers = [
        (f"ce-{name}".encode(), value.encode()) for name, value in attributes.items() if value
    ]
    headers.append((b"content-type", draw(st.sampled_from(CONTENT_TYPES))))
    return headers, body


CONTENT_TYPES: Final = (
    *(b"application/protobuf", b"application/json", b"application/cloudevents+json"),
    *(b"application/cloudevents-batch+json", b"text/plain; charset=no", b"\xff", b""),
)


@pytest.fixture
def sink() -> Iterator[Subscriber]:
    started = Subscriber()
    yield started
    started.close()


@pytest.fixture
def handlers(
    database: str, valkey: redis.Redis, servers: dict[str, str]
) -> Iterator[dict[str, Handler]]:
    postgres = Postgres(database, size=2)
    rules = Rules(
        parse_ladder(DEFAULT_LADDER), 2_000_000, 5_000_000, 600_000, unused_us=0, shards=2
    )
    store = Store(valkey)
    storage = ClockStorage(store, postgres, rules, wall_clock_us)
    engine = Engine(store, rules, storage, wall_clock_us, Display(Watched(valkey), 250_000))
    yield {
        "normalize": Normalize(ClockRule(60_000_000)),
        "persist": Persist(
            grouped(TickWriter(postgres), 0),
            Writer(postgres),
            PatternWriter(postgres),
            FeedWriter(postgres),
            QuoteWriter(postgres),
            BustWriter(postgres),
        ),
        "candle-aggregate": Aggregate(engine, storage),
        "dead-letter": DeadLetterHandler(servers["NATS_URL"]),
        "notify": Notify(Claims(postgres), ()),
        "detect-pattern": detector(Storage(postgres), PatternStore(valkey, 1)),
        "live-feed": LiveHandler(LiveStream(servers["NATS_URL"], Limits()), Watched(valkey), 1, 50),
    }
    engine.close()
    postgres.close()


def detector(storage: Storage, store: PatternStore) -> DetectPattern:
    """All detectors and anomalies with an alert sink that discards."""
    none = Environment({})
    detection = Detection(DetectorSettings.read(none), AnomalySettings.read(none))
    rules = EvaluationRules(detection, kind_of, detection.lookback, 300_000_000, 3_000)
    return DetectPattern(Steps(storage, rules), store, Delivery(storage, frozenset({"nowhere"})))


class Function:
    """A function behind its adapter, in an event loop of its own."""

    def __init__(self, stage: str, handle: Handler, sink: Subscriber) -> None:
        self._runner = asyncio.Runner()
        self._handle = handle
        self._sinks = [Sink(sink.url, "/fuzz"), Sink(f"{sink.url}/sink", "/fuzz")]
        taken, letters = self._sinks
        app = EventApp(stage, handle, taken, dead_letters=letters, address="http://{namespace}")
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://fuzz")

    def post(self, request: Request) -> httpx.Response:
        headers, body = request
        return self._runner.run(self._client.post("/", headers=headers, content=body))

    def close(self) -> None:
        for each in self._sinks:
            self._runner.run(each.close())
        if isinstance(self._handle, DeadLetterHandler):
            self._runner.run(self._handle.close())
        if isinstance(self._handle, LiveHandler):
            self._runner.run(self._handle.stream.close())
        self._runner.run(self._client.aclose())
        self._runner.close()


STAGES: Final = (
    *("normalize", "persist", "candle-aggregate"),
    *("detect-pattern", "notify", "live-feed", "dead-letter"),
)


@pytest.mark.parametrize("stage", STAGES)
def test_any_request_gets_a_proper_response(
    stage: str, handlers: dict[str, Handler], sink: Subscriber
) -> None:
    """Any attributes and body get a proper response, and the next event is processed."""
    function = Function(stage, handlers[stage], sink)

    @tries(60)
    @given(requests(stage))
    def holds(request: Request) -> None:
        answer = function.post(request)
        assert answer.status_code in (204, 400, 413), answer.text
        assert not (answer.status_code == 204 and answer.content)

    try:
        for body in bombs():
            headers = {"specversion": "1.0", "type": events.TICKS, "source": "/f", "id": "bomb"}
            pairs = [(f"ce-{name}".encode(), text.encode()) for name, text in headers.items()]
            for encoding in (b"", events.ZSTD.encode()):
                sent = [*pairs, (b"ce-datacontentencoding", encoding)] if encoding else pairs
                assert function.post((sent, body)).status_code in (204, 413)
        holds()
    finally:
        function.close()
