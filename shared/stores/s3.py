"""S3 at the edge: objects that are created, listed, read and removed; one error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

from shared.errors import TransientError
from shared.runtime.settings import FromEnvironment, text

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 20
REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True)
class S3Access(FromEnvironment):
    """Address of the object store. An empty endpoint: there is none."""

    endpoint: str = text("S3_ENDPOINT_URL", "")
    access_key: str = text("AWS_ACCESS_KEY_ID", "")
    secret_key: str = text("AWS_SECRET_ACCESS_KEY", "")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of a listing."""

    key: str
    bytes: int
    modified: datetime


class ObjectStore:
    """Every method raises TransientError while the store is away, or refuses.

    The client is made at its first request: its library takes long to load, and much memory. Each
    request is tried twice; what is more belongs to whoever asks.
    """

    def __init__(self, access: S3Access) -> None:
        self._access = access

    def create(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object. One that has the name already is an error, and stays as it is."""
        with _translated():
            self._client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")

    def read(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes."""
        with _translated():
            return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def remove(self, bucket: str, key: str) -> None:
        """Remove an object, if it exists."""
        with _translated():
            self._client.delete_object(Bucket=bucket, Key=key)

    def listing(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose names begin with the prefix, by name."""
        pages = self._client.get_paginator("list_objects_v2")
        with _translated():
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                for each in page.get("Contents", []):
                    yield StoredObject(each["Key"], each["Size"], each["LastModified"])

    @cached_property
    def _client(self) -> S3Client:
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self._access.endpoint,
            aws_access_key_id=self._access.access_key,
            aws_secret_access_key=self._access.secret_key,
            region_name=REGION,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"total_max_attempts": 2, "mode": "standard"},
                s3={"addressing_style": "path"},
                # Not every store that speaks S3 knows the newer trailing checksums.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                proxies={},
            ),
        )


@contextmanager
def _translated() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, OSError) as error:
        raise TransientError(f"object storage is away, or refuses: {error}{hint(error)}") from error


def hint(error: Exception) -> str:
    """Name the settings behind a refused request."""
    refusals = ("AccessDenied", "ACCESS_DENIED", "InvalidAccessKeyId", "SignatureDoesNotMatch")
    is_refused = any(each in str(error) for each in refusals)
    return " (see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)" if is_refused else ""
