"""Request bodies are split at the ends of lines, messages or objects, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.udp_bridge.bodies import (
    MAX_TICKS,
    Cut,
    cut,
    json_lines,
    json_objects,
    lines,
    messages,
)
from functions.udp_bridge.encodings import RefusedBodyError
from shared.wire.raw_batch import FORMAT_ALPACA, MAX_PAYLOAD_BYTES, delimited


@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=12))
def test_lines_stay_whole(lengths: list[int]) -> None:
    """Payloads end at ends of lines, and concatenated they are the body."""
    body = b"\n".join(b"x" * length for length in lengths) + b"\n"
    payloads = lines(body).payloads
    assert b"".join(payloads) == body
    assert all(p.endswith(b"\n") and len(p) <= MAX_PAYLOAD_BYTES for p in payloads)


@pytest.mark.parametrize("remark", [b"", b"# by x\n" * 1_000, b"\xef\xbb\xbf# by x\n"])
def test_a_header_behind_a_hash_is_repeated_without_it(remark: bytes) -> None:
    """Rows of later payloads have its columns, whatever stands first there, or how far it was."""
    body = remark + b"# symbol,size,price\n" + b"A,2,100\n" * 20_000
    cut = lines(body)
    assert cut.repeated == 1
    assert all(each.startswith(b"symbol,size,price\nA,") for each in cut.payloads[1:])
    assert lines(b"# symbol,size\n" + b"A,2,100\n" * 20_000).repeated == 0


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=600), st.integers(0, 5))
def test_messages_stay_whole(some: list[bytes], cut: int) -> None:
    """Payloads end at ends of messages; a truncated message is at the end of the last one."""
    body = b"".join(prefix(len(one)) + one for one in some)
    body = body[: max(1, len(body) - cut)]
    payloads = messages(body).payloads
    assert b"".join(payloads) == body
    assert all(len(p) <= MAX_PAYLOAD_BYTES for p in payloads)
    for payload in payloads[:-1]:
        assert [m.end for m in delimited(payload)][-1] == len(payload)


def test_json_objects_are_split_unchanged() -> None:
    """A single object, an array or one object a line is split with all digits."""
    assert json_objects(b' {"price": 1.10}\n').payloads == [b'{"price": 1.10}']
    assert json_objects(b'[{"a":1.0} , 2,"x"]').payloads == [b'{"a":1.0}', b"2", b'"x"']
    assert json_lines(b'{"a":1}\r\n\n{bad\n{"b":2}').payloads == [b'{"a":1}', b"{bad", b'{"b":2}']
    assert json_lines(b'[{"a":1}, 2]\n[3,\n[4]').payloads == [b'{"a":1}', b"2", b"[3,", b"[4]"]
    assert json_objects(b'{"a":1}\n\n {bad\r\n').payloads == [b'{"a":1}', b" {bad"]


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
def test_messages_of_alpaca_stay_lists(kind: str) -> None:
    """A message of Alpaca is a list, and no list of messages."""
    message = b'[{"T":"t","S":"A"},{"T":"q","S":"A"}]'
    assert cut(message, f"{kind}; feed=alpaca") == (FORMAT_ALPACA, Cut([message]))
    assert cut(message, f"{kind}; feed=bybit")[1].payloads == [message[1:18], message[19:-1]]
    two = cut(message + b"\n" + message, f"{kind}; feed=alpaca")
    assert two == (FORMAT_ALPACA, Cut([message, message]))


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-ndjson", "text/csv", "text/plain", ""]
)
def test_a_byte_order_mark_is_stripped_from_text(kind: str) -> None:
    """A byte order mark is stripped from lines and objects, and not from protobuf."""
    body = b"PAR1,1,2\n" if kind == "text/csv" else b'{"ticker":"A","price":1}'
    assert cut(b"\xef\xbb\xbf" + body, kind) == cut(body, kind)
    assert cut(b"\xef\xbb\xbf", "application/x-protobuf")[1].payloads == [b"\xef\xbb\xbf"]


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
        (json_objects, b"", 400),
        (json_objects, b"[]", 400),
        (json_objects, b"[1,", 400),
        (json_objects, b"{} {}", 400),
        (json_objects, b'{"a":\n1', 400),
        (json_objects, b"[" * 100_000, 400),
        (json_objects, b"[" + b"1," * MAX_TICKS + b"1]", 413),
        (json_objects, b'["' + b"x" * MAX_PAYLOAD_BYTES + b'"]', 413),
        (json_lines, b"\n \n", 400),
        (json_lines, b"1\n" * (MAX_TICKS + 1), 413),
        (json_lines, b"x" * (MAX_PAYLOAD_BYTES + 1), 413),
    ],
)
def test_an_invalid_body_is_refused(cut: object, body: bytes, status: int) -> None:
    """An invalid body is refused with its HTTP status."""
    assert callable(cut)
    with pytest.raises(RefusedBodyError) as caught:
        cut(body)
    assert caught.value.status == status
