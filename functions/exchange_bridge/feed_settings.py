"""Validation of settings common to all feeds: symbols and addresses."""

from __future__ import annotations

from functools import partial
from typing import Final
from urllib.parse import urlsplit

from shared.runtime.settings import listed

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def symbols_of(text: str) -> tuple[str, ...]:
    """Read symbols separated by commas. Raises ValueError."""
    symbols = listed(text)
    if not symbols or not all(part.isprintable() and len(part) <= 64 for part in symbols):
        raise ValueError(f"{text!r} must be symbols separated by commas")
    return symbols


def _url(text: str, scheme: str, *, is_safe: bool = False) -> str:
    """Check a URL. `scheme`: the encrypted one, such as wss; `is_safe`: not in plain to others."""
    parts, plain = urlsplit(text), scheme[:-1]
    if parts.scheme not in (scheme, plain) or not parts.hostname:
        raise ValueError(f"{text!r} is not a URL that begins with {scheme}:// or {plain}://")
    if is_safe and parts.scheme != scheme and parts.hostname not in _LOOPBACK:
        raise ValueError(f"{text!r} is not encrypted: it must begin with {scheme}://")
    return text


ws_url: Final = partial(_url, scheme="wss")
http_url: Final = partial(_url, scheme="https")
safe_ws_url: Final = partial(_url, scheme="wss", is_safe=True)
safe_http_url: Final = partial(_url, scheme="https", is_safe=True)
"""Check the URL of a WebSocket or of a REST API; safe ones carry secrets. Raise ValueError."""
