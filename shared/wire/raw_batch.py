"""Raw batches: payloads as a bridge received them, and their form on the wire (raw.proto)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from shared.errors import PermanentError
from shared.market.bounds import LATEST_US
from shared.schema import raw_pb2
from shared.wire.columns import delta, summed
from shared.wire.message_fields import parsed

FORMAT_CSV: Final = int(raw_pb2.FORMAT_CSV)
FORMAT_CSV_DECIMAL_COMMA: Final = int(raw_pb2.FORMAT_CSV_DECIMAL_COMMA)
FORMAT_TICKER: Final = int(raw_pb2.FORMAT_TICKER)
FORMAT_TICKER_STREAM: Final = int(raw_pb2.FORMAT_TICKER_STREAM)
FORMAT_BINANCE: Final = int(raw_pb2.FORMAT_BINANCE)
FORMAT_COINBASE: Final = int(raw_pb2.FORMAT_COINBASE)
FORMAT_KRAKEN: Final = int(raw_pb2.FORMAT_KRAKEN)
FORMAT_SCANNER: Final = int(raw_pb2.FORMAT_SCANNER)
FORMAT_BINANCE_FUTURES: Final = int(raw_pb2.FORMAT_BINANCE_FUTURES)
FORMAT_COINBASE_ADVANCED: Final = int(raw_pb2.FORMAT_COINBASE_ADVANCED)
FORMAT_BYBIT: Final = int(raw_pb2.FORMAT_BYBIT)
FORMAT_OKX: Final = int(raw_pb2.FORMAT_OKX)
FORMAT_CCXT: Final = int(raw_pb2.FORMAT_CCXT)
FORMAT_ALPACA: Final = int(raw_pb2.FORMAT_ALPACA)

MAX_PAYLOAD_BYTES: Final = 65_536
"""Largest payload, so that a line's (or message's) number in it fits the low 16 bits of a tick's
sequence."""

LINE_BITS: Final = 16

MAX_PAYLOADS: Final = 1 << 17
"""Payloads of a batch: each may become a reject. Twice what a bridge fills a batch with."""


@dataclass(frozen=True, slots=True, eq=False)
class RawBatch:
    """m payloads in order of receipt.

    `payloads`: all of them, joined. `lengths`: int64[m] bytes. `receive_time_us`: int64[m]. Payload
    i has the sequence first_sequence + i within `source`.
    """

    format: int
    source: str
    first_sequence: int
    payloads: bytes
    lengths: NDArray[np.int64]
    receive_time_us: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        format_: int,
        source: str,
        first_sequence: int,
        payloads: Sequence[bytes],
        receive_time_us: int | Sequence[int],
    ) -> RawBatch:
        """Return payloads as a batch, all received at one time or each at its own."""
        lengths = np.array([len(each) for each in payloads], dtype=np.int64)
        times = np.full(len(payloads), receive_time_us, dtype=np.int64)
        return cls(format_, source, first_sequence, b"".join(payloads), lengths, times)

    def encode(self) -> bytes:
        """Return the RawBatch message."""
        return raw_pb2.RawBatch(
            format=cast(raw_pb2.Format, self.format),
            source=self.source,
            first_sequence=self.first_sequence,
            lengths=self.lengths.tolist(),
            receive_time_us=delta(self.receive_time_us),
            payloads=self.payloads,
        ).SerializeToString()

    @classmethod
    def decode(cls, body: bytes) -> RawBatch:
        """Read a RawBatch message. Raises PermanentError `bad_raw_batch` that names the field."""
        message = parsed("bad_raw_batch", raw_pb2.RawBatch, body)
        if len(message.lengths) > MAX_PAYLOADS:
            raise PermanentError("bad_raw_batch", f"a batch has {MAX_PAYLOADS} payloads at most")
        lengths = np.array(message.lengths, dtype=np.int64)
        if int(lengths.sum()) != len(message.payloads):
            raise PermanentError("bad_raw_batch", "lengths do not add up to the size of payloads")
        if len(message.receive_time_us) != len(lengths):
            raise PermanentError("bad_raw_batch", "receive_time_us and lengths differ in number")
        if len(lengths) and int(lengths.max()) > MAX_PAYLOAD_BYTES:
            raise PermanentError("bad_raw_batch", f"a payload exceeds {MAX_PAYLOAD_BYTES} bytes")
        if message.first_sequence + len(lengths) >= 1 << (63 - LINE_BITS):
            raise PermanentError("bad_raw_batch", "first_sequence is out of range")
        times = summed(np.array(message.receive_time_us, dtype=np.int64))
        if len(times) and not 0 <= int(times.min()) <= int(times.max()) < LATEST_US:
            raise PermanentError("bad_raw_batch", "receive_time_us has times that are none")
        return cls(
            int(message.format),
            message.source,
            int(message.first_sequence),
            message.payloads,
            lengths,
            times,
        )


class Delimited(NamedTuple):
    """A length-delimited message: its length is at `before`, the message at [start, end).

    `end` is past the available bytes if the message is truncated.
    """

    before: int
    start: int
    end: int


def delimited(content: bytes) -> Iterator[Delimited]:
    """Yield length-delimited messages, with varint lengths.

    A truncated length, or one larger than protobuf allows, is a message without an end.
    """
    before, size = 0, len(content)
    while before < size:
        length = content[before]
        start = before + 1
        if length >= 0x80:
            length, start = _varint(content, before)
        yield Delimited(before, start, start + length)
        before = start + length


def _varint(content: bytes, start: int) -> tuple[int, int]:
    value = shift = 0
    for at in range(start, min(start + 5, len(content))):
        value |= (content[at] & 0x7F) << shift
        shift += 7
        if content[at] < 0x80 and value < 1 << 31:
            return value, at + 1
    return len(content) + 1, start
