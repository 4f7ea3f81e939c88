"""Metrics of a running pipeline exist at one address and change with ticks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.client import candles, eventually, fresh_symbol, send_udp, web
from tests.e2e.test_live import until, watching

START_MS = 1_650_000_000_000

Series = dict[tuple[str, str], float]


def scraped(url: str, what: tuple[str, ...] = ("stage", "reason", "trigger", "shard")) -> Series:
    """Values by name and the first of these labels, or an empty string."""
    found: Series = defaultdict(float)
    text = web.get(f"{url}/metrics", timeout=30).raise_for_status().text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            told = next((sample.labels[each] for each in what if each in sample.labels), "")
            found[sample.name, told] += sample.value
    return found


def grown(before: Series, url: str, *wanted: tuple[str, str]) -> Callable[[], list[object]]:
    """The metrics that have not changed yet."""

    def still() -> list[object]:
        now = scraped(url)
        return [each for each in wanted if not now.get(each, 0) > before.get(each, 0)]

    return still


def test_every_kind_of_series_moves(pipeline: dict[str, str]) -> None:
    """Rates, latencies, closed candles, corrections, rejects and deliveries change with ticks."""
    url, symbol = pipeline["OBSERVE_URL"], fresh_symbol("METRICS")
    before = scraped(url)
    lines = [f"{symbol},{100 + n},1,{START_MS + n * 1000}" for n in range(300)]
    with watching(pipeline, f"ticks:{symbol}") as socket:
        until(socket, lambda frame: frame["type"] == "snapshot")
        send_udp(pipeline["UDP_ADDR"], [*lines, f"{symbol},no-price,1,{START_MS}"])
    stages = ("normalize", "candle-aggregate", "persist", "live-feed")
    still = grown(
        before,
        url,
        ("kandle_udp_datagrams_total", ""),
        ("kandle_udp_bytes_total", ""),
        ("kandle_ticks_total", ""),
        ("kandle_ticks_stored_total", ""),
        ("kandle_candles_published_total", ""),
        ("kandle_candles_stored_total", ""),
        ("kandle_rejects_total", "bad_price"),
        ("kandle_rejects_stored_total", ""),
        *((f"kandle_tick_to_stage_seconds_{end}", s) for s in stages for end in ("count", "sum")),
        *(("kandle_event_seconds_count", stage) for stage in stages),
    )
    assert eventually(still, lambda missing: not missing) == []
    late = f"{symbol},1,1,{START_MS + 500}"
    eventually(lambda: candles(pipeline["API_URL"], symbol), lambda c: len(c) >= 4)
    send_udp(pipeline["UDP_ADDR"], [late])
    corrected = grown(before, url, ("kandle_candles_corrected_total", ""))
    assert eventually(corrected, lambda missing: not missing) == []
    after = scraped(url)
    # ticks of 2022: event time is that far behind
    delays = [told for (name, _), told in after.items() if name == "kandle_watermark_delay_seconds"]
    assert max(delays) > 86_400
    assert any(name == "kandle_trigger_lag" and told for name, told in after)
    for series in ("kandle_dead_letters_total", "kandle_candles_differ_total"):
        assert (series, "") in after
    assert ("kandle_udp_dropped_datagrams_total", "") in after


def test_the_page_shows_every_component(pipeline: dict[str, str]) -> None:
    """The metrics page is one file with the state of each process."""
    page = web.get(pipeline["OBSERVE_URL"])
    assert "<script src" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]

    def components() -> dict[str, Any]:
        found = web.get(f"{pipeline['OBSERVE_URL']}/samples", timeout=30).json()
        return {each["name"]: each for each in found}

    by_name = eventually(components, lambda it: "kandle_ticks_total" in it["normalize"]["samples"])
    assert {"broker", "normalize", "udp-listener", "postgres"} <= by_name.keys()
    assert by_name["normalize"]["state"] == "ready"
    assert "kandle_ticks_total" in by_name["normalize"]["samples"]
