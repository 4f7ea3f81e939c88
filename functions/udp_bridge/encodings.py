"""Content-Encoding of request bodies: bounded decompression of gzip, deflate and zstd."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final

import zstandard

MAX_UNPACKED_BYTES: Final = 4 * 1024 * 1024
MAX_RATIO: Final = 200
"""Maximum ratio above FREE_BYTES: tick text compresses to a third or a tenth."""
FREE_BYTES: Final = 1024 * 1024

ACCEPTED: Final = "gzip, deflate, zstd"

_UTF16: Final = "UTF-16 text: send UTF-8"
_MAGIC: Final = {
    b"\x1f\x8b": "gzip: send it with Content-Encoding: gzip, packed once",
    b"\x28\xb5\x2f\xfd": "zstd: send it with Content-Encoding: zstd",
    b"BZh91AY&SY": "bzip2: unpack it, or use kandle replay",
    b"\xfd7zXZ": "xz: unpack it, or use kandle replay",
    b"PK\x03\x04": "a zip archive: unpack it, or use kandle replay",
    b"PAR1\x15": "a Parquet file: use kandle replay",
    b"ARROW1\0": "an Arrow file: use kandle replay",
    b"\xff\xfe": _UTF16,
    b"\xfe\xff": _UTF16,
}


class RefusedBodyError(ValueError):
    """The body is refused. `status` is the HTTP status; the message says what to send."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title


def unpacked(body: bytes, encoding: str) -> bytes:
    """Return the decompressed body. Raises RefusedBodyError."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _DECODERS:
        raise RefusedBodyError(
            415,
            "unsupported content encoding",
            f"content encoding {encoding[:40]} is not read: send it as it is, or one of {ACCEPTED}",
        )
    limit = max(FREE_BYTES, min(MAX_UNPACKED_BYTES, len(body) * MAX_RATIO))
    try:
        content = _DECODERS[encoding](body, limit + 1)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise RefusedBodyError(
            400, "body cannot be unpacked", f"the body is not a complete {encoding} body: {error}"
        ) from error
    if len(content) > limit:
        raise RefusedBodyError(
            413,
            "body too large",
            f"the body unpacks to more than {limit} bytes (at most {MAX_UNPACKED_BYTES}, and from"
            f" {FREE_BYTES} on {MAX_RATIO} times its size): send several",
        )
    return content


def check_is_text(body: bytes) -> None:
    """Raise RefusedBodyError for a body that is compressed, or UTF-16. TickerUpdates pass."""
    for magic, kind in _MAGIC.items():
        if body.startswith(magic):
            raise RefusedBodyError(415, "body is not text", f"the body is {kind}")
    if body[1:2] == b"\0":
        raise RefusedBodyError(415, "body is not text", f"the body is {_UTF16}")


def _zlib(wbits: int, body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while body and size < limit:  # gzip allows several concatenated members
        decoder = zlib.decompressobj(wbits)
        part = decoder.decompress(body, limit - size)
        parts.append(part)
        size += len(part)
        if size >= limit:
            break
        if not decoder.eof:
            raise EOFError("it is cut off")
        body = decoder.unused_data
    return b"".join(parts)


def _deflate(body: bytes, limit: int) -> bytes:
    """RFC 9110 specifies the zlib format; some senders omit its header."""
    framed = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
    return _zlib(zlib.MAX_WBITS if framed else -zlib.MAX_WBITS, body, limit)


def _zstd(body: bytes, limit: int) -> bytes:
    unpacker = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024)
    with unpacker.stream_reader(io.BytesIO(body), read_across_frames=True) as reader:
        content = reader.read(limit)
    if len(content) < limit:  # the reader accepts a truncated frame
        while body:
            frame = unpacker.decompressobj()
            frame.decompress(body)
            if not frame.eof:
                raise EOFError("it is cut off")
            body = frame.unused_data
    return content


_DECODERS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "gzip": partial(_zlib, 16 + zlib.MAX_WBITS),
    "x-gzip": partial(_zlib, 16 + zlib.MAX_WBITS),
    "deflate": _deflate,
    "zstd": _zstd,
}
