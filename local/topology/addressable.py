"""Addressable: URL resolution of references, as in Knative."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin

from local.topology.fields import Fields

INGRESS_HOST = "broker-ingress.knative-eventing.svc.cluster.local"
CLUSTER_DOMAIN = ".svc.cluster.local"
_RESOLVED = {
    "Service": ("serving.knative.dev/v1", "v1"),
    "Broker": ("eventing.knative.dev/v1",),
}
"""API versions of the kinds that have an address."""


@dataclass(frozen=True)
class Ref:
    """A reference to an object of the cluster; the namespace is always filled in."""

    api_version: str
    kind: str
    name: str
    namespace: str


@dataclass(frozen=True)
class Destination:
    """A subscriber or sink: `ref`, `uri`, or both (then `uri` is relative to the ref's URL)."""

    ref: Ref | None
    uri: str | None

    @property
    def url(self) -> str:
        """Its URL by cluster name, `http://<name>.<namespace>.svc.cluster.local[/path]`."""
        if self.ref is None:
            assert self.uri is not None
            return self.uri
        base = service_url(self.ref.name, self.ref.namespace)
        if self.ref.kind == "Broker":
            base = broker_url(self.ref.namespace, self.ref.name)
        return urljoin(base, self.uri) if self.uri else base


def service_url(name: str, namespace: str) -> str:
    """Return the cluster URL of a Service."""
    return f"http://{name}.{namespace}{CLUSTER_DOMAIN}"


def broker_url(namespace: str, name: str) -> str:
    """Return the cluster URL of a Broker's ingress."""
    return f"http://{INGRESS_HOST}/{namespace}/{name}"


def read_ref(fields: Fields, namespace: str) -> Ref:
    """Read a reference; its namespace defaults to the referring object's."""
    stated = fields.text("namespace")
    api_version, kind, name = map(fields.needed_text, ("apiVersion", "kind", "name"))
    fields.done()
    return Ref(api_version, kind, name, stated or namespace)


def read_destination(fields: Fields, namespace: str) -> Destination:
    """Read a `ref` and/or `uri`, which must be resolvable."""
    inner = fields.inner("ref")
    uri = fields.text("uri")
    for unused in ("CACerts", "audience"):  # TLS and OIDC mean nothing on loopback
        fields.raw(unused)
    fields.done()
    ref = read_ref(inner, namespace) if inner else None
    if ref and inner:
        allowed = _RESOLVED.get(ref.kind, ())
        if ref.kind and not allowed:
            inner.wrong("kind", f"{ref.kind!r} cannot be resolved here: Service or Broker")
        elif ref.api_version and ref.kind and ref.api_version not in allowed:
            inner.wrong("apiVersion", f"{ref.api_version!r}: use {' or '.join(allowed)}")
    absolute = bool(uri) and str(uri).startswith(("http://", "https://"))
    if ref is None and not absolute:
        fields.wrong("", "needs a ref, or a uri that starts with http://")
    if ref and absolute:
        fields.wrong("uri", "is absolute beside a ref: make it a path, or drop the ref")
    return Destination(ref, uri)
