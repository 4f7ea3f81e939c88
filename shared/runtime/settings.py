"""Settings from the environment: read once, every missing or bad name reported together.

A setting is declared once, as a field of a dataclass that extends `FromEnvironment`; its default is
the field's too. `Environment` reads what one field cannot say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, fields
from enum import StrEnum
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")

_READ: Final = "read"
"""Metadata of a declared field: how it is read from an Environment."""


class SettingsError(Exception):
    """One line per missing or bad name, with the expected value."""


class Choice(StrEnum):
    """An enumerated setting; any other value is a ValueError that lists them."""

    @classmethod
    def _missing_(cls, value: object) -> Choice:
        raise ValueError(f"{value!r} is none of {', '.join(cls)}")


class FromEnvironment:
    """Base of a dataclass whose fields are declared settings, or have a default."""

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Self:
        """Read and check. Raises SettingsError."""
        env = Environment(mapping)
        settings = cls.read(env)
        env.check()
        return settings

    @classmethod
    def read(cls, env: Environment, **others: Any) -> Self:
        """Read the declared fields; `env.check` reports bad ones. `others`: further fields."""
        declared = fields(cls)  # type: ignore[arg-type]
        values = {each.name: each.metadata[_READ](env) for each in declared if each.metadata}
        return cls(**values, **others)


def text(name: str, default: str | None = None, *, overridden_by: str = "") -> Any:
    """Declare a string, required without a default; `overridden_by` is set in its place."""

    def read(env: Environment) -> str:
        return (overridden_by and env.text(overridden_by, "")) or env.text(name, default)

    return _declared(read) if default is None else _declared(read, default=default)


def integer(
    name: str,
    default: int,
    minimum: int,
    maximum: int,
    *,
    times: int = 1,
    to: Callable[[int], Any] = int,
) -> Any:
    """Declare an integer within the bounds, inclusive; the field has `to(times x value)`."""

    def read(env: Environment) -> Any:
        return to(times * env.integer(name, default, minimum, maximum))

    return field(default=to(times * default), metadata={_READ: read})


def ms_to_s(value: int) -> float:
    """Convert milliseconds to seconds."""
    return value / 1000


def parsed(name: str, default: str, parse: Callable[[str], T]) -> Any:
    """Declare a value parsed by `parse`, whose ValueError is the message."""
    return _declared(
        lambda env: env.parsed(name, default, parse), default_factory=lambda: parse(default)
    )


def listed(text: str) -> tuple[str, ...]:
    """Parse names separated by commas. ValueError: it is not empty, and names nothing.

    A blank secret must not turn off what it lists.
    """
    names = tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if text and not names:
        raise ValueError("it is not empty, and names nothing")
    return names


def nested(read: Callable[[Environment], T], **options: T) -> Any:
    """Declare settings of their own, or a value of several settings; perhaps with a `default`."""
    return _declared(read, **options)


def _declared(read: Callable[[Environment], Any], **options: Any) -> Any:
    """Declare a field that no `repr` shows: it may hold a secret."""
    return field(repr=False, metadata={_READ: read}, **options)


class Environment:
    """Reads typed values from a mapping and collects errors.

    Call `check()` after the last read; until then defaults stand in for bad values.
    """

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._mapping = mapping
        self._problems: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string; without a default it is required."""
        return self._read(name, default, str, "a text", "")

    def secret(self, name: str) -> str:
        """Return a required string of printable ASCII; no error repeats it."""
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
        try:
            return parse(value)
        except ValueError as error:
            self._problems.append(f"{name}: {error}")
            return parse(default)

    def _read(
        self, name: str, default: T | None, parse: Callable[[str], T], description: str, stand_in: T
    ) -> T:
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
            raise SettingsError("bad settings:\n  " + "\n  ".join(dict.fromkeys(self._problems)))
