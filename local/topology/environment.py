"""Environment variables of manifests, and their values on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from local.errors import ManifestError
from local.topology.fields import Fields, collected

STORES_SECRET = "kandle-stores"  # noqa: S105 - the name of a secret
"""The secret that holds the URLs and keys of the four servers."""

_REFERENCE = re.compile(r"\{\{\s*(\w+)\s*:\s*([^:{}\s]+)\s*(?::\s*([^:{}\s]+)\s*)?\}\}")
_KINDS = ("secret", "configMap", "env")


@dataclass(frozen=True)
class Entry:
    """One variable: a plain value, or a `key` of a secret or ConfigMap.

    `kind` is `value`, `secret`, `configMap` or `env` (a variable of the machine that deploys). With
    `name` None all keys of the secret or ConfigMap become variables. `where` is for messages.
    """

    name: str | None
    kind: str
    source: str
    key: str | None
    where: str


@dataclass(frozen=True)
class Values:
    """Values of references: by name of the secret or ConfigMap, then by key."""

    secrets: Mapping[str, Mapping[str, str]] = field(repr=False)
    config_maps: Mapping[str, Mapping[str, str]]
    environment: Mapping[str, str] = field(repr=False)


def resolve(entries: Sequence[Entry], values: Values) -> dict[str, str]:
    """Resolve every variable. Raises ManifestError, one line per variable without a value."""

    def read(entry: Entry) -> Mapping[str, str]:
        try:
            return _resolve(entry, values)
        except KeyError as error:
            raise ManifestError(f"{entry.where}: {error.args[0]}") from None

    return {name: value for each in collected(read, entries) for name, value in each.items()}


def localised(value: str, addresses: Mapping[str, str]) -> str:
    """Replace URLs of cluster hosts in `value` by the loopback URLs in `addresses`."""
    for host, url in addresses.items():
        value = re.sub(rf"http://{re.escape(host)}(?::80)?(?=[/?#\s,;]|$)", url, value)
    return value


def read_function_entry(fields: Fields) -> Entry:
    """Read one of `run.envs` of a func.yaml: `{{ secret:NAME:KEY }}` and its relatives."""
    name = fields.text("name")
    if fields.raw("value") is None:
        fields.wrong("value", "is required")
    value = fields.text("value") or ""
    where = f"{fields.where}: {fields.path}"
    if "{{" not in value:
        if not name:
            fields.wrong("name", "is required beside a plain value")
        return Entry(name, "value", value, None, where)
    match = _REFERENCE.fullmatch(value.strip())
    if match is None or match[1] not in _KINDS or (match[1] == "env" and match[3]):
        fields.wrong(
            "value",
            f"{value!r} is none of '{{{{ secret:NAME:KEY }}}}', '{{{{ configMap:NAME:KEY }}}}', "
            "'{{ env:VARIABLE }}'",
        )
        return Entry(name, "value", value, None, where)
    kind, source, key = match.groups()
    if name and kind != "env" and key is None:
        fields.wrong("value", f"{value!r} names no key, which is only for an entry unnamed")
    if not name and (kind == "env" or key is not None):
        fields.wrong("name", "is required beside this value")
    return Entry(name, kind, source, key, where)


def read_container_entry(fields: Fields) -> Entry:
    """Read one of `env` of a container: a value, or a key of a Secret or ConfigMap."""
    name = fields.needed_text("name")
    where = f"{fields.where}: {fields.path}"
    reference = fields.inner("valueFrom")
    if reference is None:
        return Entry(name, "value", fields.text("value") or "", None, where)
    for kind, member in (("secret", "secretKeyRef"), ("configMap", "configMapKeyRef")):
        if inner := reference.inner(member):
            return Entry(name, kind, inner.needed_text("name"), inner.needed_text("key"), where)
    fields.wrong("valueFrom", "only secretKeyRef and configMapKeyRef can be given here")
    return Entry(name, "value", "", None, where)


def _resolve(entry: Entry, values: Values) -> Mapping[str, str]:
    if entry.kind == "value":
        return {entry.name or "": entry.source}
    if entry.kind == "env":
        if entry.source not in values.environment:
            raise KeyError(f"the variable {entry.source} is not set on this machine: export it")
        return {entry.name or "": values.environment[entry.source]}
    sources = values.secrets if entry.kind == "secret" else values.config_maps
    if entry.source not in sources:
        names = ", ".join(sorted(sources)) or "none"
        raise KeyError(f"there is no {entry.kind} {entry.source!r} here; known: {names}")
    data = sources[entry.source]
    if entry.key is None:
        return data
    if entry.key not in data:
        keys = ", ".join(sorted(data))
        raise KeyError(f"{entry.kind} {entry.source!r} has no key {entry.key!r}; it has: {keys}")
    return {entry.name or "": data[entry.key]}
