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

    Attributes:
        where: file and kind/name of the object, for messages.
        path: the field that this mapping is, dotted; empty for the whole object.
        problems: collects what is wrong but does not keep the rest from being read, so that all of
            an object is said together. Without it the first problem is raised.

    """

    def __init__(
        self, where: str, path: str, value: object, problems: list[str] | None = None
    ) -> None:
        self.where = where
        self.path = path
        self.problems = problems
        if not isinstance(value, Mapping):
            raise self.error("", f"must be a mapping, not {_kind(value)}")
        self._values: Mapping[str, Any] = value
        self._known: set[str] = set()

    @property
    def empty(self) -> bool:
        """Whether it is empty."""
        return not self._values

    def error(self, name: str, problem: str) -> ManifestError:
        """Return the error for field `name` of this mapping."""
        field = ".".join(part for part in (self.path, name) if part)
        return ManifestError(f"{self.where}: {field + ': ' if field else ''}{problem}")

    def wrong(self, name: str, problem: str) -> None:
        """Report field `name` as wrong, and continue as if it were absent."""
        self._collect(self.error(name, problem))

    def attempt(self, read: Callable[[], T]) -> T | None:
        """Return the result of `read`, or None if it raises."""
        try:
            return read()
        except ManifestError as error:
            self._collect(error)
            return None

    def _collect(self, error: ManifestError) -> None:
        if self.problems is None:
            raise error
        self.problems.append(str(error))

    def raw(self, name: str) -> Any:
        """Return the raw value of `name`, or None."""
        self._known.add(name)
        return self._values.get(name)

    def items(self) -> list[tuple[str, Any]]:
        """All names and values; marks the names as known."""
        self._known.update(self._values)
        return list(self._values.items())

    def text(self, name: str, *, choices: Collection[str] = ()) -> str | None:
        """Return a string, one of `choices` if there are any."""
        return self.attempt(lambda: self._text(name, choices))

    def _text(self, name: str, choices: Collection[str]) -> str | None:
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.error(name, f"must be a string, not {_kind(value)}: quote it")
        if choices and value not in choices:
            raise self.error(name, f"{value!r} is none of {', '.join(choices)}")
        return value

    def needed_text(self, name: str) -> str:
        """Return a required string."""
        (value,) = self.needed_texts(name)
        return value

    def needed_texts(self, *names: str) -> list[str]:
        """Return required strings.

        Raises ManifestError: a line for each that is missing or not a string.
        """

        def read(name: str) -> str:
            if not (value := self._text(name, ())):
                raise self.error(name, "is required")
            return value

        return collected(read, names)

    def whole(self, name: str, *, least: int = 0) -> int | None:
        """Return an integer of at least `least`."""
        return self.attempt(lambda: self._whole(name, least))

    def _whole(self, name: str, least: int) -> int | None:
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(name, f"must be a whole number, not {_kind(value)}")
        if value < least:
            raise self.error(name, f"must be at least {least}, not {value}")
        return value

    def read(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Return a string parsed by `parse`; its ValueError becomes the message."""
        value = self.text(name)
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
        """Return a required nested mapping."""
        inner = self.inner(name)
        if inner is None:
            raise self.error(name, "is required")
        return inner

    def inners(self, name: str) -> list[Fields]:
        """Return a list of mappings."""
        value = self.raw(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(name, f"must be a list, not {_kind(value)}")
        paths = (self._path(f"{name}[{i}]") for i in range(len(value)))
        return [
            Fields(self.where, path, one, self.problems)
            for path, one in zip(paths, value, strict=True)
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
