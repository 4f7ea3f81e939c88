"""A table that fits its terminal: whole columns are dropped in a fixed order, no digit is cut."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

Row = Sequence[str | Text]
PROSE_WIDTH: Final = 24
"""Minimum width of a text column."""


class FittedTable:
    """Rows under `columns`, left-aligned except for those in `right`.

    `drops`: columns to drop, in order, if the terminal is too narrow; a line below names them.
    `--json` and a pipe have all of them. `prose`: text columns, which wrap in the remaining width.
    `note`: the line below, in place of the dropped columns' names; no row is cut then.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Iterable[Row] = (),
        *,
        right: Collection[str] = (),
        drops: Sequence[str] = (),
        prose: Collection[str] = (),
        title: str | None = None,
        is_boxed: bool = True,
        note: str = "",
    ) -> None:
        self.columns, self.drops = columns, drops
        self._right, self._prose = right, prose
        self._title, self._is_boxed, self._note = title, is_boxed, note
        self._rows = [(row, "") for row in rows]

    def add_row(self, values: Row, style: str = "") -> None:
        """Add a row, a text for each column."""
        self._rows.append((values, style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render as many columns as fit."""
        dropped: list[str] = []
        while _width(console, options, self._table(dropped, PROSE_WIDTH)) > options.max_width:
            if len(dropped) == len(self.drops):
                break
            dropped.append(self.drops[len(dropped)])
        table = self._table(dropped, None)
        if self._note:
            table.width = _width(console, options, table)
        yield table
        if dropped:
            note = Text(f"too narrow for {', '.join(dropped)}", style="dim", no_wrap=True)
            yield Text(self._note) if self._note else note

    def _table(self, dropped: Sequence[str], prose_width: int | None) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD if self._is_boxed else None,
            pad_edge=False,
            title=None if self._title is None else Text(self._title),
            title_justify="left",
            header_style="bold",
        )
        visible = [at for at, name in enumerate(self.columns) if name not in dropped]
        for at in visible:
            name = self.columns[at]
            is_prose = name in self._prose
            table.add_column(
                name,
                justify="right" if name in self._right else "left",
                no_wrap=not is_prose,
                overflow="fold",
                max_width=prose_width if is_prose else None,
            )
        for values, style in self._rows:
            cells = (values[at] for at in visible)
            table.add_row(
                *(Text(each) if isinstance(each, str) else each for each in cells), style=style
            )
        return table


def _width(console: Console, options: ConsoleOptions, table: Table) -> int:
    endless = options.update(max_width=sys.maxsize)
    return Measurement.get(console, endless, table).maximum
