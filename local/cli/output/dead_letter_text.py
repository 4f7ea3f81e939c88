"""Text and JSON forms of dead letters."""

from __future__ import annotations

import base64
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shared.runtime.dead_letters import DeadLetter

EXCERPT_BYTES: Final = 256
EXCERPT_CHARS: Final = 1_000


def as_json(letter: DeadLetter, *, with_body: bool = False) -> dict[str, Any]:
    """Return a letter as JSON values; times are ISO 8601."""
    output: dict[str, Any] = {
        "sequence": letter.sequence,
        "stored_at": letter.stored_at.isoformat() if letter.stored_at else None,
        "destination": letter.destination,
        "code": letter.code,
        "error": letter.error,
        "body_bytes": len(letter.body),
        "attributes": dict(letter.attributes),
    }
    if with_body:
        output["data_base64"] = base64.b64encode(letter.body).decode()
    return output


def stored(letter: DeadLetter) -> str:
    """Return the time a letter was stored, UTC, to the second."""
    if letter.stored_at is None:
        return "at an unknown time"
    return letter.stored_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def printable(text: str) -> str:
    """Return untrusted text without terminal control sequences."""
    return "".join(c if c.isprintable() else " " for c in text)


def one_line(text: str, limit: int) -> str:
    """Return text without line breaks and controls, truncated to `limit` characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def body_excerpt(body: bytes) -> str:
    """Return the start of a body: as text if possible, else as a hex dump."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return _hex(body)
    if not all(c.isprintable() or c in "\r\n\t" for c in text):
        return _hex(body)
    ellipsis = f"\n... {len(text) - EXCERPT_CHARS:,} more" if len(text) > EXCERPT_CHARS else ""
    return text[:EXCERPT_CHARS] + ellipsis


def _hex(body: bytes) -> str:
    lines = []
    for start in range(0, min(len(body), EXCERPT_BYTES), 16):
        part = body[start : start + 16]
        plain = "".join(chr(b) if 32 <= b < 127 else "." for b in part)
        lines.append(f"  {start:08x}  {part.hex(' '):<47}  {plain}")
    if len(body) > EXCERPT_BYTES:
        lines.append(f"  ... {len(body) - EXCERPT_BYTES:,} more bytes")
    return "\n".join(lines)
