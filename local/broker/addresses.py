"""Turns cluster URLs into the loopback URLs that answer for them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from local.topology.addressable import CLUSTER_DOMAIN, INGRESS_HOST


class UnknownAddressError(LookupError):
    """A cluster host that nothing on this machine answers for."""


class Addresses:
    """The map of `addresses.json` plus the broker's own ingress."""

    def __init__(self, services: Mapping[str, str], ingress: str) -> None:
        self._bases = {**services, INGRESS_HOST: ingress}

    def resolve(self, url: str) -> str:
        """Return `url` with its cluster host replaced; other hosts stay as they are.

        Raises:
            UnknownAddressError: no process stands for that host.

        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        base = self._bases.get(parts.netloc) or self._bases.get(host)
        if base is None:
            if host.endswith(CLUSTER_DOMAIN):
                raise UnknownAddressError(f"{host} is not among the addresses: is it running?")
            return url
        query = f"?{parts.query}" if parts.query else ""
        return f"{base.rstrip('/')}{parts.path or '/'}{query}"
