"""Rejects: input that is not a tick, kept whole, and their form on the wire (rejects.proto)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.schema import rejects_pb2
from shared.wire.message_fields import parsed


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


def encode(source: str, rejects: Sequence[Reject]) -> bytes:
    """Return a RejectBatch of rejects of one format."""
    return rejects_pb2.RejectBatch(
        source=source,
        format=rejects[0].format if rejects else 0,
        rejects=[
            rejects_pb2.Reject(
                original=each.original,
                code=each.code,
                detail=each.detail,
                receive_time_us=each.receive_time_us,
                sequence=each.sequence,
            )
            for each in rejects
        ],
    ).SerializeToString()


def decode(body: bytes) -> tuple[str, list[Reject]]:
    """Read a RejectBatch: its source and its rejects. Raises PermanentError."""
    message = parsed("bad_reject_batch", rejects_pb2.RejectBatch, body)
    return message.source, [
        Reject(r.original, r.code, r.detail, r.receive_time_us, r.sequence, message.format)
        for r in message.rejects
    ]
