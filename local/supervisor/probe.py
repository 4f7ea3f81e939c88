"""Readiness probes of components: over HTTP, or by a line in the log."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from local.supervisor.component import NotReadyError

_TIMEOUT_S = 2.0
_MOST_BYTES = 2048
_MOST_CHARS = 300


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    """Return a probe of the loopback `url`: True once a GET returns 200.

    The probe raises NotReadyError with the reason until then.
    """

    async def probe() -> bool:
        path = urlsplit(url).path or "/"
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                status, text = await _get(url)
        except TimeoutError:
            raise NotReadyError(f"GET {path}: no answer within {_TIMEOUT_S:g} s") from None
        except OSError as error:
            raise NotReadyError(f"GET {path}: {error.strerror or error}") from None
        if status != "200":
            raise NotReadyError(f"GET {path}: {status}{': ' if text else ''}{text}")
        return True

    return probe


def log_contains(log: Path, text: str) -> Callable[[], Awaitable[bool]]:
    """Return a probe of a log: True once `text` is written to it from now on.

    The probe raises NotReadyError with the log's last line until then.
    """
    begin = log.stat().st_size if log.exists() else 0

    def written() -> str:
        return log.read_bytes()[begin:].decode(errors="replace") if log.exists() else ""

    async def probe() -> bool:
        lines = await asyncio.to_thread(written)
        if text not in lines:
            raise NotReadyError(lines.strip().rpartition("\n")[2][:_MOST_CHARS] or "no word yet")
        return True

    return probe


async def _get(url: str) -> tuple[str, str]:
    """Return the status and, unless it is 200, the start of the body on one line."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        # HTTP/1.0 has no chunked responses.
        writer.write(f"GET {target or '/'} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
        await writer.drain()
        line = await reader.readline()
        _, _, rest = line.decode("ascii", errors="replace").partition(" ")
        status = rest[:3] or "closed without an answer"
        text = "" if status == "200" else await _text(reader)
    finally:
        await close(writer)
    return status, text


async def _text(reader: asyncio.StreamReader) -> str:
    while (await reader.readline()).strip():
        pass  # the headers
    body = b""
    while len(body) < _MOST_BYTES and (part := await reader.read(_MOST_BYTES - len(body))):
        body += part
    text = " ".join(body.decode(errors="replace").split())[:_MOST_CHARS]
    return "".join(each if each.isprintable() else " " for each in text)


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection and wait until it is closed; ignore errors of the peer."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
