"""`kandle alert`: rules that tell when a price is crossed or a pattern is found."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from local.cli.addresses import address
from local.cli.dead_letter_text import one_line
from local.cli.errors import CliError
from local.cli.options import DataDir
from local.errors import UsageError
from local.instance import DEFAULT_DATA_DIR
from shared.timeframes import DEFAULT_LADDER

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_TIMEOUT_S: Final = 5
MOST: Final = 1_000
"""Rules in force at once; each costs a little with every candle of its symbol."""

_ADD = """Add a rule, such as "BTC-USD close > 75000", "BTC-USD volume >= 100 on 5m" or
"BTC-USD pattern double_top on 15m".

It is told once each time the number is crossed, by closed candles that are newer than those known
now. With --sink each alert is posted there as a CloudEvent, and tried again until it is taken.
"""

_INSERT: Final = """
INSERT INTO alert_rules (id, rule, instrument, timeframe, sink, after_us)
SELECT %(id)s, %(rule)s, %(instrument)s, %(timeframe)s, %(sink)s, coalesce(
    (SELECT max(start_us) FROM candles
     WHERE instrument = %(instrument)s AND timeframe = %(timeframe)s), -1)
WHERE (SELECT count(*) FROM alert_rules WHERE removed_at IS NULL) < %(most)s
"""
_LIST: Final = """
SELECT id, rule, coalesce(sink, ''),
       (SELECT count(*) FROM alerts WHERE rule_id = id), created_at
FROM alert_rules WHERE removed_at IS NULL ORDER BY created_at, id
"""
_REMOVE: Final = (
    "UPDATE alert_rules SET removed_at = now() WHERE id = %s AND removed_at IS NULL RETURNING rule"
)

Database = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        envvar="DATABASE_URL",
        metavar="URL",
        help="The Postgres database. Default: the running instance's.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Alerts: be told when a price is crossed or a pattern is found.",
    )
    group.command("add", help=_ADD)(add)
    group.command("list", help="List the rules in force, and how often each came true.")(list_rules)
    group.command("remove", help="Remove a rule by its id; its alerts stay stored.")(remove)
    app.add_typer(group, name="alert")


def add(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="SYMBOL FIELD OP NUMBER [on 5m]")],
    sink: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where alerts are posted, http or https. It is asked from where the functions "
            "run, so mind what they can reach. Default: alerts are only stored and published.",
            show_default=False,
        ),
    ] = None,
    database_url: Database = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Check the rule and store it."""
    from shared.alerts.event import checked_sink
    from shared.alerts.rule import Rule

    try:
        parsed = Rule.parse(rule)
        checked = None if sink is None else checked_sink(sink)
    except ValueError as error:
        raise UsageError(str(error)) from None
    row = {
        "id": secrets.token_hex(4),
        "rule": parsed.text(),
        "instrument": parsed.subject,
        "timeframe": parsed.timeframe,
        "sink": checked,
        "most": MOST,
    }
    with _database(database_url, data_dir) as connection:
        if connection.execute(_INSERT, row).rowcount == 0:
            raise CliError(f"there are {MOST:,} rules already: remove some")
    typer.echo(f"{row['id']}  {row['rule']}")
    made = os.environ.get("TIMEFRAMES", DEFAULT_LADDER)
    if parsed.timeframe not in made.split(","):
        typer.echo(
            f"note: no candles of {parsed.timeframe} are made here (TIMEFRAMES is {made}),"
            " so this rule stays silent",
            err=True,
        )


def list_rules(database_url: Database = None, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Show the rules in force."""
    from local.cli.display import console

    with _database(database_url, data_dir) as connection:
        found = connection.execute(_LIST).fetchall()
    if not found:
        typer.echo('no rules; add one: kandle alert add "BTC-USD close > 75000"')
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("id", "rule", "sink", "alerts", "since (UTC)"):
        table.add_column(name, overflow="fold")
    for id_, rule, sink, count, created in found:
        shown = (id_, rule, one_line(sink, 80), f"{count:,}", f"{created:%Y-%m-%d %H:%M}")
        table.add_row(*map(Text, shown))
    console().print(table)


def remove(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="As `kandle alert list` shows it.")],
    database_url: Database = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Take a rule out of force."""
    with _database(database_url, data_dir) as connection:
        row = connection.execute(_REMOVE, (rule_id,)).fetchone()
    if row is None:
        raise CliError(f"there is no rule {rule_id[:40]!r} in force: see kandle alert list")
    typer.echo(f"removed  {row[0]}")


@contextmanager
def _database(url: str | None, data_dir: DataDir) -> Iterator[Connection]:
    """Yield a connection. Raises CliError: Postgres is away or is not Kandle's."""
    import psycopg

    try:
        with psycopg.connect(
            address(url, "DATABASE_URL", "--database-url", data_dir),
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="kandle alert",
        ) as connection:
            yield connection
    except psycopg.errors.UndefinedTable:
        raise CliError("this database has no alert rules: Kandle has not used it") from None
    except psycopg.Error as error:
        reason = one_line(str(error), 300) or type(error).__name__
        raise CliError(f"cannot use Postgres: {reason}; is the instance up?") from None
