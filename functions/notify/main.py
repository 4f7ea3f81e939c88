"""notify: send alerts to the services in ALERT_URLS."""

from __future__ import annotations

import os
from dataclasses import dataclass

from functions.notify.claims import Claims
from functions.notify.handler import STAGE, Notify
from shared.adapter.delegated import served
from shared.adapter.wiring import event_app
from shared.alerts.notifications import Target, parse_targets
from shared.runtime.settings import FromEnvironment, parsed, text
from shared.stores.postgres import Postgres

AT_ONCE = 4
"""Concurrent alerts; each waits for all its services in parallel."""
CONNECTIONS = 8


@dataclass(frozen=True)
class Settings(FromEnvironment):
    """Settings of notify, from its environment. No error shows a URL of ALERT_URLS."""

    database_url: str = text("DATABASE_URL")
    targets: tuple[Target, ...] = parsed("ALERT_URLS", "", parse_targets)


settings = Settings.from_env(os.environ)
postgres = Postgres(settings.database_url, size=CONNECTIONS)
handler = Notify(Claims(postgres), settings.targets)
app = event_app(STAGE, handler, os.environ, concurrency=AT_ONCE, ready=postgres.check)
notify = served("notify", app)
