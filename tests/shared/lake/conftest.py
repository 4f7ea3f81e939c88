"""A lake over real stores, with market data written as the pipeline does."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.shared.lake.house import House


@pytest.fixture
def lake(servers: dict[str, str], database: str) -> Iterator[House]:
    house = House(servers, database, f"S{uuid.uuid4().hex[:8]}/X")
    # else copied databases would share one lake's objects
    house.sql(f"UPDATE lake_identity SET name = '{uuid.uuid4().hex[:8]}'")
    yield house
    house.postgres.close()
