"""Input lines of recorded trades in numbered batches, as a bridge would send them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from local.feeds.files.trades import Trades
from shared.wire.raw_batch import FORMAT_CSV, MAX_PAYLOAD_BYTES, RawBatch

BATCH_LINES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Numbered:
    """Batch `number` of the part with this identity."""

    part: str
    identity: str
    number: int
    lines: list[bytes]

    def raw_batch(self, received_us: int) -> RawBatch:
        """Return the lines as payloads; sequences continue from batch to batch."""
        payloads: list[bytes] = []
        chunk: list[bytes] = []
        size = 0
        for line in self.lines:
            if size + len(line) + 1 > MAX_PAYLOAD_BYTES and chunk:
                payloads.append(b"\n".join(chunk))
                chunk, size = [], 0
            chunk.append(line)
            size += len(line) + 1
        payloads.append(b"\n".join(chunk))
        source, sequence = f"import-{self.identity}", self.number * BATCH_LINES
        return RawBatch.of(FORMAT_CSV, source, sequence, payloads, received_us)


def batches(trades: Iterator[Trades], salt: str = "") -> Iterator[Numbered]:
    """Split the trades of each part into numbered batches of BATCH_LINES.

    `salt`: distinguishes them from batches of another run.
    """
    numbers: dict[str, count[int]] = {}
    for trades_part in trades:
        lines = trades_part.lines()
        for first in range(0, len(lines), BATCH_LINES):
            number = next(numbers.setdefault(trades_part.identity, count()))
            yield Numbered(
                trades_part.part,
                trades_part.identity + salt,
                number,
                lines[first : first + BATCH_LINES],
            )
