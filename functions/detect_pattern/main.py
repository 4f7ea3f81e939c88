"""detect-pattern: closed candles in; patterns, anomalies and alerts out."""

from __future__ import annotations

import os

from functions.detect_pattern.deliver import AT_ONCE, Delivery
from functions.detect_pattern.detection import kind_of
from functions.detect_pattern.evaluate import EvaluationRules
from functions.detect_pattern.handler import DetectPattern
from functions.detect_pattern.publish import STAGE
from functions.detect_pattern.settings import Settings
from functions.detect_pattern.step import Steps
from functions.detect_pattern.storage import Storage
from functions.detect_pattern.store import Store
from shared.adapter.delegated import served
from shared.adapter.wiring import event_app
from shared.lake.reading.cold import Cold
from shared.realtime.watchlist import Watched, Watchlist
from shared.stores.postgres import Postgres
from shared.stores.redis import connect

EVALUATING = 4
"""Events evaluated at once; the detectors keep one core busy each."""


settings = Settings.from_env(os.environ)
client = connect(settings.redis_url)
postgres = Postgres(settings.database_url, size=EVALUATING + AT_ONCE + 1)
storage = Storage(postgres, Cold(settings.s3))
detection = settings.detection
rules = EvaluationRules(
    detection, kind_of, detection.lookback, settings.cooldown_us, settings.grace_ms
)
watchlist = Watchlist(client, settings.scanner_prefix)
handler = DetectPattern(
    Steps(storage, rules, selective=settings.watch == "watchlist"),
    Store(client, settings.shards),
    Delivery(storage, settings.alert_hosts),
    Watched(watchlist) if settings.watch == "watchlist" else None,
    settings.unused_ms,
)


app = event_app(
    STAGE, handler, os.environ, concurrency=EVALUATING + AT_ONCE, ready=handler.ready, emits=True
)
detect_pattern = served("detect_pattern", app)
