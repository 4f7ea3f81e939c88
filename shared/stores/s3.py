"""S3 at the edge: bounded requests, objects that are created and never replaced, two errors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Final

from shared.errors import TransientError
from shared.stores.s3_reader import (
    CONNECT_TIMEOUT_S,
    READ_TIMEOUT_S,
    REGION,
    ObjectMissing,
    Reader,
    S3Access,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_EXISTS: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})


class ObjectExists(Exception):  # noqa: N818
    """An object has that name already; it was left as it is."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a listing says of an object."""

    key: str
    bytes: int
    modified: datetime


class ObjectStore:
    """Reads and creates objects. Every method raises TransientError while the store is away.

    The client that writes is made at its first request: its library takes long to load, and much
    memory. Who only reads does without. Both try twice; what is more belongs to whoever asks.
    """

    def __init__(self, access: S3Access, *, connections: int = 8) -> None:
        self._access = access
        self._connections = connections
        self._made: S3Client | None = None
        self._reader = Reader(access, connections)

    @property
    def _client(self) -> S3Client:
        if self._made is None:
            import boto3
            from botocore.config import Config

            self._made = boto3.session.Session().client(
                "s3",
                endpoint_url=self._access.endpoint,
                aws_access_key_id=self._access.access_key,
                aws_secret_access_key=self._access.secret_key,
                region_name=REGION,
                config=Config(
                    connect_timeout=CONNECT_TIMEOUT_S,
                    read_timeout=READ_TIMEOUT_S,
                    retries={"total_max_attempts": 2, "mode": "standard"},
                    max_pool_connections=self._connections,
                    s3={"addressing_style": "path"},
                    # Not every store that speaks S3 knows the newer trailing checksums.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    proxies={},
                ),
            )
        return self._made

    def create(self, bucket: str, key: str, body: bytes | IO[bytes]) -> None:
        """Write an object that is not there yet. Raises ObjectExists, and then changes nothing."""
        with _translated():
            self._client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")

    def read(self, bucket: str, key: str, first: int = 0, count: int | None = None) -> bytes:
        """Return `count` bytes from `first`, or all. Raises ObjectMissing."""
        last = "" if count is None else str(first + count - 1)
        asked = {} if first == 0 and count is None else {"Range": f"bytes={first}-{last}"}
        with self._reader.got(bucket, key, asked) as answer:
            return answer.data

    def sha256(self, bucket: str, key: str) -> str:
        """Return the digest of an object's bytes, read in pieces. Raises ObjectMissing."""
        digest = hashlib.sha256()
        with self._reader.got(bucket, key, {}, preload=False) as answer:
            for piece in answer.stream(1 << 20):
                digest.update(piece)
        return digest.hexdigest()

    def remove(self, bucket: str, key: str) -> None:
        """Remove an object; one that is not there is as good."""
        with _translated():
            self._client.delete_object(Bucket=bucket, Key=key)

    def listing(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose names begin with the prefix, in the order of their names."""
        token = ""
        while True:
            with _translated():
                more = {"ContinuationToken": token} if token else {}
                page = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)  # type: ignore[arg-type]
            for each in page.get("Contents", []):
                yield StoredObject(each["Key"], each["Size"], each["LastModified"])
            token = page.get("NextContinuationToken", "")
            if not token:
                return

    def expire(self, bucket: str, prefix: str, days: int) -> None:
        """Set the bucket's lifecycle: objects under the prefix go after so many days."""
        with _translated():
            self._client.put_bucket_lifecycle_configuration(
                Bucket=bucket,
                LifecycleConfiguration={
                    "Rules": [
                        {
                            "ID": "kandle",
                            "Status": "Enabled",
                            "Filter": {"Prefix": prefix},
                            "Expiration": {"Days": days},
                        }
                    ]
                },
            )


@contextmanager
def _translated() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _MISSING:
            raise ObjectMissing(str(error)) from error
        if code in _EXISTS:
            raise ObjectExists(str(error)) from error
        raise TransientError(f"object storage refuses: {error}") from error
    except (BotoCoreError, HTTPClientError, OSError) as error:
        raise TransientError(f"object storage is away: {error}") from error
