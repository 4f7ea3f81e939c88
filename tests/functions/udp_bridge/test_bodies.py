"""Request bodies are cut at the ends of lines or messages, and nothing is lost by cutting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.udp_bridge.bodies import MAX_TICKS, RefusedBodyError, lines, messages
from shared.raw import MAX_PAYLOAD_BYTES, delimited


@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=12))
def test_lines_stay_whole(lengths: list[int]) -> None:
    """Payloads end where lines end, and joined they are the body."""
    body = b"\n".join(b"x" * length for length in lengths) + b"\n"
    payloads = lines(body)
    assert b"".join(payloads) == body
    assert all(p.endswith(b"\n") and len(p) <= MAX_PAYLOAD_BYTES for p in payloads)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=600), st.integers(0, 5))
def test_messages_stay_whole(some: list[bytes], cut: int) -> None:
    """Payloads end where messages end; one that is cut off is at the end of the last."""
    body = b"".join(prefix(len(one)) + one for one in some)
    body = body[: max(1, len(body) - cut)]
    payloads = messages(body)
    assert b"".join(payloads) == body
    assert all(len(p) <= MAX_PAYLOAD_BYTES for p in payloads)
    for payload in payloads[:-1]:
        assert [m.end for m in delimited(payload)][-1] == len(payload)


def prefix(length: int) -> bytes:
    return bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])


@pytest.mark.parametrize(
    ("cut", "body", "status"),
    [
        (lines, b"", 400),
        (messages, b"", 400),
        (lines, b"x" * (MAX_PAYLOAD_BYTES + 1), 413),
        (lines, b"\n" * (MAX_TICKS + 1), 413),
        (messages, b"\0" * (MAX_TICKS + 1), 413),
        (messages, b"\xff\xff\x7f" + b"x" * 70_000, 413),
        (messages, b"\xff" * 70_000, 413),
    ],
)
def test_what_cannot_be_taken_is_refused(cut: object, body: bytes, status: int) -> None:
    """With the status that the sender gets."""
    assert callable(cut)
    with pytest.raises(RefusedBodyError) as caught:
        cut(body)
    assert caught.value.status == status
