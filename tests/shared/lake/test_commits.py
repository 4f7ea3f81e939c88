"""Commits of the lake's tables add and remove files, whatever else the table has."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from pyiceberg.expressions.visitors import _ManifestEvalVisitor

from shared.errors import TransientError
from shared.lake.catalog import Catalog, commit
from shared.lake.maintenance.compaction import files_of
from shared.lake.tables.candle_table import to_table
from shared.lake.tables.definitions import CANDLES
from shared.lake.tables.files import write
from shared.market.utc_days import begin_us
from tests.shared.lake.house import House
from tests.shared.lake.test_added_columns import CANDLE

FIRST = date(2026, 1, 2)


def test_files_are_replaced_among_many_days(lake: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files among many days are replaced, though PyIceberg reads manifests in several threads."""
    visit: Callable[..., bool] = _ManifestEvalVisitor.visit_equal

    def slow(*arguments: Any, **more: Any) -> bool:
        time.sleep(0.01)  # another thread starts with its manifest
        return visit(*arguments, **more)

    monkeypatch.setattr(_ManifestEvalVisitor, "visit_equal", slow)
    days = [FIRST + timedelta(days=n) for n in range(8)]
    rows = {day: to_table([replace(CANDLE, start_us=begin_us(day))]) for day in days}
    with lake.postgres.connection() as connection:
        table = Catalog(connection, lake.access).table(CANDLES)
        for day in days:
            commit(table, write(table, day, iter([rows[day]]), CANDLES))
        for day in reversed(days):
            (before,) = files_of(table, day)
            commit(table, write(table, day, iter([rows[day]]), CANDLES), [before])
        assert all(len(files_of(table, day)) == 1 for day in days)


def test_a_table_is_made_once_by_two_at_the_same_time(
    lake: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that two connections make at the same moment is made once."""
    new, others = Catalog._new, []

    def while_another_makes_it(self: Catalog, *arguments: Any) -> str:
        monkeypatch.setattr(Catalog, "_new", new)
        with lake.postgres.connection() as other:
            others.append(Catalog(other, lake.access).table(CANDLES))
        return new(self, *arguments)

    monkeypatch.setattr(Catalog, "_new", while_another_makes_it)
    with lake.postgres.connection() as connection:
        table = Catalog(connection, lake.access).table(CANDLES)
    assert [table.metadata_location] == [each.metadata_location for each in others]


def test_a_missing_object_is_not_taken_for_storage_that_is_away(lake: House) -> None:
    """An object that is gone is named as missing."""
    with lake.postgres.connection() as connection:
        catalog = Catalog(connection, lake.access)
        table = catalog.table(CANDLES)
        table.io.delete(table.metadata_location)
        with pytest.raises(TransientError, match=r"an object of the lake is missing: .*metadata"):
            catalog.table(CANDLES)
