"""S3 at the edge: objects that are created, listed, read and removed; one error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from shared.errors import TransientError

if TYPE_CHECKING:
    from obstore.store import S3Store

CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 20
REGION: Final = "us-east-1"


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


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a listing says of an object."""

    key: str
    bytes: int
    modified: datetime


class ObjectStore:
    """Every method raises TransientError while the store is away, or refuses.

    Each request is tried twice; what is more belongs to whoever asks.
    """

    def __init__(self, access: S3Access) -> None:
        self._access = access
        self._buckets: dict[str, S3Store] = {}

    def create(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object. One that has the name already is an error, and stays as it is."""
        with _translated():
            self._bucket(bucket).put(key, body, mode="create")

    def read(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes."""
        with _translated():
            return bytes(self._bucket(bucket).get(key).bytes())

    def remove(self, bucket: str, key: str) -> None:
        """Remove an object; one that is not there is as good."""
        with _translated():
            self._bucket(bucket).delete(key)

    def listing(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose names begin with the prefix, a folder, in no order."""
        with _translated():
            for page in self._bucket(bucket).list(prefix):
                for each in page:
                    yield StoredObject(each["path"], each["size"], each["last_modified"])

    def _bucket(self, name: str) -> S3Store:
        if name not in self._buckets:
            from obstore.store import S3Store

            endpoint = self._access.endpoint.rstrip("/")
            self._buckets[name] = S3Store(
                name,
                endpoint=endpoint,
                access_key_id=self._access.access_key,
                secret_access_key=self._access.secret_key,
                region=REGION,
                client_options={
                    "allow_http": True,
                    "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
                    "timeout": timedelta(seconds=READ_TIMEOUT_S),
                    "proxy_url": endpoint,  # and used for none: the environment's is not either
                    "proxy_excludes": "*",
                },
                retry_config={
                    "max_retries": 1,
                    "retry_timeout": timedelta(seconds=2 * READ_TIMEOUT_S),
                },
            )
        return self._buckets[name]


@contextmanager
def _translated() -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        raise TransientError(f"object storage is away, or refuses: {error}") from error
