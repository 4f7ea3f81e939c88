"""`kandle tail`: follow the live feed over WebSocket, one line per message."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from local.cli.addresses import http_address
from local.cli.candles import shown_vwap, state, utc
from local.cli.options import DEFAULT_DATA_DIR, DataDir, JsonLines, url_option
from local.cli.stopping import stop_on_signals
from local.cli.times import time_us
from local.errors import CliError

if TYPE_CHECKING:
    import threading

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
_LOOK_S: Final = 0.25
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 3.0
_CHECK_S: Final = 5.0


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
    replay = None
    if from_ is not None:
        replay = {"from": time_us(from_, "--from") // 1000, "speed": speed, "by": by}
        replay |= {} if to is None else {"to": time_us(to, "--to") // 1000}
    url = http_address(live_url, "LIVE_URL", data_dir)
    with stop_on_signals() as stop:
        for message in Follower(
            f"ws{url.removeprefix('http')}/ws", channels, replay=replay
        ).messages(stop):
            typer.echo(json.dumps(message) if as_json else line(message))


@dataclass
class Follower:
    """Follows the stream across disconnects, which `notice` reports.

    `replay`: the replay request; an interrupted one resumes at its position.
    """

    url: str
    channels: list[str]
    notice: Callable[[str], None] = lambda text: typer.echo(text, err=True)
    replay: dict[str, Any] | None = None
    _seq: int | None = None
    _stream: str = ""
    _revisions: Revisions = field(default_factory=lambda: Revisions())
    _has_ended: bool = False

    def messages(self, stop: threading.Event) -> Iterator[dict[str, Any]]:
        """Yield `{channel, seq, data}` until stopped, reconnecting after every disconnect.

        Raises CliError: the first connection fails, or the feed refuses a channel.
        """
        from websockets.exceptions import ConnectionClosed, InvalidHandshake

        wait_s, connected = _FIRST_WAIT_S, False
        while not stop.is_set() and not self._has_ended:
            try:
                for message in self._connected(stop):
                    connected, wait_s = True, _FIRST_WAIT_S
                    if message:
                        yield message
            except (OSError, InvalidHandshake, ConnectionClosed) as error:
                if not connected:
                    raise CliError(f"cannot follow {self.url}: {error}; is it up?") from None
                self.notice(f"cut ({error}), connecting again")
                stop.wait(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _connected(self, stop: threading.Event) -> Iterator[dict[str, Any]]:
        """Yield the messages of one connection, and an empty one once connected."""
        from websockets.sync.client import connect

        with connect(
            self.url, proxy=None, open_timeout=_CHECK_S, close_timeout=1, max_size=None
        ) as socket:
            socket.send(json.dumps(self._request()))
            while not stop.is_set() and not self._has_ended:
                try:
                    frame = json.loads(socket.recv(timeout=_LOOK_S))
                except TimeoutError:
                    continue
                yield from self._read(frame)

    def _request(self) -> dict[str, Any]:
        if self.replay is not None:
            return {"op": "replay", "channels": self.channels, **self.replay}
        position = {} if self._seq is None else {"from_seq": self._seq, "stream": self._stream}
        return {"op": "subscribe", "channels": self.channels, **position}

    def _read(self, frame: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        match frame["type"]:
            case "subscribed":
                if self._seq is not None and not frame["replayed"] and self.replay is None:
                    self.notice("missed messages are no longer retained: this is the current state")
                    self._seq = None  # a position in the former stream
                self._stream = frame["stream"]
                yield {}
            case "snapshot":
                yield from filter(self._revisions.raises, frame["items"])
                if not frame["more"]:
                    self._seq = frame["seq"]
            case "update":
                update = {name: value for name, value in frame.items() if name != "type"}
                if self._revisions.raises(update):
                    yield update
                self._seq = frame["seq"]
            case "replay" if self.replay is not None:
                self.replay["from"] = frame["time_ms"]
                self._has_ended = frame["state"] == "ended"
            case "error":
                raise CliError(f"{frame['msg']} ({frame['code']})")


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
    prices = "  ".join(f"{name} {data[name.lower()]}" for name in ("O", "H", "L", "C", "V"))
    average = f"  VWAP {shown_vwap(data)}" if data.get("vw") is not None else ""
    mark = state(data)
    return (
        f"{utc(data['t'])}  {data['symbol']} {data['timeframe']}  {prices}{average}"
        f"  trades {data['n']:,}{'  ' + mark if mark else ''}"
    )


def _bar(data: dict[str, Any]) -> str:
    prices = "  ".join(f"{name} {data[name.lower()]}" for name in ("O", "H", "L", "C", "V"))
    mark = "" if data["closed"] else "  open"
    return (
        f"{utc(data['t'])}  {data['symbol']} {data['type']} #{data['number']}  {prices}"
        f"  trades {data['n']:,}{mark}"
    )


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
