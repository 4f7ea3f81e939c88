"""Trigger filters in YAML, validated: one dialect per filter."""

from __future__ import annotations

import re
from dataclasses import dataclass

from local.broker.cesql import CesqlSyntaxError, parse
from local.topology.fields import Fields

ATTRIBUTE_DIALECTS = ("exact", "prefix", "suffix")
_DIALECTS = (*ATTRIBUTE_DIALECTS, "all", "any", "not", "cesql")
_ATTRIBUTE_NAME = re.compile(r"[a-z0-9]{1,20}")


@dataclass(frozen=True)
class Filter:
    """One filter.

    Attributes:
        dialect: `exact`, `prefix`, `suffix`, `all`, `any`, `not`, `cesql`, or `attributes` for the
            old `spec.filter.attributes`, in which an empty value means that the attribute exists.
        attributes: name and value pairs of the attribute dialects, all of which must hold.
        filters: what `all`, `any` and `not` are made of.
        expression: of `cesql`.

    """

    dialect: str
    attributes: tuple[tuple[str, str], ...] = ()
    filters: tuple[Filter, ...] = ()
    expression: str = ""


def read_filters(spec: Fields) -> tuple[Filter, ...]:
    """Read the filters that must all pass; `filters` takes precedence over the old `filter`."""
    old = spec.inner("filter")
    filters = tuple(map(_read, spec.inners("filters")))
    attributes: tuple[tuple[str, str], ...] = ()
    if old:
        inner = old.inner("attributes")
        old.done()
        attributes = tuple(read_attributes(inner).items()) if inner else ()
    if filters:
        return filters
    return (Filter("attributes", attributes),) if attributes else ()


def _read(fields: Fields) -> Filter:
    dialects = [name for name in _DIALECTS if fields.raw(name) is not None]
    fields.done()
    if len(dialects) != 1:
        has = " and ".join(dialects) or "none"
        fields.wrong("", f"needs one dialect, has {has}: combine several with all or any")
        return Filter("")
    (dialect,) = dialects
    if dialect in ATTRIBUTE_DIALECTS:
        inner = fields.needed_inner(dialect)
        return Filter(dialect, _attributes(inner))
    if dialect == "cesql":
        expression = fields.needed_text(dialect)
        try:
            parse(expression)
        except CesqlSyntaxError as error:
            fields.wrong(dialect, str(error))
        return Filter(dialect, expression=expression)
    parts = [fields.needed_inner(dialect)] if dialect == "not" else fields.inners(dialect)
    if not parts:
        fields.wrong(dialect, "needs at least one filter")
    return Filter(dialect, filters=tuple(map(_read, parts)))


def read_attributes(fields: Fields) -> dict[str, str]:
    """Attribute names and string values, as filters and `ceOverrides.extensions` hold them."""
    attributes = {}
    for name, value in fields.items():
        if not isinstance(name, str) or not _ATTRIBUTE_NAME.fullmatch(name):
            fields.wrong(str(name), "is not an attribute name: 1 to 20 of a-z and 0-9")
        elif not isinstance(value, str):
            fields.wrong(name, f"must be a string: write {str(value).lower()!r} in quotes")
        else:
            attributes[name] = value
    return attributes


def _attributes(fields: Fields) -> tuple[tuple[str, str], ...]:
    attributes = read_attributes(fields)
    for name, value in attributes.items():
        if not value:
            fields.wrong(name, "must not be empty")
    if fields.empty:
        fields.wrong("", "names no attribute")
    return tuple(attributes.items())
