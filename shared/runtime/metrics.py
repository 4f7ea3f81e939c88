"""Every metric of Kandle, declared before it is used. Prometheus names: kandle_<what>_<unit>."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

EVENTS_RECEIVED: Final = Counter(
    "kandle_events_received", "Events answered, by outcome.", ["stage", "outcome"]
)
EVENTS_EMITTED: Final = Counter("kandle_events_emitted", "Events the broker accepted.", ["stage"])
SINK_REFUSED: Final = Counter(
    "kandle_sink_refused_posts",
    "Posts of events that a sink refused, by HTTP status (`none`: no answer).",
    ["source", "status"],
)
DISPLAY_EVENTS: Final = Counter(
    "kandle_display_events",
    "Events offered to Broker display, by outcome.",
    ["outcome"],
)
EVENT_SECONDS: Final = Histogram(
    "kandle_event_seconds",
    "Processing time of an event, without its wait.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)

TICK_TO_STAGE: Final = Histogram(
    "kandle_tick_to_stage_seconds",
    "From the receipt of an event's oldest tick until the stage has finished the event.",
    ["stage"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
REQUESTS_REFUSED: Final = Counter(
    "kandle_requests_refused", "Refused requests, by reason: token, origin, rate.", ["why"]
)

UDP_DATAGRAMS: Final = Counter("kandle_udp_datagrams", "Datagrams received.")
UDP_BYTES: Final = Counter("kandle_udp_bytes", "Bytes received in datagrams.")
UDP_SENT: Final = Counter("kandle_udp_sent_datagrams", "Datagrams the broker accepted.")
UDP_DROPPED: Final = Counter("kandle_udp_dropped_datagrams", "Datagrams lost, by where.", ["where"])
UDP_BUFFERED: Final = Gauge("kandle_udp_buffered_bytes", "Bytes waiting for the broker.")
INGEST_BYTES: Final = Counter("kandle_ingest_bytes", "Bytes accepted by POST /ingest.")

FEED_MESSAGES: Final = Counter(
    "kandle_feed_messages", "Messages received from an exchange, by kind.", ["feed", "kind"]
)
FEED_SENT: Final = Counter("kandle_feed_sent_messages", "Messages the broker accepted.")
FEED_DROPPED: Final = Counter(
    "kandle_feed_dropped_messages", "Messages dropped, by reason.", ["feed", "why"]
)
FEED_BUFFERED: Final = Gauge("kandle_feed_buffered_bytes", "Bytes waiting for the broker.")
FEED_UP: Final = Gauge("kandle_feed_up", "Whether the subscription is confirmed.", ["feed"])
FEED_RECONNECTS: Final = Counter(
    "kandle_feed_reconnects", "Reconnections, by reason.", ["feed", "why"]
)
FEED_SKEW: Final = Gauge(
    "kandle_feed_skew_seconds", "The exchange's clock minus the bridge's.", ["feed"]
)
GAPS: Final = Counter("kandle_gaps", "Gaps found in a feed's trade ids.", ["feed"])
GAPS_FILLED: Final = Counter("kandle_gaps_filled", "Gaps whose trades were fetched.", ["feed"])
GAPS_OPEN: Final = Gauge("kandle_gaps_open", "Gaps whose trades are missing.", ["feed"])
BACKFILLED: Final = Counter("kandle_backfilled_trades", "Trades fetched for gaps.", ["feed"])
HISTORY_CANDLES: Final = Counter(
    "kandle_history_candles", "Historical candles fetched from the venue.", ["feed"]
)
BACKFILL_REQUESTS: Final = Counter(
    "kandle_backfill_requests", "REST requests, by outcome.", ["feed", "outcome"]
)

TICKS: Final = Counter("kandle_ticks", "Ticks normalized, also of events delivered again.")
QUOTES: Final = Counter("kandle_quotes", "Quotes normalized.")
REJECTS: Final = Counter("kandle_rejects", "Input lines rejected.", ["reason", "source"])
FIELDS_UNREAD: Final = Counter(
    "kandle_fields_unread",
    "Fields or columns that nobody reads and that could be data, by name.",
    ["field", "source"],
)
MESSAGES_SKIPPED: Final = Counter(
    "kandle_messages_skipped",
    "Messages of feeds that are neither trades nor quotes, by kind.",
    ["kind"],
)
TICKS_DUPLICATE: Final = Counter("kandle_ticks_duplicate", "Ticks whose trade id was seen before.")
CANDLES_EVICTED: Final = Counter("kandle_candles_evicted", "Candles that left the live state.")
PATTERN_SERIES_UNUSED: Final = Counter(
    "kandle_pattern_series_unused", "Series of detect-pattern that left Redis, unused."
)
INSTRUMENTS_UNUSED: Final = Counter(
    "kandle_instruments_unused", "Records of instruments that left the live state, unused."
)
CANDLES_SAMPLED: Final = Counter(
    "kandle_candles_sampled", "Closed candles compared with their stored ticks."
)
CANDLES_DIFFER: Final = Counter(
    "kandle_candles_differ", "Sampled candles that differ from their stored ticks: must stay 0."
)
CANDLES_REPAIRED: Final = Counter("kandle_candles_repaired", "Candles recomputed from storage.")
EVENTS_RECONCILED: Final = Counter(
    "kandle_events_reconciled", "Stored events that had not been applied, applied by the clock."
)
CANDLES_CORRECTED: Final = Counter(
    "kandle_candles_corrected", "Closed candles that changed and were emitted again."
)
WATERMARK_DELAY: Final = Gauge(
    "kandle_watermark_delay_seconds",
    "Wall clock minus the newest event time of the last batch applied.",
)
CANDLES_PUBLISHED: Final = Counter("kandle_candles_published", "Closed candles emitted.")
APPLY_CONFLICTS: Final = Counter("kandle_apply_conflicts", "Atomic steps retried.")

TICKS_STORED: Final = Counter("kandle_ticks_stored", "Ticks written to Postgres.")
QUOTES_LATEST: Final = Counter(
    "kandle_quotes_latest", "Times that an instrument's latest quote moved forward in Postgres."
)
CANDLES_STORED: Final = Counter("kandle_candles_stored", "Closed candles written to Postgres.")
REJECTS_STORED: Final = Counter("kandle_rejects_stored", "Rejects written to Postgres.")
BUSTS: Final = Counter(
    "kandle_busts", "Cancels and corrections of trades, by outcome.", ["outcome"]
)
PATTERNS_DETECTED: Final = Counter(
    "kandle_patterns_detected", "Patterns emitted, by kind and status.", ["kind", "status"]
)
PATTERN_CANDLES_TOO_OLD: Final = Counter(
    "kandle_pattern_candles_too_old", "Corrected candles too far back to be evaluated again."
)
ALERTS_RAISED: Final = Counter("kandle_alerts_raised", "Alerts emitted.")
ALERTS_DELIVERED: Final = Counter("kandle_alerts_delivered", "Alerts that their sink accepted.")
NOTIFICATIONS: Final = Counter(
    "kandle_notifications", "Notifications of alerts sent to services.", ["outcome"]
)
STOCKS_MONITORED: Final = Gauge("kandle_stocks_monitored", "Instruments evaluated for patterns.")

PATTERNS_STORED: Final = Counter("kandle_patterns_stored", "Patterns written to Postgres.")
LAKE_TICKS: Final = Counter("kandle_lake_ticks", "Ticks copied to the lake.")
LAKE_COMPACTED: Final = Counter("kandle_lake_compacted", "Groups of small files compacted.")
LAKE_DROPPED: Final = Counter(
    "kandle_lake_dropped", "Day partitions of ticks, and candles, that left Postgres.", ["what"]
)
LAKE_FAILED_ROUNDS: Final = Gauge(
    "kandle_lake_failed_rounds",
    "Consecutive rounds in which a piece of the lake's work failed; no series after a success.",
    ["work"],
)
ROWS_ENDED: Final = Counter(
    "kandle_rows_ended", "Rows deleted from Postgres past their term.", ["table"]
)
TABLE_BYTES: Final = Gauge(
    "kandle_table_bytes", "Bytes of a table in Postgres with its indexes.", ["table"]
)
LAKE_DIFFERS: Final = Counter(
    "kandle_lake_differs", "Files that differed from what was written when read back: must stay 0."
)
EVENTS_REPEATED: Final = Counter(
    "kandle_events_repeated", "Events that were already applied.", ["stage"]
)
DEAD_LETTERS: Final = Counter("kandle_dead_letters", "Events stored as dead letters.")

LIVE_MESSAGES: Final = Counter("kandle_live_messages", "Messages read from the live stream.")
LIVE_UNREADABLE: Final = Counter(
    "kandle_live_unreadable_messages", "Messages of the live stream that cannot be read: skipped."
)
LIVE_CLIENTS: Final = Gauge("kandle_live_clients", "Clients connected now.", ["protocol"])
LIVE_AGE: Final = Gauge(
    "kandle_live_age_seconds",
    "From the newest tick's receipt until watchers get it; 0: no recent messages.",
    ["kind"],
)
LIVE_REPLAYS: Final = Gauge("kandle_live_replays", "Replays running now.")
LIVE_DISCONNECTED: Final = Counter(
    "kandle_live_disconnected", "Clients that were disconnected, by reason.", ["reason"]
)
LIVE_TICKS_CONFLATED: Final = Counter(
    "kandle_live_ticks_conflated", "Ticks of bursts that were not sent to watchers one by one."
)

TRIGGER_LAG: Final = "kandle_trigger_lag"
"""Events that wait for a trigger or are unanswered: as the local broker reports them.

In a cluster NATS's own exporter reports it, as `jetstream_consumer_num_pending`."""
TRIGGER_IN_FLIGHT: Final = "kandle_trigger_in_flight"
"""Events being delivered by a trigger now. Local broker only."""
TRIGGER_EVENTS: Final = "kandle_trigger_events"
"""By outcome: delivered, filtered, retried, dead_lettered, lost. Local broker only."""
BROKER_EVENTS: Final = "kandle_broker_events"
"""By outcome: accepted, duplicates, refused. Local broker only."""
