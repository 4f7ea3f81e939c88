"""The API server from within a pod: the ServiceAccount's token, and the cluster's CA."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

import httpx

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def api_server() -> httpx.Client:
    """Return a client for the API server of this pod's cluster."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    return httpx.Client(
        base_url=f"https://{host}:{port}",
        headers={"authorization": f"Bearer {(_ACCOUNT / 'token').read_text()}"},
        verify=trusting(_ACCOUNT / "ca.crt"),
        trust_env=False,
    )


def own_namespace() -> str:
    """Return this pod's namespace; outside a cluster `kandle`."""
    file = _ACCOUNT / "namespace"
    return file.read_text() if file.exists() else "kandle"


def trusting(authority: Path) -> ssl.SSLContext:
    """Return a TLS context that trusts only this CA, for the API server.

    Names and signatures are verified. The extensions of RFC 5280 that Python 3.13 requires by
    default (key usage, authority key identifier) are not: the CAs of many clusters lack them.
    """
    context = ssl.create_default_context(cafile=str(authority))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
