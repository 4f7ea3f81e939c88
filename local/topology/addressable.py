"""Addressable: URL resolution of references, as in Knative."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin

from local.topology.fields import Fields

INGRESS_HOST = "broker-ingress.knative-eventing.svc.cluster.local"
CLUSTER_DOMAIN = ".svc.cluster.local"
_SERVICE_APIS = ("serving.knative.dev/v1", "v1")
_BROKER_API = "eventing.knative.dev/v1"


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
    api_version, kind, name = fields.needed_texts("apiVersion", "kind", "name")
    fields.done()
    return Ref(api_version, kind, name, stated or namespace)


def read_destination(fields: Fields, namespace: str) -> Destination:
    """Read a `ref` and/or `uri`.

    Raises ManifestError: it cannot be resolved.
    """
    inner = fields.inner("ref")
    uri = fields.text("uri")
    for unused in ("CACerts", "audience"):  # TLS and OIDC mean nothing on loopback
        fields.raw(unused)
    fields.done()
    ref = read_ref(inner, namespace) if inner else None
    if ref and inner:
        allowed = {"Service": _SERVICE_APIS, "Broker": (_BROKER_API,)}.get(ref.kind)
        if allowed is None:
            raise inner.error("kind", f"{ref.kind!r} cannot be resolved here: Service or Broker")
        if ref.api_version not in allowed:
            raise inner.error("apiVersion", f"{ref.api_version!r}: use {' or '.join(allowed)}")
    absolute = bool(uri) and str(uri).startswith(("http://", "https://"))
    if ref is None and not absolute:
        raise fields.error("", "needs a ref, or a uri that starts with http://")
    if ref and absolute:
        raise fields.error("uri", "is absolute beside a ref: make it a path, or drop the ref")
    return Destination(ref, uri)
