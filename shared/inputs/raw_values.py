"""JSON values kept as their bytes in the message, so that no number becomes a float."""

from __future__ import annotations

from typing import Final

import msgspec

NOTHING: Final = msgspec.Raw(b"")

_string: Final = msgspec.json.Decoder(str).decode


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
