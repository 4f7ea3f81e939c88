"""Mapping of cluster URLs to loopback URLs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from local.topology.addressable import CLUSTER_DOMAIN, INGRESS_HOST


class UnknownAddressError(LookupError):
    """A cluster host without a local process."""


class Addresses:
    """The map of `addresses.json` plus the broker's own ingress.

    A service with several replicas has a list of URLs, used round robin.
    """

    def __init__(self, services: Mapping[str, str | Sequence[str]], ingress: str) -> None:
        self._bases = {
            host: itertools.cycle([urls] if isinstance(urls, str) else urls)
            for host, urls in {**services, INGRESS_HOST: ingress}.items()
        }

    def resolve(self, url: str) -> str:
        """Return `url` with its cluster host replaced; other hosts stay as they are.

        Raises UnknownAddressError: no process stands for that host.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        bases = self._bases.get(parts.netloc) or self._bases.get(host)
        if bases is None:
            if host.endswith(CLUSTER_DOMAIN):
                raise UnknownAddressError(f"{host} is not among the addresses: is it running?")
            return url
        query = f"?{parts.query}" if parts.query else ""
        return f"{next(bases).rstrip('/')}{parts.path or '/'}{query}"
