"""Errors of recorded files; each message names the position and the option that helps."""

from __future__ import annotations


class FileError(Exception):
    """A file cannot be read as trades; the message is one line."""


class UnknownLayoutError(FileError):
    """The columns cannot be identified."""


def excerpt(value: object) -> str:
    """Return a value of a file, short enough for a message."""
    text = value if isinstance(value, str) else repr(value)
    return repr(text if len(text) <= 40 else text[:40] + "...")
