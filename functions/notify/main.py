"""notify: send alerts to the services in ALERT_URLS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from functions.notify.claims import Claims
from functions.notify.handler import STAGE, Notify
from shared.adapter.delegated import Delegated
from shared.adapter.wiring import event_app
from shared.alerts.notifications import Target, parse_targets
from shared.runtime.settings import Environment
from shared.stores.postgres import Postgres

AT_ONCE = 4
"""Concurrent alerts; each waits for all its services in parallel."""
CONNECTIONS = 8


@dataclass(frozen=True)
class Settings:
    """Settings of notify, from its environment."""

    database_url: str = field(repr=False)
    targets: tuple[Target, ...] = field(repr=False)

    @classmethod
    def from_env(cls, mapping: Mapping[str, str]) -> Settings:
        """Read and check. Raises SettingsError, which shows no URL of ALERT_URLS."""
        env = Environment(mapping)
        settings = cls(
            database_url=env.text("DATABASE_URL"),
            targets=env.parsed("ALERT_URLS", "", parse_targets),
        )
        env.check()
        return settings


settings = Settings.from_env(os.environ)
postgres = Postgres(settings.database_url, size=CONNECTIONS)
handler = Notify(Claims(postgres), settings.targets)
app = event_app(STAGE, handler, os.environ, concurrency=AT_ONCE, ready=postgres.check)


@functions_framework.aio.http
async def notify(request: Request) -> Response:
    """Answer one request: an event, a probe or a scrape."""
    return Delegated(app)
