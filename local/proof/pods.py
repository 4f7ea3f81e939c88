"""Pods that a proof deletes, by label, without grace: as a node that is lost."""

from __future__ import annotations

from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of a namespace, by its API server."""

    client: httpx.Client
    namespace: str

    def delete(self, label: str) -> int:
        """Delete those with the label `KEY=VALUE`; return how many. Raises httpx.HTTPError."""
        address = f"/api/v1/namespaces/{self.namespace}/pods"
        found = self.client.get(address, params={"labelSelector": label}).raise_for_status()
        names = [each["metadata"]["name"] for each in found.json()["items"]]
        for name in names:
            answer = self.client.delete(f"{address}/{name}", params={"gracePeriodSeconds": 0})
            if answer.status_code != httpx.codes.NOT_FOUND:
                answer.raise_for_status()
        return len(names)
