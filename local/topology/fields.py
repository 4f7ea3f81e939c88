"""Strict reader of manifests: every problem names file, object, field and fix."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, TypeVar

import yaml

from local.errors import ManifestError

A = TypeVar("A")
T = TypeVar("T")

LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Safe, and seven times as fast if PyYAML has libyaml, as its wheels do."""


def collected(read: Callable[[A], T], each: Iterable[A]) -> list[T]:
    """Return the result of each; raise one ManifestError with the problems of all."""
    values, problems = [], []
    for one in each:
        try:
            values.append(read(one))
        except ManifestError as error:
            problems.append(str(error))
    if problems:
        raise ManifestError("\n".join(problems))
    return values


class Fields:
    """One mapping of a manifest. What was not asked for when `done` is called is unknown.

    What is wrong is collected, and reads as absent, so that all of an object is said together.

    Attributes:
        where: file and kind/name of the object, for messages.
        path: the field that this mapping is, dotted; empty for the whole object.
        problems: one line for each mistake, of all mappings of the object.

    """

    def __init__(self, where: str, path: str, value: object, problems: list[str]) -> None:
        self.where = where
        self.path = path
        self.problems = problems
        self._known: set[str] = set()
        if not isinstance(value, Mapping):
            self.wrong("", f"must be a mapping, not {_kind(value)}")
            value, self.problems = {}, []
        self._values: Mapping[str, Any] = value

    @property
    def empty(self) -> bool:
        """Whether it is empty."""
        return not self._values

    def described(self, name: str, text: str) -> str:
        """Return a text about field `name` of this mapping."""
        field = ".".join(part for part in (self.path, name) if part)
        return f"{self.where}: {field + ': ' if field else ''}{text}"

    def wrong(self, name: str, problem: str) -> None:
        """Report field `name` as wrong."""
        self.problems.append(self.described(name, problem))

    def check(self) -> None:
        """Raise ManifestError if anything of the object is wrong."""
        if self.problems:
            raise ManifestError("\n".join(self.problems))

    def raw(self, name: str) -> Any:
        """Return the raw value of `name`, or None."""
        self._known.add(name)
        return self._values.get(name)

    def items(self) -> list[tuple[str, Any]]:
        """All names and values; marks the names as known."""
        self._known.update(self._values)
        return list(self._values.items())

    def text(self, name: str, *, choices: Collection[str] = (), needed: bool = False) -> str | None:
        """Return a string, one of `choices` if there are any."""
        value = self.raw(name)
        if value is not None and not isinstance(value, str):
            self.wrong(name, f"must be a string, not {_kind(value)}: quote it")
        elif needed and not value:
            self.wrong(name, "is required")
        elif value is not None and choices and value not in choices:
            self.wrong(name, f"{value!r} is none of {', '.join(choices)}")
        else:
            return value
        return None

    def needed_text(self, name: str) -> str:
        """Return a required string; empty if it is wrong."""
        return self.text(name, needed=True) or ""

    def whole(self, name: str, *, least: int = 0) -> int | None:
        """Return an integer of at least `least`."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            self.wrong(name, f"must be a whole number, not {_kind(value)}")
        elif value < least:
            self.wrong(name, f"must be at least {least}, not {value}")
        else:
            return value
        return None

    def read(self, name: str, parse: Callable[[str], T], *, needed: bool = False) -> T | None:
        """Return a string parsed by `parse`; its ValueError becomes the message."""
        value = self.text(name, needed=needed)
        if value is None:
            return None
        try:
            return parse(value)
        except ValueError as error:
            self.wrong(name, str(error))
            return None

    def inner(self, name: str) -> Fields | None:
        """Return a mapping inside this one."""
        value = self.raw(name)
        if value is None:
            return None
        return Fields(self.where, self._path(name), value, self.problems)

    def needed_inner(self, name: str) -> Fields:
        """Return a required nested mapping; an empty one, of which nothing is said, if missing."""
        inner = self.inner(name)
        if inner is None:
            self.wrong(name, "is required")
            return Fields(self.where, self._path(name), {}, [])
        return inner

    def inners(self, name: str) -> list[Fields]:
        """Return a list of mappings."""
        if (value := self.raw(name)) is None:
            return []
        if not isinstance(value, list):
            self.wrong(name, f"must be a list, not {_kind(value)}")
            return []
        return [
            Fields(self.where, self._path(f"{name}[{n}]"), each, self.problems)
            for n, each in enumerate(value)
        ]

    def done(self) -> None:
        """Refuse unknown fields; real admission refuses or drops them."""
        unknown = sorted(set(self._values) - self._known)
        if unknown:
            known = ", ".join(sorted(self._known))
            self.wrong("", f"unknown field {', '.join(unknown)}; known here: {known}")

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def _kind(value: object) -> str:
    names: dict[type, str] = {str: "a string", bool: "true or false", list: "a list", dict: "a map"}
    return names.get(type(value), f"{value!r}")
