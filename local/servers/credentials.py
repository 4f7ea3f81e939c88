"""Generated credentials of the local servers, once per data directory."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field, fields
from pathlib import Path

from local.errors import StartError
from local.instance import write_json

USER = "kandle"
BROWSER_USER = "browser"
_ADDED = ("nats_browser_password", "watch_token")
"""What files of earlier versions lack."""


@dataclass(frozen=True)
class Credentials:
    """Passwords and keys: letters and digits only, so that they fit any file format and URL."""

    nats_password: str = field(repr=False)
    nats_browser_password: str = field(repr=False)
    valkey_password: str = field(repr=False)
    postgres_password: str = field(repr=False)
    s3_access_key: str = field(repr=False)
    s3_secret_key: str = field(repr=False)
    watch_token: str = field(repr=False)

    @classmethod
    def keep(cls, file: Path) -> Credentials:
        """Read the credentials in `file`; create them (mode 0600) if missing.

        Raises StartError: the file exists and cannot be read. It is never replaced, because the
        data of PostgreSQL can only be opened with it.
        """
        created = {each.name: secrets.token_hex(24) for each in fields(cls)}
        created["s3_access_key"] = secrets.token_hex(10).upper()
        created["s3_secret_key"] = secrets.token_hex(20)
        try:
            stored = json.loads(file.read_text())
            added = {name: created[name] for name in _ADDED if name not in stored}
            created = {name: str({**added, **stored}[name]) for name in created}
        except FileNotFoundError:
            added = created
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StartError(f"the credentials in {file} cannot be read: {error!r}") from None
        if added:
            write_json(file, created)
        return cls(**created)
