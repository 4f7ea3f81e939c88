"""Validation of settings common to all feeds: symbols and addresses."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def symbols_of(text: str) -> tuple[str, ...]:
    """Read symbols separated by commas. Raises ValueError."""
    symbols = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not symbols or not all(part.isprintable() and len(part) <= 64 for part in symbols):
        raise ValueError(f"{text!r} must be symbols separated by commas")
    return symbols


def ws_url(text: str) -> str:
    """Check the URL of a WebSocket. Raises ValueError."""
    return _url(text, ("wss", "ws"))


def safe_ws_url(text: str) -> str:
    """Check one that is encrypted, or on this machine. Raises ValueError."""
    return _encrypted(ws_url(text), "wss")


def http_url(text: str) -> str:
    """Check the URL of a REST API. Raises ValueError."""
    return _url(text, ("https", "http"))


def safe_http_url(text: str) -> str:
    """Check one that is encrypted, or on this machine. Raises ValueError."""
    return _encrypted(http_url(text), "https")


def _url(text: str, schemes: tuple[str, str]) -> str:
    parts = urlsplit(text)
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"{text!r} is no URL that begins with {schemes[0]}:// or {schemes[1]}://")
    return text


def _encrypted(text: str, scheme: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != scheme and parts.hostname not in _LOOPBACK:
        raise ValueError(f"{text!r} is not encrypted: it must begin with {scheme}://")
    return text
