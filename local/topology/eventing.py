"""Reader and validator of Brokers, Triggers, PingSources and SinkBindings in `eventing/*.yaml`.

It is stricter than the real admission where that accepts mistakes that later lose events. What
loses events only at run time, and only after a failure, is a warning (`Eventing.warnings`); so is
what a cluster would default: the class of a Broker, and its channel.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from local.errors import ManifestError
from local.topology.addressable import read_destination, read_ref
from local.topology.channel_template import KEY as CHANNEL_KEY
from local.topology.channel_template import (
    LOCAL_DEFAULT,
    LOCAL_DEFAULT_WORDS,
    LOSSY_ANNOTATION,
    ChannelTemplate,
    read_template,
)
from local.topology.cron import parse_schedule
from local.topology.delivery_spec import WITHOUT_ANY, read_delivery
from local.topology.eventing_objects import Broker, Eventing, PingSource, SinkBinding, Trigger
from local.topology.fields import LOADER, Fields
from local.topology.trigger_filters import read_attributes, read_filters

__all__ = ["Broker", "Eventing", "PingSource", "SinkBinding", "Trigger", "load_eventing"]

BROKER_CLASS_ANNOTATION = "eventing.knative.dev/broker.class"
BROKER_CLASS = "MTChannelBasedBroker"


@dataclass(frozen=True)
class _Object:
    """One object of a file, before its spec is read."""

    where: str
    api_version: str
    kind: str
    namespace: str
    name: str
    annotations: Mapping[str, Any]
    fields: Fields

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


CLUSTER_NAMESPACE = "knative-eventing"
"""Namespace of a cluster's own ConfigMaps, which are in no directory of manifests."""
_CLUSTER_ONLY = ("EventType", "EventPolicy", "Namespace", "ServiceAccount")
"""Kinds without effect on routing."""
_OUR_GROUPS = ("eventing.knative.dev", "sources.knative.dev", "messaging.knative.dev")

_KINDS = {
    "ConfigMap": "v1",
    "Broker": "eventing.knative.dev/v1",
    "Trigger": "eventing.knative.dev/v1",
    "PingSource": "sources.knative.dev/v1",
    "SinkBinding": "sources.knative.dev/v1",
}


def load_eventing(directory: Path) -> Eventing:
    """Read every `*.yaml`, `*.yml` and `*.json` of `directory` (not recursively).

    JSON without a kind is ignored.

    Raises ManifestError: one line per problem.
    """
    reader = _Reader()
    objects = []
    for each in reader.objects(directory):
        if each.kind in _KINDS:
            objects.append(each)
        elif each.kind != "Kustomization":
            reader.read_other(each)
    seen = set()
    for each in sorted(objects, key=lambda each: list(_KINDS).index(each.kind)):
        if (each.kind, each.key) in seen:
            each.fields.wrong("", "is defined twice: rename or remove one")
        else:
            seen.add((each.kind, each.key))
            reader.read(each)
        reader.problems += each.fields.problems
    if reader.problems:
        raise ManifestError("\n".join(reader.problems))
    return Eventing(
        tuple(reader.brokers.values()),
        tuple(reader.triggers),
        tuple(reader.ping_sources),
        tuple(reader.sink_bindings),
        tuple(reader.ignored),
        tuple(reader.warnings),
    )


class _Reader:
    """Collects objects and problems, in the order of `_KINDS`."""

    def __init__(self) -> None:
        self.templates: dict[str, ChannelTemplate | None] = {}
        self.brokers: dict[str, Broker] = {}
        self.wrong_brokers: set[str] = set()
        self.triggers: list[Trigger] = []
        self.ping_sources: list[PingSource] = []
        self.sink_bindings: list[SinkBinding] = []
        self.ignored: list[str] = []
        self.warnings: list[str] = []
        self.problems: list[str] = []

    def objects(self, directory: Path) -> Iterator[_Object]:
        files = sorted(p for p in directory.glob("*") if p.suffix in (".yaml", ".yml", ".json"))
        if not files:
            self.problems.append(f"{directory}: holds no *.yaml: name a directory with Brokers")
        for file in files:
            try:
                documents = list(yaml.load_all(file.read_text(), LOADER))
            except yaml.YAMLError as error:
                self.problems.append(f"{file}: is not YAML: {error}")
                continue
            for document in documents:
                if file.suffix == ".json" and "kind" not in (document or ()):
                    continue  # JSON is used for many other things
                for item in _items(document):
                    problems: list[str] = []
                    found = _object(file, item, problems)
                    self.problems += problems
                    if not problems:
                        yield found

    def read_other(self, each: _Object) -> None:
        """Ignore an object of an unsupported kind, unless it is a misspelt one."""
        group = each.api_version.partition("/")[0]
        if each.kind in _CLUSTER_ONLY:
            return
        if group not in _OUR_GROUPS:
            self.ignored.append(each.where)
            return
        known = {kind.casefold(): kind for kind in _KINDS if kind != "ConfigMap"}
        near = difflib.get_close_matches(each.kind.casefold(), known, n=1, cutoff=0.8)
        if near:
            problem = f"{each.kind!r} is not a kind of {each.api_version}: write {known[near[0]]}"
            self.problems.append(each.fields.described("kind", problem))
        else:
            self.warnings.append(
                f"{each.where}: kind: {each.kind!r} is ignored: the local broker runs "
                f"{', '.join(known.values())}"
            )

    def read(self, each: _Object) -> None:
        if each.api_version != _KINDS[each.kind]:
            each.fields.wrong("apiVersion", f"of a {each.kind} must be {_KINDS[each.kind]}")
            return
        if each.kind == "ConfigMap":
            self._config_map(each)
            return
        if each.kind == "Broker" and each.fields.raw("spec") is None:
            spec = Fields(each.where, "spec", {}, each.fields.problems)
        else:
            spec = each.fields.needed_inner("spec")
        each.fields.raw("status")
        each.fields.done()
        of_kind = {
            "Broker": self._broker,
            "Trigger": self._trigger,
            "PingSource": self._ping_source,
            "SinkBinding": self._sink_binding,
        }
        of_kind[each.kind](each, spec)

    def _config_map(self, each: _Object) -> None:
        data = each.fields.inner("data")
        if data is None or data.raw(CHANNEL_KEY) is None:
            self.ignored.append(each.where)
            return
        template = read_template(each.where, data)
        if each.annotations.get(LOSSY_ANNOTATION) == "true":
            template = replace(template, may_lose=True, warnings=())
        self.templates[each.key] = None if each.fields.problems else template
        self.warnings += template.warnings

    def _broker(self, each: _Object, spec: Fields) -> None:
        broker_class = each.annotations.get(BROKER_CLASS_ANNOTATION)
        annotation = f"metadata.annotations: {BROKER_CLASS_ANNOTATION}"
        if broker_class is None:
            self.warnings.append(
                f"{each.where}: {annotation} is missing; taken here: {BROKER_CLASS}"
            )
        elif broker_class != BROKER_CLASS:
            each.fields.wrong("", f"{annotation} is {broker_class!r}: write {BROKER_CLASS}")
        template = self._template(spec, each.namespace)
        delivery = read_delivery(spec.inner("delivery"), each.namespace)
        spec.done()
        if template is None:
            self.wrong_brokers.add(each.key)
            return
        broker = Broker(each.namespace, each.name, template, delivery)
        self.brokers[broker.key] = broker

    def _template(self, spec: Fields, namespace: str) -> ChannelTemplate | None:
        config = spec.inner("config")
        if config is None:
            self.warnings.append(spec.described("config", f"is missing; {LOCAL_DEFAULT_WORDS}"))
            return LOCAL_DEFAULT
        ref = read_ref(config, namespace)
        key = f"{ref.namespace}/{ref.name}"
        if key in self.templates:
            return self.templates[key]
        if ref.namespace != CLUSTER_NAMESPACE:
            if ref.name:
                config.wrong("name", f"no ConfigMap {key} with {CHANNEL_KEY} in this directory")
            return None
        message = f"{key} is the cluster's; {LOCAL_DEFAULT_WORDS}"
        self.warnings.append(config.described("name", message))
        return LOCAL_DEFAULT

    def _trigger(self, each: _Object, spec: Fields) -> None:
        if spec.raw("brokerRef") is not None:
            spec.wrong("brokerRef", "is not implemented: name the Broker in spec.broker")
        name = spec.needed_text("broker")
        filters = read_filters(spec)
        subscriber = read_destination(spec.needed_inner("subscriber"), each.namespace)
        delivery_spec = read_delivery(spec.inner("delivery"), each.namespace)
        spec.done()
        key = f"{each.namespace}/{name}"
        if not name or key in self.wrong_brokers:
            return
        broker = self.brokers.get(key)
        if broker is None:
            known = ", ".join(self.brokers) or "none"
            spec.wrong("broker", f"there is no Broker {key}; there is: {known}")
            return
        delivery = delivery_spec or broker.delivery or WITHOUT_ANY
        if not broker.channel.may_lose:
            self.warnings += [f"{each.where}: {problem}" for problem in delivery.problems()]
        trigger = Trigger(each.namespace, each.name, key, filters, subscriber, delivery)
        self.triggers.append(trigger)

    def _ping_source(self, each: _Object, spec: Fields) -> None:
        text = spec.text("data")
        encoded = spec.read("dataBase64", _base64)
        if text is not None and encoded is not None:
            spec.wrong("dataBase64", "stands beside data: keep one")
        schedule = spec.read("schedule", parse_schedule, needed=True)
        timezone = spec.read("timezone", _timezone) or zoneinfo.ZoneInfo("UTC")
        content_type = spec.text("contentType") or ""
        sink = read_destination(spec.needed_inner("sink"), each.namespace)
        overrides = _overrides(spec)
        spec.done()
        if schedule is None:
            return
        source = PingSource(
            each.namespace,
            each.name,
            schedule,
            timezone,
            content_type,
            encoded if encoded is not None else (text or "").encode(),
            sink,
            overrides,
        )
        self.ping_sources.append(source)

    def _sink_binding(self, each: _Object, spec: Fields) -> None:
        """Read a binding; skip those of Jobs, which do not run locally."""
        named = spec.needed_inner("subject")
        if named.raw("kind") == "Job":
            return
        if named.raw("selector") is not None:
            named.wrong("selector", "is not implemented: name the subject")
            return
        subject = read_ref(named, each.namespace)
        sink = read_destination(spec.needed_inner("sink"), each.namespace)
        overrides = _overrides(spec)
        spec.done()
        binding = SinkBinding(each.namespace, each.name, subject, sink, overrides)
        self.sink_bindings.append(binding)


def _items(document: object) -> list[object]:
    """Return the objects of a document: those of a List, as `kubectl get -o yaml` writes it."""
    if document is None:
        return []
    if isinstance(document, dict) and str(document.get("kind")).endswith("List"):
        items = document.get("items")
        if isinstance(items, list):
            return items
    return [document]


def _object(file: Path, document: object, problems: list[str]) -> _Object:
    fields = Fields(str(file), "", document, problems)
    api_version, kind = fields.needed_text("apiVersion"), fields.needed_text("kind")
    if kind == "Kustomization":
        return _Object(f"{file}: {kind}", api_version, kind, "", "", {}, fields)
    metadata = fields.needed_inner("metadata")
    name = metadata.needed_text("name")
    annotations = metadata.raw("annotations") or {}
    namespace = metadata.text("namespace") or "default"
    where = f"{file}: {kind}/{name}"
    top = Fields(where, "", document, [])
    for key in ("apiVersion", "kind", "metadata"):
        top.raw(key)
    return _Object(where, api_version, kind, namespace, name, annotations, top)


def _overrides(spec: Fields) -> dict[str, str]:
    overrides = spec.inner("ceOverrides")
    if overrides is None:
        return {}
    extensions = overrides.inner("extensions")
    overrides.done()
    return read_attributes(extensions) if extensions else {}


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"is not base64: {error}") from None


def _timezone(text: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{text!r} is not a time zone: write it like Europe/Berlin") from None
