"""Settings from the environment: read once, every missing or bad name reported together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class SettingsError(Exception):
    """One line per missing or bad name, with the expected value."""


class Choice(StrEnum):
    """An enumerated setting; any other value is a ValueError that lists them."""

    @classmethod
    def _missing_(cls, value: object) -> Choice:
        raise ValueError(f"{value!r} is none of {', '.join(cls)}")


class Environment:
    """Reads typed values from a mapping and collects errors.

    Call `check()` after the last read; until then defaults stand in for bad values.
    """

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._mapping = mapping
        self._problems: list[str] = []
        self.names: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string; without a default it is required."""
        return self._read(name, default, str, "a text", "")

    def secret(self, name: str) -> str:
        """Return a required string of printable ASCII; no error repeats it."""
        self.names.append(name)
        value = self._mapping.get(name, "").strip()
        if not value:
            self._problems.append(f"{name} is not set; it must be a secret")
        elif not (value.isascii() and value.isprintable()):
            self._problems.append(f"{name} has characters that are no printable ASCII")
            return ""
        return value

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """Return an integer within the bounds, inclusive."""

        def parse(value: str) -> int:
            number = int(value)
            if not minimum <= number <= maximum:
                raise ValueError
            return number

        return self._read(
            name, default, parse, f"a whole number from {minimum} to {maximum}", default
        )

    def parsed(self, name: str, default: str, parse: Callable[[str], T]) -> T:
        """Return the value parsed by `parse`; its ValueError is the message."""
        value = self._mapping.get(name) or default
        self.names.append(name)
        try:
            return parse(value)
        except ValueError as error:
            self._problems.append(f"{name}: {error}")
            return parse(default)

    def _read(
        self, name: str, default: T | None, parse: Callable[[str], T], description: str, stand_in: T
    ) -> T:
        self.names.append(name)
        value = self._mapping.get(name, "")
        if not value:
            if default is not None:
                return default
            self._problems.append(f"{name} is not set; it must be {description}")
            return stand_in
        try:
            return parse(value)
        except ValueError:
            self._problems.append(f"{name}={value!r} is not {description}")
            return stand_in

    def check(self) -> None:
        """Raise SettingsError if anything was missing or bad."""
        if self._problems:
            raise SettingsError("bad settings:\n  " + "\n  ".join(self._problems))
