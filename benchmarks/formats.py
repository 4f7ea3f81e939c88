"""Messages of feeds to exact columns, beside json and Decimal; recorded files read and imported."""

from __future__ import annotations

import json
import random
import time
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from string import Template
from typing import Any

from benchmarks import _files
from benchmarks._measure import rate
from functions.normalize.assemble_quotes import assemble_quotes
from shared.inputs.assemble import assemble
from shared.inputs.clock import ClockRule
from shared.inputs.columns.parsed import FeedRules
from shared.inputs.formats import parse
from shared.market.shards import DEFAULT_SHARDS
from shared.runtime.memory import keep_freed_memory
from shared.schema import raw_pb2
from shared.wire.raw_batch import RawBatch

MESSAGES = 7_000
"""About what a raw batch of 1 MiB holds."""

NOW_MS = time.time_ns() // 1_000_000
RULES = FeedRules()
CLOCK = ClockRule(60_000_000)


def texts_of(message: Mapping[str, Any]) -> list[str]:
    """Write MESSAGES of a kind."""
    source, template = random.Random(1), Template(message["text"])
    return [
        template.substitute(
            id=100_000_000_000 + n,
            now=NOW_MS,
            symbol=("BTCUSDT", "ETHUSDT", "XRPETH")[n % 3],
            price=f"{source.randint(10**4, 10**7) / 100:.2f}",
            size=f"{source.random() + 0.001:.3f}",
        )
        for n in range(MESSAGES)
    ]


def plain_reader(message: Mapping[str, Any]) -> Callable[[str], object]:
    """Return what one writes first: the values of a message, by json or split, and Decimal."""
    at, names, numbers = message.get("at"), message["names"], message["numbers"]

    def read(text: str) -> list[Any]:
        if at is None:
            found: Any = text.rpartition("\n")[2].split(message["delimiter"])
        else:
            found = json.loads(text, parse_float=Decimal)
            for key in at:
                found = found[key]
        return [*(found[name] for name in names), *(Decimal(found[name]) for name in numbers)]

    return read


def normalized(raw: RawBatch) -> int:
    """Parse, check and order a batch; return how many records it holds."""
    found = parse(raw, RULES)
    assert not found.rejected
    ticks, _, late = assemble(raw, found.rows, CLOCK, DEFAULT_SHARDS)
    quotes, late_quotes = assemble_quotes(raw, found.quotes, CLOCK)
    assert not late + late_quotes
    return len(ticks) + len(quotes)


def measure(message: Mapping[str, Any]) -> None:
    """Print the line of a format."""
    texts, plain = texts_of(message), plain_reader(message)
    format_ = raw_pb2.Format.Value(f"FORMAT_{message['format']}")
    payloads = [text.encode() for text in texts]  # one message each, as a bridge batches them
    raw = RawBatch.of(format_, "feed-bench", 0, payloads, NOW_MS * 1000)
    assert normalized(raw) == MESSAGES
    parsed = rate(lambda: parse(raw, RULES), MESSAGES)
    ordered = rate(lambda: normalized(raw), MESSAGES)
    loop = rate(lambda: [plain(text) for text in texts], MESSAGES)
    print(f"{message['name']:<22} {parsed:>10,.0f} {ordered:>10,.0f} {loop:>14,.0f}")


def run() -> None:
    """Print the table."""
    keep_freed_memory()
    listed = tomllib.loads(Path(__file__).with_name("messages.toml").read_text())["message"]
    print(f"{'messages/s':<22} {'parse':>10} {'and order':>10} {'json, Decimal':>14}")
    for message in listed:
        measure(message)
    print()
    _files.run()
