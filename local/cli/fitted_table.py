"""A table that fits its terminal: whole columns are dropped in a fixed order, no digit is cut."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

PROSE_WIDTH: Final = 24
"""Minimum width of a text column."""


@dataclass(frozen=True)
class FittedTable:
    """Rows under `columns`; names in `left` are left-aligned.

    `drops`: columns to drop, in order, if the terminal is too narrow; a line below names them.
    `--json` and a pipe have all of them. `prose`: text columns, which wrap in the remaining width.
    """

    columns: Sequence[str]
    left: frozenset[str]
    drops: Sequence[str]
    title: str | None = None
    is_boxed: bool = False
    prose: frozenset[str] = frozenset()
    rows: list[tuple[Sequence[str | Text], str]] = field(default_factory=list)

    def add_row(self, values: Sequence[str | Text], style: str = "") -> None:
        """Add a row, a text for each column."""
        self.rows.append((values, style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render as many columns as fit."""
        dropped: list[str] = []
        while _width(console, options, self._table(dropped, PROSE_WIDTH)) > options.max_width:
            if len(dropped) == len(self.drops):
                break
            dropped.append(self.drops[len(dropped)])
        yield self._table(dropped, None)
        if dropped:
            yield Text(f"too narrow for {', '.join(dropped)}", style="dim", no_wrap=True)

    def _table(self, dropped: Sequence[str], prose_width: int | None) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD if self.is_boxed else None,
            pad_edge=False,
            title=None if self.title is None else Text(self.title),
            title_justify="left",
            header_style="bold",
        )
        visible = [at for at, name in enumerate(self.columns) if name not in dropped]
        for at in visible:
            name = self.columns[at]
            is_prose = name in self.prose
            table.add_column(
                name,
                justify="left" if is_prose or name in self.left else "right",
                no_wrap=not is_prose,
                overflow="fold",
                max_width=prose_width if is_prose else None,
            )
        for values, style in self.rows:
            cells = (values[at] for at in visible)
            table.add_row(
                *(Text(each) if isinstance(each, str) else each for each in cells), style=style
            )
        return table


def _width(console: Console, options: ConsoleOptions, table: Table) -> int:
    endless = options.update(max_width=sys.maxsize)
    return Measurement.get(console, endless, table).maximum
