"""JSON messages of a feed, one per payload: decoded, or rejected with the reason.

Values stay their bytes in the message, so that no number becomes a float.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec

from shared.inputs.columns.rows import Rejected
from shared.wire.raw_batch import RawBatch

M = TypeVar("M")

_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_plain: Final = msgspec.json.Decoder()
_string: Final = msgspec.json.Decoder(str).decode

NOTHING: Final = msgspec.Raw(b"")


def text_of(raw: msgspec.Raw) -> str:
    """Return a number, or the content of a plain string, unchanged; `null` is absent."""
    if raw is NOTHING:
        return ""
    text = bytes(raw).decode(errors="replace")
    if text == "null":
        return ""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return str(_string(bytes(raw))) if "\\" in text else text[1:-1]
    return text


@dataclass(frozen=True, slots=True)
class Kinds:
    """Names a message that is skipped: by a field's value, up to `end` if any, or as an answer."""

    named: Mapping[str, Collection[str]]
    answers: Collection[str] = ()
    end: str = ""

    def __call__(self, message: Any) -> str:
        """Return the kind, or an empty string."""
        if not isinstance(message, dict):
            return ""
        texts = {name: value for name, value in message.items() if isinstance(value, str)}
        named = ((texts.get(name, ""), kinds) for name, kinds in self.named.items())
        kinds = ((each.partition(self.end)[0] if self.end else each, n) for each, n in named)
        known = next((kind for kind, names in kinds if kind in names), "")
        return known or ("answer" if any(name in texts for name in self.answers) else "")


def payload_at(batch: RawBatch, payload: int) -> bytes:
    """Return a payload as received."""
    start = int(batch.lengths[:payload].sum())
    return batch.payloads[start : start + int(batch.lengths[payload])]


def payloads(batch: RawBatch) -> Iterator[bytes]:
    """Yield the payloads in their order."""
    ends = itertools.accumulate(batch.lengths.tolist(), initial=0)
    return (batch.payloads[start:end] for start, end in itertools.pairwise(ends))


class Messages(Generic[M]):
    """The messages of a batch, decoded to `M`, with rejects and skipped ones.

    `decoded[i]` is payload `numbers[i]`.

    `kind_of` names a message: for a known kind that is skipped it returns the kind, else an empty
    string.
    """

    def __init__(
        self, batch: RawBatch, decode: Callable[[bytes], M], kind_of: Callable[[Any], str]
    ) -> None:
        self.rejected: list[Rejected] = []
        self.skipped: Counter[str] = Counter()
        self._kind_of = kind_of
        self.batch = batch
        self.numbers: Sequence[int] = range(len(batch.lengths))
        self.decoded: list[M]
        try:
            self.decoded = list(map(decode, payloads(batch)))
        except _ERRORS:
            self._one_by_one(decode)

    def _one_by_one(self, decode: Callable[[bytes], M]) -> None:
        numbers: list[int] = []
        self.numbers, self.decoded = numbers, []
        for number, payload in enumerate(payloads(self.batch)):
            try:
                message = decode(payload)
            except _ERRORS as error:
                self._leave(number, payload, f"the message does not fit: {error}")
                continue
            numbers.append(number)
            self.decoded.append(message)

    def leave(self, number: int, reason: str) -> None:
        """Skip and count a message of a known kind; otherwise reject it."""
        self._leave(number, payload_at(self.batch, number), reason)

    def reject(
        self, number: int, code: str, detail: str, line: int = 0, part: bytes | None = None
    ) -> None:
        """Reject a message, or only the given part of its bytes."""
        original = payload_at(self.batch, number) if part is None else part
        self.rejected.append(Rejected(number, line, original, code, detail))

    def _leave(self, number: int, payload: bytes, reason: str) -> None:
        if not payload:
            self.reject(number, "empty_payload", "the message is empty")
            return
        try:
            message = _plain.decode(payload)
        except _ERRORS as error:
            self.reject(number, "bad_json", f"the message is not JSON: {error}")
            return
        kind = self._kind_of(message)
        if kind:
            self.skipped[kind] += 1
        else:
            self.reject(number, "bad_message", reason)
