"""Where the lake is, for the commands that work on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from local.cli.addresses import address

if TYPE_CHECKING:
    from shared.stores.s3_reader import S3Access


def object_access(data_dir: Path) -> S3Access:
    """Return the object storage of the environment, else of the running instance."""
    import os

    from shared.stores.s3_reader import S3Access

    found = S3Access.from_mapping(os.environ)
    if found.endpoint:
        return found
    return S3Access(
        *(
            address(None, name, name, data_dir)
            for name in ("S3_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        )
    )
