"""Objects read from S3: signed by botocore, without the memory that a whole client takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from shared.errors import TransientError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 20
REGION: Final = "us-east-1"
_OK: Final = (200, 206)
_MISSING: Final = 404
_BUSY: Final = (500, 502, 503)


class ObjectMissing(Exception):  # noqa: N818 - a fact that readers act on, not a fault
    """There is no such object: it was superseded and removed, or never written."""


@dataclass(frozen=True, slots=True)
class S3Access:
    """Where the objects are. An empty endpoint: there is no object store."""

    endpoint: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, str]) -> S3Access:
        """Read what is in the environment."""
        return cls(
            mapping.get("S3_ENDPOINT_URL", ""),
            mapping.get("AWS_ACCESS_KEY_ID", ""),
            mapping.get("AWS_SECRET_ACCESS_KEY", ""),
        )


class Reader:
    """Gets objects, over connections that it keeps. It tries twice."""

    def __init__(self, access: S3Access, connections: int) -> None:
        self._access = access
        self._connections = connections
        self._made: PoolManager | None = None

    @contextmanager
    def got(
        self, bucket: str, key: str, headers: Mapping[str, str], *, preload: bool = True
    ) -> Iterator[BaseHTTPResponse]:
        """Yield the answer to a GET. Raises TransientError, ObjectMissing."""
        from urllib3.exceptions import HTTPError

        url = f"{self._access.endpoint.rstrip('/')}/{bucket}/{quote(key, safe='/~')}"
        try:
            answer = self._pool.request(
                "GET", url, headers=self._signed(url, headers), preload_content=preload
            )
            try:
                if answer.status not in _OK:
                    said = answer.data[:300].decode(errors="replace")
                    if answer.status == _MISSING:
                        raise ObjectMissing(f"{bucket}/{key}: {said}")
                    raise TransientError(f"object storage refuses: {answer.status} {said}")
                yield answer
            finally:
                answer.release_conn()
        except (HTTPError, OSError) as error:
            raise TransientError(f"object storage is away: {error}") from error

    def _signed(self, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        request = AWSRequest(method="GET", url=url, headers=dict(headers))
        key = Credentials(self._access.access_key, self._access.secret_key)
        S3SigV4Auth(key, "s3", REGION).add_auth(request)
        return dict(request.headers.items())

    @property
    def _pool(self) -> PoolManager:
        if self._made is None:
            from urllib3 import PoolManager, Retry, Timeout

            again = Retry(1, redirect=False, status_forcelist=_BUSY, raise_on_status=False)
            self._made = PoolManager(
                maxsize=self._connections,
                timeout=Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
                retries=again,
            )
        return self._made
