"""Errors of recorded files; each message names the place and the option that helps."""

from __future__ import annotations


class FileError(Exception):
    """A file that cannot be read as trades; the message is one line for people."""


class UnknownLayoutError(FileError):
    """Nothing tells which column is which."""


def excerpt(value: object) -> str:
    """Return a value as it stands in a file, short enough for a message."""
    text = value if isinstance(value, str) else repr(value)
    return repr(text if len(text) <= 40 else text[:40] + "...")
