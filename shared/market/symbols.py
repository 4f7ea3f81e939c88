"""Validation of instrument names: safe in every URL, key, subject, file and page."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_SYMBOL_BYTES: Final = 64
"""Of UTF-8."""

PUNCTUATION: Final = " !#$&()+-./:=@[]^_~"
"""The ASCII characters besides letters and digits."""

_PLAIN: Final = re.compile(rf"[A-Za-z0-9{re.escape(PUNCTUATION)}]+")
_MOMENT: Final = re.compile(
    r"(\d{4}([-/.])\d\d\2\d\d|\d\d?([/.])\d\d?\3\d{4})([ T]\d\d:.*)?|\d{8} \d{4,9}( \d+)?", re.ASCII
)
"""A date, with or without a time of day."""
_CATEGORIES: Final = frozenset("LMNS")
"""Letters, marks, numbers and symbols, by the first letter of a character's Unicode category."""


def is_time(text: str) -> bool:
    """Whether a text looks like a date, with or without a time of day."""
    return _MOMENT.fullmatch(text) is not None


def check_symbol(name: str) -> str:
    """Return the instrument name. Raises ValueError with the error and the fix.

    The message continues after the quoted name.
    """
    if not name:
        raise ValueError("is empty: every tick names its instrument")
    size = len(name.encode(errors="surrogatepass"))
    if size > MAX_SYMBOL_BYTES:
        raise ValueError(f"has {size} bytes; an instrument has at most {MAX_SYMBOL_BYTES}")
    if name != name.strip():
        raise ValueError(f"begins or ends with a blank: write {name.strip()[:40]!r}")
    if _PLAIN.fullmatch(name) is None:
        _check_characters(name)
    if is_time(name):
        raise ValueError("reads as a time, where an instrument belongs")
    parts = name.removeprefix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError("has an empty part, . or .. beside a slash: URLs drop those")
    return name


def _check_characters(name: str) -> None:
    for character in name:
        if character.isascii():
            if not (character.isalnum() or character in PUNCTUATION):
                raise ValueError(
                    f"holds {character!r}: letters, digits, blanks within and"
                    f" {PUNCTUATION.strip()} may stand in an instrument"
                )
        elif unicodedata.category(character)[0] not in _CATEGORIES or character == "\ufffd":
            raise ValueError(
                f"holds U+{ord(character):04X} ({unicodedata.name(character, 'a control')}):"
                " leave it out"
            )
    plain = unicodedata.normalize("NFKC", name)
    if plain != name:
        raise ValueError(f"looks like {plain[:40]!r} and is written otherwise: write that (NFKC)")
