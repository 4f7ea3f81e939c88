"""Secrets of a cluster with random passwords: for `kubectl apply -f -`, or created inside it once.

In the cluster (knative/secrets) it never changes an existing Secret: new passwords would lock the
functions out of the stores.
"""

from __future__ import annotations

import argparse
import base64
import json
import secrets
import sys
from collections.abc import Mapping
from typing import Any, Final

import httpx

from local.cluster.api_server import api_server, own_namespace

SERVERS, STORES = "kandle-servers", "kandle-stores"
_PASSWORDS: Final = (
    "POSTGRES_PASSWORD",
    "VALKEY_PASSWORD",
    "NATS_PASSWORD",
    "NATS_BROWSER_PASSWORD",
    "NATS_CHANNEL_PASSWORD",
    "NATS_SYS_PASSWORD",
    "MINIO_ROOT_PASSWORD",
    "MINIO_KANDLE_PASSWORD",
)


def new_servers() -> dict[str, str]:
    """Return the stores' settings: new passwords, each a bare word for NATS."""
    return {name: f"k{secrets.token_hex(24)}" for name in _PASSWORDS}


def stores(servers: Mapping[str, str], namespace: str, browser_host: str) -> dict[str, str]:
    """Return the functions' settings for stores with these passwords."""
    domain = f"{namespace}.svc.cluster.local"
    return {
        "DATABASE_URL": f"postgresql://kandle:{servers['POSTGRES_PASSWORD']}"
        f"@postgres.{domain}:5432/kandle",
        "REDIS_URL": f"redis://:{servers['VALKEY_PASSWORD']}@valkey.{domain}:6379/0",
        "NATS_URL": f"nats://kandle:{servers['NATS_PASSWORD']}@nats.{domain}:4222",
        "NATS_BROWSER_URL": f"ws://browser:{servers['NATS_BROWSER_PASSWORD']}@{browser_host}",
        "S3_ENDPOINT_URL": f"http://minio.{domain}:9000",
        "AWS_ACCESS_KEY_ID": "kandle",
        "AWS_SECRET_ACCESS_KEY": servers["MINIO_KANDLE_PASSWORD"],
    }


def secret(name: str, namespace: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Return a Secret."""
    metadata = {"name": name, "namespace": namespace}
    labels = {"app.kubernetes.io/part-of": "kandle"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**metadata, "labels": labels},
        "stringData": dict(values),
    }


def create(client: httpx.Client, namespace: str, browser_host: str) -> list[str]:
    """Create the missing Secrets by the API server; return their names."""
    servers, created = new_servers(), []
    if _created(client, secret(SERVERS, namespace, servers)):
        created.append(SERVERS)
    else:
        servers = _existing(client, SERVERS, namespace)
    if _created(client, secret(STORES, namespace, stores(servers, namespace, browser_host))):
        created.append(STORES)
    return created


def _created(client: httpx.Client, manifest: Mapping[str, Any]) -> bool:
    address = f"/api/v1/namespaces/{manifest['metadata']['namespace']}/secrets"
    response = client.post(address, json=manifest)
    if response.status_code == httpx.codes.CONFLICT:
        return False
    response.raise_for_status()
    return True


def _existing(client: httpx.Client, name: str, namespace: str) -> dict[str, str]:
    response = client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}").raise_for_status()
    data = response.json()["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m local.manifests.secrets", description=__doc__)
    parser.add_argument("--namespace", help="default: the pod's own, else kandle")
    parser.add_argument("--browser-host", default="127.0.0.1:8443", help="where browsers find NATS")
    parser.add_argument("--in-cluster", action="store_true", help="create them, as a pod may")
    options = parser.parse_args()
    namespace = options.namespace or own_namespace()
    if options.in_cluster:
        with api_server() as client:
            created = create(client, namespace, options.browser_host)
        sys.stderr.write(f"created: {', '.join(created) or 'nothing, both were there'}\n")
        return
    servers = new_servers()
    functions = stores(servers, namespace, options.browser_host)
    items = [secret(SERVERS, namespace, servers), secret(STORES, namespace, functions)]
    json.dump({"apiVersion": "v1", "kind": "List", "items": items}, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
