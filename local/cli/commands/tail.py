"""`kandle tail`: follow the live feed, one line per message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from kandle.client import ApiError, Kandle, KandleError
from local.cli.commands.candles import shown_vwap, state, utc
from local.cli.options.addresses import http_address
from local.cli.options.common import DEFAULT_DATA_DIR, DataDir, JsonLines, url_option
from local.cli.options.times import time_us
from local.cli.run.stopping import left_on_signals
from local.errors import CliError

_HELP = """Follow the live feed: ticks:SYMBOL, candles:TIMEFRAME:SYMBOL, busts:SYMBOL,
patterns:SYMBOL, alerts:SYMBOL.

A * stands for all. It prints the current state, then every change, and resumes after a
disconnect. Ctrl-C ends it. With --from it replays stored data, and ends with it.

Examples:

  kandle tail candles:1m:BTC-USD

  kandle tail 'ticks:*' 'patterns:*'

  kandle tail 'candles:*:BTC-USD' --json | jq .data.c

  kandle tail ticks:BTC-USD candles:1m:BTC-USD --from -1h --speed 10
"""
_TIMES: Final = "Such as 2026-11-27T14:30, ms since 1970, or -1h."

app = typer.Typer()


@app.command("tail", help=_HELP)
def tail(
    channels: Annotated[list[str], typer.Argument(metavar="CHANNEL...", help="What to follow.")],
    live_url: Annotated[str | None, url_option("LIVE_URL", "The live feed.")] = None,
    as_json: JsonLines = False,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help=f"Play what is stored from here on. {_TIMES}"),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="With --from: the end. Default: now.")
    ] = None,
    speed: Annotated[float, typer.Option(help="With --from: playback speed.")] = 1.0,
    by: Annotated[
        str, typer.Option(help="With --from: in the order of `event` time, or of `receipt`.")
    ] = "event",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Print messages until stopped."""
    replay: dict[str, Any] = {}
    if from_ is not None:
        replay = {"replay_from": time_us(from_, "--from") // 1000, "speed": speed, "by": by}
        replay |= {} if to is None else {"replay_to": time_us(to, "--to") // 1000}
    url, revisions = http_address(live_url, "LIVE_URL", data_dir), Revisions()
    with left_on_signals() as whole, Kandle(live_url=url, trust_env=False) as kandle:
        try:
            for message in filter(revisions.raises, kandle.messages(*channels, **replay)):
                with whole():
                    typer.echo(json.dumps(message) if as_json else line(message))
        except ApiError as error:
            raise CliError(f"{error.detail} ({error.title})") from None
        except KandleError as error:
            raise CliError(str(error)) from None


class Revisions:
    """The highest recent revision of each candle, to drop outdated states."""

    def __init__(self) -> None:
        self._highest: dict[tuple[str, int], int] = {}

    def raises(self, message: Mapping[str, Any]) -> bool:
        """Whether the message is not a candle, or a newer state of one."""
        if not message["channel"].startswith("candles:"):
            return True
        key, revision = (message["channel"], message["data"]["t"]), message["data"]["revision"]
        highest = self._highest.pop(key, -1)
        self._highest[key] = max(highest, revision)
        if len(self._highest) > _REMEMBERED:
            del self._highest[next(iter(self._highest))]
        return bool(revision > highest)


def line(message: Mapping[str, Any]) -> str:
    """Format a message; a late trade and a corrected candle are marked."""
    kind = message["channel"].partition(":")[0]
    mark = f"  {_LATE[kind]}" if message.get("late") else ""
    return _LINES[kind](message["data"]) + mark


def _tick(data: dict[str, Any]) -> str:
    side = data["side"] or ""
    return f"{utc(data['t'])}  {data['symbol']}  {data['price']} x {data['size']}  {side}".rstrip()


def _bust(data: dict[str, Any]) -> str:
    values = [f"{name} {data[name]}" for name in ("price", "size") if data[name] is not None]
    status = f"{data['status'].upper()} {' '.join(values)}".rstrip()
    return f"{utc(data['received'])}  {data['symbol']}  trade {data['trade_id']}  {status}"


def _candle(data: dict[str, Any]) -> str:
    average = f"  VWAP {shown_vwap(data)}" if data.get("vw") is not None else ""
    mark = state(data)
    return (
        f"{utc(data['t'])}  {data['symbol']} {data['timeframe']}  {_prices(data)}{average}"
        f"  trades {data['n']:,}{'  ' + mark if mark else ''}"
    )


def _bar(data: dict[str, Any]) -> str:
    mark = "" if data["closed"] else "  open"
    return (
        f"{utc(data['t'])}  {data['symbol']} {data['type']} #{data['number']}  {_prices(data)}"
        f"  trades {data['n']:,}{mark}"
    )


def _prices(data: dict[str, Any]) -> str:
    return "  ".join(f"{name} {data[name.lower()]}" for name in ("O", "H", "L", "C", "V"))


def _indicator(data: dict[str, Any]) -> str:
    values = "  ".join(f"{name} {value}" for name, value in data["values"].items())
    mark = "" if data["closed"] else "  open"
    return f"{utc(data['t'])}  {data['symbol']} {data['timeframe']}  {values}{mark}"


def _pattern(data: dict[str, Any]) -> str:
    direction = {1: "up", -1: "down"}.get(data["direction"], "no direction")
    retracted = "  RETRACTED" if data["status"] == "retracted" else ""
    return (
        f"{utc(data['timestamp'])}  {data['symbol']} {data['timeframe']}  {data['pattern_type']}"
        f" {direction} at {data['trigger_price']}  confidence {data['confidence']:.2f}"
        f" ({data['level']}){retracted}"
    )


def _alert(data: dict[str, Any]) -> str:
    detail = data.get("value") or data.get("trigger_price") or ""
    return f"{utc(data['timestamp'])}  ALERT  {data['rule']}  {detail}".rstrip()


_CORRECTED: Final = dict.fromkeys(("candles", "bars", "indicators"), "CORRECTED")
_LATE: Final = {"ticks": "LATE", **_CORRECTED}
_REMEMBERED: Final = 100_000
_LINES: Final = {
    "ticks": _tick,
    "candles": _candle,
    "bars": _bar,
    "indicators": _indicator,
    "busts": _bust,
    "patterns": _pattern,
    "alerts": _alert,
}
