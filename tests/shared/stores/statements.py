"""Every SQL statement of the code, found in its sources, and its plan."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psycopg import Connection, sql

ROOT: Final = Path(__file__).parents[3]
_STATEMENT: Final = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\b")
_BLANK: Final = re.compile(r"\{[a-z_]*\}")
_PARAMETER: Final = re.compile(r"%(?:(%)|\((\w+)\)s|s)")
_TYPES: Final = {"most": "::bigint", "segment": "::bigint"}
"""Of parameters whose type does not follow from the statement."""
_KEEP_THE_ORDER: Final = ("Append", "Merge Append", "Result", "LockRows")


@dataclass(frozen=True)
class Statement:
    """A statement of the code, the file in which it stands, and its line or its name there."""

    file: str
    place: str
    text: str

    @property
    def is_template(self) -> bool:
        """Whether parts of it are put in later."""
        return _BLANK.search(self.text) is not None

    def fills(self, template: Statement) -> bool:
        """Tell whether it has the longest part of a template that is written out."""
        return max(_BLANK.split(template.text), key=len) in self.text

    def begins(self, other: Statement) -> bool:
        """Tell whether it is only a part of another one, which is composed of it."""
        return self.file == other.file and self.text != other.text and self.text in other.text

    def filled(self, *parts: sql.Composable | str) -> Statement:
        """Return the statement with the parts put in."""
        composed = [sql.SQL(each) if isinstance(each, str) else each for each in parts]
        text = sql.SQL(_BLANK.sub("{}", self.text)).format(*composed).as_string()
        return Statement(self.file, self.place, text)

    @property
    def numbered(self) -> str:
        """Its text with parameters as the server has them."""
        numbers: dict[str, int] = {}

        def number(match: re.Match[str]) -> str:
            if match[1]:
                return "%"
            key = match[2] or str(match.start())
            return f"${numbers.setdefault(key, len(numbers) + 1)}{_TYPES.get(key, '')}"

        return _PARAMETER.sub(number, self.text)


@dataclass(frozen=True)
class Index:
    """An index, or that of which it is a partition; `leading` is its first column."""

    name: str
    table: str
    leading: str
    is_partial: bool
    is_unique: bool


@dataclass(frozen=True)
class Scan:
    """A reading of a table or an index in a plan; `is_whole`: all of it, not the first rows."""

    table: str
    index: Index | None
    is_whole: bool


def statements(*folders: str) -> list[Statement]:
    """Return the statements written in the sources, and those that modules compose of them."""
    found: dict[str, Statement] = {}
    for path in sorted(path for each in folders for path in (ROOT / each).rglob("*.py")):
        source, file = path.read_text(), path.relative_to(ROOT).as_posix()
        for line, text in _written(source):
            found.setdefault(text, Statement(file, str(line), text))
        if "sql.SQL" in source:
            module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
            for name, value in vars(module).items():
                text = value.as_string() if isinstance(value, sql.Composed) else ""
                if _STATEMENT.match(text):
                    found.setdefault(text, Statement(file, name, text))
    whole = list(found.values())
    return [each for each in whole if not any(each.begins(other) for other in whole)]


def _written(source: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(source)
    parts = {part for each in ast.walk(tree) if isinstance(each, ast.JoinedStr)
             for part in each.values}  # fmt: skip
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and node not in parts else None
        if isinstance(node, ast.Constant) and isinstance(text, str) and _STATEMENT.match(text):
            yield node.lineno, text


def indexes(connection: Connection) -> dict[str, Index]:
    """Return the indexes of the schema by name; a partition's as that of its table.

    Those of empty partitions are left out: the planner takes any.
    """
    rows = connection.execute("""
        SELECT own.relname, coalesce(whole.relname, own.relname),
            coalesce(above.relname, tab.relname), coalesce(col.attname, ''),
            i.indpred IS NOT NULL, i.indisunique
        FROM pg_index i JOIN pg_class own ON own.oid = i.indexrelid
        JOIN pg_class tab ON tab.oid = i.indrelid
        LEFT JOIN pg_inherits iu ON iu.inhrelid = own.oid
        LEFT JOIN pg_class whole ON whole.oid = iu.inhparent
        LEFT JOIN pg_inherits tu ON tu.inhrelid = tab.oid
        LEFT JOIN pg_class above ON above.oid = tu.inhparent
        LEFT JOIN pg_attribute col ON col.attrelid = tab.oid AND col.attnum = i.indkey[0]
        WHERE own.relnamespace = 'public'::regnamespace
            AND (tab.reltuples > 0 OR NOT tab.relispartition)
    """)
    return {name: Index(*index) for name, *index in rows}


def tables(connection: Connection) -> dict[str, str]:
    """Return the table of each table or partition."""
    return dict(
        connection.execute(
            "SELECT own.relname, coalesce(whole.relname, own.relname) FROM pg_class own"
            " LEFT JOIN pg_inherits i ON i.inhrelid = own.oid"
            " LEFT JOIN pg_class whole ON whole.oid = i.inhparent WHERE own.relkind IN ('r', 'p')"
        ).fetchall()
    )


def plan_of(connection: Connection, statement: Statement) -> dict[str, Any]:
    """Return the plan for parameters of any value."""
    explain = "EXPLAIN (FORMAT JSON, GENERIC_PLAN) " + statement.numbered
    row = connection.execute(explain.encode()).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def scans(
    plan: dict[str, Any],
    of_name: dict[str, Index],
    tables: dict[str, str],
    *,
    is_limited: bool = False,
) -> Iterator[Scan]:
    """Yield how a plan reads tables.

    A table is read whole by a scan without a condition on the first column of the index, unless it
    is a partial index, or only the first rows in its order are wanted.
    """
    node = plan["Node Type"]
    index = of_name.get(plan.get("Index Name", ""))
    if index is not None:
        condition = re.search(rf"\b{index.leading}\b(?! IS NOT NULL)", plan.get("Index Cond", ""))
        yield Scan(index.table, index, not (condition or index.is_partial or is_limited))
    elif node == "Seq Scan":
        table = plan["Relation Name"]
        yield Scan(tables.get(table, table), None, True)
    is_limited = node == "Limit" or (is_limited and node in _KEEP_THE_ORDER)
    for part in plan.get("Plans", ()):
        is_apart = part.get("Parent Relationship") in ("InitPlan", "SubPlan")
        yield from scans(part, of_name, tables, is_limited=is_limited and not is_apart)
