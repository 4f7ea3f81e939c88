"""Rejects: input that is not a tick, kept whole, and their form on the wire (rejects.proto)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.schema import rejects_pb2
from shared.wire.message_fields import parsed, read


@dataclass(frozen=True, slots=True)
class Reject:
    """`code` is snake_case; `detail` names the field and the fix; `original` is as received.

    `format` is that of its raw batch.
    """

    original: bytes
    code: str
    detail: str
    receive_time_us: int
    sequence: int
    format: int = 0


_FIELDS: Final = ("original", "code", "detail", "receive_time_us", "sequence")


def encode(source: str, rejects: Sequence[Reject]) -> bytes:
    """Return a RejectBatch of rejects of one format."""
    batch = rejects_pb2.RejectBatch(source=source, format=rejects[0].format if rejects else 0)
    for each in rejects:
        batch.rejects.add(**{name: getattr(each, name) for name in _FIELDS})
    return batch.SerializeToString()


def decode(body: bytes) -> tuple[str, list[Reject]]:
    """Read a RejectBatch: its source and its rejects. Raises PermanentError."""
    message = parsed("bad_reject_batch", rejects_pb2.RejectBatch, body)
    rejects = (read(Reject, each, format=message.format) for each in message.rejects)
    return message.source, [Reject(**each) for each in rejects]
