"""Response of POST /ingest: counts and rejects of a body, by the parser of normalize.

Parsing is a pure function of the batch and of settings shared by both processes (PRICE_RULES,
MAX_CLOCK_SKEW_MS), so normalize produces the same ticks and rejects.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, Final

from functions.udp_bridge.bodies import Cut
from shared.inputs.clock import ClockRule, ahead_of_clock
from shared.inputs.columns.parsed import FeedRules
from shared.inputs.columns.rows import Rejected
from shared.inputs.formats import parse
from shared.wire.raw_batch import (
    FORMAT_CSV,
    FORMAT_CSV_DECIMAL_COMMA,
    FORMAT_TICKER_STREAM,
    RawBatch,
    delimited,
)

FIRST_ERRORS: Final = 5
_LINES: Final = (FORMAT_CSV, FORMAT_CSV_DECIMAL_COMMA)
_EXCERPT_CHARACTERS: Final = 80


def answer(batch: RawBatch, cut: Cut, rules: FeedRules, clock: ClockRule) -> dict[str, Any]:
    """Return `lines`, `accepted`, `rejected`, `first_errors`, and what was left out or not read.

    `lines` counts lines, messages or objects. An error's `line` is its number in the body, from 1.
    """
    parsed = parse(batch, rules)
    refused = list(parsed.rejected)
    accepted: set[tuple[int, int]] = set()
    for rows in (parsed.rows, parsed.quotes):
        accepted.update(zip(rows.payload.tolist(), rows.line.tolist(), strict=True))
        late = ahead_of_clock(batch, rows.time_us, rows.payload, rows.line, clock).rejected
        accepted.difference_update((reject.payload, reject.line) for reject in late)
        refused += late
    accepted.update((bust.payload, bust.line) for bust in parsed.busts)
    rejected = {(reject.payload, reject.line): reject for reject in reversed(refused)}
    skipped = sum(parsed.skipped.values())
    body: dict[str, Any] = {
        "lines": len(accepted | rejected.keys()) + skipped,
        "accepted": len(accepted),
        "rejected": len(rejected),
        "first_errors": _first_errors(
            batch, cut, [rejected[position] for position in sorted(rejected)]
        ),
    }
    if skipped:
        body["skipped"] = dict(parsed.skipped)
    if parsed.unread:
        body["fields_not_read"] = sorted(parsed.unread)
    return body


def _first_errors(batch: RawBatch, cut: Cut, rejected: list[Rejected]) -> list[dict[str, Any]]:
    first = rejected[:FIRST_ERRORS]
    if not first:
        return []
    before = _lines_before(batch, cut)
    return [
        {
            "line": before[reject.payload] + reject.line + 1,
            "code": reject.code,
            "detail": reject.detail,
            "text": _excerpt(batch, reject.original),
        }
        for reject in first
    ]


def _excerpt(batch: RawBatch, original: bytes) -> str:
    """Return the start of the rejected input; of a line, without its header."""
    if batch.format in _LINES:
        original = original.rpartition(b"\n")[2]
    return original.decode(errors="backslashreplace")[:_EXCERPT_CHARACTERS]


def _lines_before(batch: RawBatch, cut: Cut) -> list[int]:
    """Return the number of lines, messages or objects before each payload's first."""
    if batch.format in _LINES:
        counts = [payload.count(b"\n") - cut.repeated for payload in cut.payloads]
        counts[0] += cut.repeated
        starts = accumulate(counts[:-1], initial=0)
        return [start - cut.repeated if i else start for i, start in enumerate(starts)]
    if batch.format == FORMAT_TICKER_STREAM:
        counts = [sum(1 for _ in delimited(payload)) for payload in cut.payloads]
        return list(accumulate(counts[:-1], initial=0))
    return list(range(len(cut.payloads)))
