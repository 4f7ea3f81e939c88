"""Rejects: input that is not a tick, kept whole, and their form on the wire (rejects.proto)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from shared.errors import PermanentError
from shared.schema import rejects_pb2


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
                original=reject.original,
                code=reject.code,
                detail=reject.detail,
                receive_time_us=reject.receive_time_us,
                sequence=reject.sequence,
            )
            for reject in rejects
        ],
    ).SerializeToString()


def decode(body: bytes) -> tuple[str, list[Reject]]:
    """Read a RejectBatch: its source and its rejects. Raises PermanentError."""
    try:
        message = rejects_pb2.RejectBatch.FromString(body)
    except DecodeError as error:
        raise PermanentError("bad_reject_batch", f"body is no RejectBatch: {error}") from error
    return message.source, [
        Reject(r.original, r.code, r.detail, r.receive_time_us, r.sequence, message.format)
        for r in message.rejects
    ]
