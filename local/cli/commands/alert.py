"""`kandle alert`: rules on candles, indicators, patterns, quotes and feeds, and their test."""

from __future__ import annotations

import json
import os
import time
from typing import Annotated, Any

import typer

from local.cli.clients.database import database
from local.cli.options.candle_range import made_by
from local.cli.options.common import DEFAULT_DATA_DIR, AsJson, DatabaseUrl, DataDir
from local.cli.output.dead_letter_text import one_line
from local.cli.output.result import show
from local.errors import CliError, UsageError

_ADD = """Add a rule. Examples:

  kandle alert add "BTC-USD close > 75000"

  kandle alert add "BTC-USD rsi:14(1h) crosses 30 once"

  kandle alert add "BTC-USD volume > 3 * sma(volume, 20) on 5m once a bar"

  kandle alert add "BTC-USD close crosses above ema:50 and pattern double_bottom on 15m"

  kandle alert add "BTC-USD spread > 5"

  kandle alert add "BTC-USD close(1m) > sma:20(1h) and delta > 5 to ops"

  kandle alert add "feed binance stalled"

It alerts each time its condition becomes true on a closed candle newer than those known now, and
notifies the services in ALERT_URLS. With --sink each alert is also posted there as a CloudEvent,
and retried until it is accepted. Grammar: docs/alerts.md.
"""

RuleId = Annotated[str, typer.Argument(metavar="ID", help="As `kandle alert list` shows it.")]

app = typer.Typer(
    name="alert",
    no_args_is_help=True,
    help="Alerts: notifications when a condition on candles, indicators or feeds becomes true.",
)


@app.command("add", help=_ADD)
def add(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="SYMBOL CONDITION [on 5m] [once]")],
    sink: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where alerts are posted, http or https. The functions post to it from where they "
            "run, so mind what they can reach. Default: alerts are stored, published and notified.",
        ),
    ] = None,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Check the rule and store it."""
    from shared.alerts.event import checked_sink
    from shared.alerts.notices import notices
    from shared.alerts.present import is_true_now
    from shared.alerts.rule import Rule
    from shared.alerts.stored_rules import MAX_RULES, add_rule

    try:
        parsed = Rule.parse(rule)
        checked = None if sink is None else checked_sink(sink)
    except ValueError as error:
        raise UsageError(str(error)) from None
    with database(database_url, data_dir) as connection:
        holds = is_true_now(connection, parsed, time.time_ns() // 1000)
        id_ = add_rule(connection, parsed, checked)
        ladder, _ = made_by(connection)
    if id_ is None:
        raise CliError(f"there are {MAX_RULES:,} rules already: remove some")
    notes = notices(parsed, holds, list(map(str, ladder)))
    stored = {"id": id_, "rule": parsed.text(), "sink": checked}
    show(f"{id_}  {parsed.text()}", as_json=as_json, **stored, holds=holds, notes=notes)
    for note in () if as_json else notes:
        typer.echo(f"note: {note}", err=True)


@app.command("list")
def list_rules(
    database_url: DatabaseUrl = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False
) -> None:
    """List the active rules, and how often each has fired."""
    from local.cli.output.display import print_table
    from shared.alerts.stored_rules import active_rules

    with database(database_url, data_dir) as connection:
        rules = active_rules(connection)
    if as_json:
        rows = [{**each._asdict(), "created": each.created.isoformat()} for each in rules]
        typer.echo(json.dumps(rows, indent=2))
        return
    if not rules:
        typer.echo('no rules; add one: kandle alert add "BTC-USD close > 75000"')
        return
    print_table(
        ("id", "rule", "sink", "alerts", "since (UTC)"),
        (
            (
                *(each.id, f"{each.rule} (muted)" if each.muted else each.rule),
                *(one_line(each.sink or "", 80), f"{each.alerts:,}"),
                f"{each.created:%Y-%m-%d %H:%M}",
            )
            for each in rules
        ),
        right=("alerts",),
        drops=("sink", "since (UTC)"),
        prose=("rule",),
    )


@app.command("remove")
def remove(
    rule_id: RuleId,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Remove a rule by its id; its alerts stay stored."""
    from shared.alerts.stored_rules import remove_rule

    with database(database_url, data_dir) as connection:
        text = remove_rule(connection, rule_id)
    _say("removed", rule_id, text, as_json=as_json)


@app.command("mute")
def mute(
    rule_id: RuleId,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Mute a rule: its alerts are stored but not sent."""
    _mute(rule_id, database_url, data_dir, muted=True, as_json=as_json)


@app.command("unmute")
def unmute(
    rule_id: RuleId,
    database_url: DatabaseUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Unmute a rule."""
    _mute(rule_id, database_url, data_dir, muted=False, as_json=as_json)


def _mute(
    rule_id: str, database_url: str | None, data_dir: DataDir, *, muted: bool, as_json: bool
) -> None:
    from shared.alerts.stored_rules import mute_rule

    with database(database_url, data_dir) as connection:
        text = mute_rule(connection, rule_id, muted=muted)
    _say("muted" if muted else "unmuted", rule_id, text, as_json=as_json, muted=muted)


def _say(verb: str, rule_id: str, text: str | None, *, as_json: bool, **more: bool) -> None:
    """Print the rule that was changed. Raises CliError: there is none."""
    if text is None:
        raise CliError(f"there is no rule {rule_id[:40]!r} in force: see kandle alert list")
    show(f"{verb}  {text}", as_json=as_json, id=rule_id, rule=text, **more)


@app.command("test")
def send_test(as_json: AsJson = False) -> None:
    """Send a test notification to each URL of ALERT_URLS and print the results.

    It is sent from here, with the ALERT_URLS of this shell: with those of the Secret it shows what
    the function notify would do. The exit code is 1 if a service did not accept it.
    """
    from shared.alerts.notifications import TEST_BODY, TEST_TITLE, at_once, parse_targets

    try:
        targets = parse_targets(os.environ.get("ALERT_URLS", ""))
    except ValueError as error:
        raise UsageError(f"ALERT_URLS: {error}") from None
    if not targets:
        raise UsageError("ALERT_URLS is not set: it holds the URLs of the services to notify")
    failed = at_once(targets, lambda each: each.send(TEST_TITLE, TEST_BODY))
    results: list[dict[str, Any]] = [
        {"target": each.name, "sent": each.name not in failed, "reason": failed.get(each.name)}
        for each in targets
    ]
    if as_json:
        typer.echo(json.dumps(results))
    else:
        for result in results:
            outcome = "sent" if result["sent"] else f"FAILED: {result['reason']}"
            typer.echo(f"{result['target']}  {outcome}")
    if not all(each["sent"] for each in results):
        raise typer.Exit(1)
