"""The CloudEvents of Kandle: every type, extension and header name, defined once."""

from __future__ import annotations

from typing import Final

# Event types (attribute `type`).
RAW: Final = "dev.kandle.raw.v1"
TICKS: Final = "dev.kandle.ticks.v1"
QUOTES: Final = "dev.kandle.quotes.v1"
REJECTS: Final = "dev.kandle.rejects.v1"
BUSTS: Final = "dev.kandle.bust.v1"
CANDLES: Final = "dev.kandle.candles.v1"
LATE: Final = "dev.kandle.late.v1"
PATTERNS: Final = "dev.kandle.patterns.v1"
ALERTS: Final = "dev.kandle.alerts.v1"
ALERT_TEST: Final = "dev.kandle.alerts.test.v1"
"""Asks notify to notify each target now; the result is the reply."""
ALERT_TESTED: Final = "dev.kandle.alerts.tested.v1"
GAP: Final = "dev.kandle.gap.v1"
FEED: Final = "dev.kandle.feed.v1"
HISTORY: Final = "dev.kandle.history.v1"
CLOCK: Final = "dev.knative.sources.ping"
CLOCK_MAX_AGE_S: Final = 5.0
"""An older clock event is ignored: a later one has done the work."""

# Extension attributes.
CONTENT_ENCODING: Final = "datacontentencoding"
"""Compression of the payload: `zstd`, or absent."""
CLOSED: Final = "closed"
"""On candles: `true`, or `false` for open ones."""
RECEIVED: Final = "receivedus"
"""On display candles: receive time of the newest tick behind them, us since 1970."""
RULE: Final = "alertrule"
"""On an alert: the id of its rule."""
TRACEPARENT: Final = "traceparent"
IDEMPOTENCY_KEY: Final = "idempotencykey"
"""Idempotency: events with the same id are the same, whatever their bytes."""
DEAD_LETTER_DESTINATION: Final = "knativeerrordest"
"""On a dead letter: the subscriber that failed."""
DEAD_LETTER_CODE: Final = "knativeerrorcode"
"""On a dead letter: the subscriber's HTTP status."""
DEAD_LETTER_DATA: Final = "knativeerrordata"
"""On a dead letter: the response body, base64."""
REPLAYED: Final = "kandlereplayed"
"""On a replayed dead letter: its position in the stream."""

PROTOBUF: Final = "application/protobuf"
JSON: Final = "application/json"
ZSTD: Final = "zstd"

MAX_EVENT_BYTES: Final = 480 * 1024
"""Largest body that Kandle puts into one event. The channel stores an event as JSON in a message of
at most 1 MiB in which control bytes take six, so compressed bytes up to this size always pass."""
