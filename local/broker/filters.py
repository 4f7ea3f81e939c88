"""Trigger filters: whether a Trigger wants an event.

The real broker calls a filter service over HTTP for every event and trigger; here the same rules
run inside the broker process, which saves a hop and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from local.broker.cesql import parse, passes
from local.topology.trigger_filters import Filter

Predicate = Callable[[Mapping[str, str]], bool]


def compile_filters(filters: tuple[Filter, ...]) -> Predicate:
    """Return a predicate over event attributes: all of `filters` must pass; none pass all."""
    predicates = [_compile(each) for each in filters]
    if not predicates:
        return lambda event: True
    return predicates[0] if len(predicates) == 1 else _all(predicates)


def _all(predicates: list[Predicate]) -> Predicate:
    return lambda event: all(passes(event) for passes in predicates)


def _compile(each: Filter) -> Predicate:
    pairs = each.attributes
    match each.dialect:
        case "exact":
            return lambda event: all(event.get(name) == value for name, value in pairs)
        case "prefix":
            return lambda event: all(
                name in event and event[name].startswith(value) for name, value in pairs
            )
        case "suffix":
            return lambda event: all(
                name in event and event[name].endswith(value) for name, value in pairs
            )
        case "attributes":
            # legacy filter: an empty value only requires the attribute
            return lambda event: all(
                name in event and value in ("", event[name]) for name, value in pairs
            )
        case "cesql":
            expression = parse(each.expression)
            return lambda event: passes(expression, event)
    inner = [_compile(part) for part in each.filters]
    if each.dialect == "all":
        return _all(inner)
    if each.dialect == "any":
        return lambda event: any(passes(event) for passes in inner)
    assert each.dialect == "not"
    # also true if the attribute is absent
    return lambda event: not inner[0](event)
