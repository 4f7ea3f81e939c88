"""`kandle rebuild`: candles recomputed from stored ticks by the pipeline, under new revisions."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from local.cli.options.candle_range import (
    From,
    TimeframeNames,
    To,
    chosen,
    requested_range,
    stores,
    utc,
)
from local.cli.options.common import DEFAULT_DATA_DIR, DatabaseUrl, DataDir, JsonLines, RedisUrl
from local.cli.output.result import show
from local.errors import CliError

if TYPE_CHECKING:
    from psycopg import Connection

    from shared.market.timeframes import Timeframe
    from shared.wire.candle import Candle, CandleKey

POLL_S: Final = 0.5

app = typer.Typer()


@app.command("rebuild")
def rebuild(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="The instrument.")],
    since: From = None,
    until: To = None,
    timeframes: TimeframeNames = None,
    wait_s: Annotated[
        float,
        typer.Option("--wait", min=1, metavar="SECONDS", help="How long to wait without progress."),
    ] = 30.0,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json_lines: JsonLines = False,
) -> None:
    """Recompute the candles of SYMBOL from stored ticks and publish them under new revisions.

    It queues them for candle-aggregate, which processes them while ticks keep arriving, and waits;
    live candles follow once their ticks are stored. Changes are printed with both values.

    Examples:

      kandle rebuild BTC-USD --from -24h

      kandle rebuild XRP-ETH --from 2019-10-11 --to 2019-10-12 --timeframe 1m
    """
    from local.audit import COMPARED, Batch, stored_candles, truth

    requested = requested_range(since, until)
    with stores(database_url, redis_url, data_dir) as opened:
        connection, cold, made = opened.postgres, opened.cold, opened.ladder
        ladder = chosen(timeframes, made)
        batch = Batch([symbol], *requested.of(connection, symbol, cold))
        keys = list(truth(connection, cold, batch, made[0], sorted(ladder)))
        if not keys:
            raise CliError(f"no tick of {symbol!r} is stored in that range")

        before = stored_candles(opened, batch, ladder)
        open_s = open_for_s(keys, made[0], time.time_ns() // 1000)
        left = _queued_and_awaited(connection, keys, wait_s, open_s)
        after = stored_candles(opened, batch, ladder)
        until_s = time.monotonic() + wait_s
        while not left and time.monotonic() < until_s:
            if all(_is_new(before.get(key), after.get(key)) for key in keys):
                break
            time.sleep(POLL_S)
            after = stored_candles(opened, batch, ladder)
    changed = 0
    for key in keys:
        previous, current = before.get(key), after.get(key)
        values = {
            name: (str(getattr(previous, name, None)), str(getattr(current, name)))
            for name in COMPARED
            if current is not None and getattr(previous, name, None) != getattr(current, name)
        }
        if values:
            changed += 1
            changes = "; ".join(
                f"{name} was {old}, is {now_}" for name, (old, now_) in values.items()
            )
            line = f"{symbol} {key[1]} {utc(key[2])}: {changes}"
            at = {"timeframe": str(key[1]), "t": key[2] // 1000}
            show(line, as_json=json_lines, **at, values=values)
    done = f"{symbol}: {len(keys) - left:,} candles recomputed, {changed:,} changed"
    typer.echo(done, err=json_lines)
    if left:
        raise CliError(
            f"{left:,} candles still wait: their ticks are on the way, or candle-aggregate is down"
        )


def _is_new(old: Candle | None, new: Candle | None) -> bool:
    return new is not None and (old is None or new.revision > old.revision)


def open_for_s(keys: Iterable[CandleKey], base: Timeframe, now_us: int) -> float:
    """Return how long the newest base candle stays open, and with it the last of these waits."""
    from shared.market.timeframes import Timeframe

    if any(Timeframe.parse(name).end_us(start_us) > now_us for _, name, start_us in keys):
        return (base.end_us(base.start_us(now_us)) - now_us) / 1e6
    return 0.0


def _queued_and_awaited(
    connection: Connection, keys: list[CandleKey], wait_s: float, open_s: float
) -> int:
    """Queue the candles; return how many still wait once there is no more progress."""
    name = f"asked {uuid.uuid4()}"
    with connection.transaction():
        connection.cursor().executemany(
            "INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)"
            " VALUES (%s, %s, %s, %s, 'asked')",
            [(*key, name) for key in keys],
        )
    also = f"; the newest stays open for {open_s:.0f} s" if open_s else ""
    typer.echo(f"{len(keys):,} candles queued{also}", err=True)
    left, since_s = len(keys), time.monotonic() + open_s
    while left and time.monotonic() - since_s < wait_s:
        time.sleep(POLL_S)
        row = connection.execute(
            "SELECT count(*) FROM repairs WHERE event_id = %s", (name,)
        ).fetchone()
        assert row is not None
        if row[0] != left:
            left, since_s = int(row[0]), max(since_s, time.monotonic())
            typer.echo(f"{len(keys) - left:,} of {len(keys):,}", err=True)
    return left
