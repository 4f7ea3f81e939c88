"""The exchange bridge as a process, and what its sink received."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from local.servers.ports import free_port
from shared.wire import events
from shared.wire.compression import decompress
from shared.wire.feed_status import FeedStatus
from shared.wire.gaps import Gap, decode_gaps
from shared.wire.raw_batch import RawBatch
from tests.exchanges.alpaca import AlpacaDialect
from tests.exchanges.playback import Playback
from tests.forked import Forked, forked
from tests.local.broker.subscriber import Subscriber
from tests.platform import environment

QUICK = {
    "REPORT_MS": "100",
    "GAP_GRACE_MS": "300",
    "STALL_MS": "1500",
    "QUIET_MS": "1000",
    "RECONNECT_MAX_MS": "500",
    "HISTORY_S": "0",
}
"""As the settings are, but for tests that do not wait, and begin with what is played."""


def of_playback(playback: Playback, *symbols: str) -> dict[str, str]:
    """Settings that point a bridge to this exchange."""
    name = playback.dialect.name.upper()
    if name == "SCANNER":
        return {"FEED": "scanner", "WEBSOCKET_URL": playback.websocket_url}
    if name.startswith("CCXT:"):
        return {
            "FEED": "ccxt",
            "CCXT_VENUE": name.removeprefix("CCXT:").lower(),
            "CCXT_SYMBOLS": ",".join(symbols),
            "CCXT_WEBSOCKET_BASE_URL": playback.websocket_url,
            "CCXT_REST_BASE_URL": playback.rest_url,
        }
    credentials = {}
    if isinstance(playback.dialect, AlpacaDialect):
        key_id, secret = AlpacaDialect.key
        credentials = {
            "ALPACA_KEY_ID": key_id,
            "ALPACA_SECRET_KEY": secret,
            "ALPACA_TRADING_BASE_URL": playback.rest_url,
        }
    return {
        **credentials,
        "FEED": playback.dialect.name,
        f"{name}_SYMBOLS": ",".join(symbols),
        f"{name}_WEBSOCKET_BASE_URL": playback.websocket_url,
        f"{name}_REST_BASE_URL": playback.rest_url,
    }


@contextmanager
def bridging(
    sink: str, log: Path, settings: dict[str, str], stop: signal.Signals = signal.SIGTERM
) -> Iterator[Forked]:
    """Run a bridge; stop it at the end, by SIGTERM if `stop` is not given."""
    given = {**environment(), **QUICK, "METRICS_PORT": str(free_port()), "K_SINK": sink, **settings}
    given |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    with log.open("ab") as stream:
        process = forked("functions.exchange_bridge.bridge", (), given, stream)
    try:
        yield process
        assert process.poll() is None, log.read_text()
    finally:
        process.send_signal(stop)
        process.wait(20)


class BridgeOutput:
    """Decoded events that a sink received from a bridge."""

    def __init__(self, sink: Subscriber) -> None:
        self._sink = sink

    def payloads(self) -> list[bytes]:
        """Every payload of every raw batch; a repeated event counts once."""
        found = []
        for body in self._bodies(events.RAW):
            batch = RawBatch.decode(body)
            start = 0
            for length in batch.lengths.tolist():
                found.append(batch.payloads[start : start + length])
                start += length
        return found

    def ids(self, field: str) -> list[int]:
        """The sorted ids of the trades."""
        found = []
        for payload in self.payloads():
            message = orjson.loads(payload)
            if isinstance(message, list):  # Alpaca
                found += [each[field] for each in message if each["T"] == "t"]
                continue
            if "trade" in message:  # ccxt; Bybit's ids end with the number
                found.append(int(message["trade"]["id"].rpartition("-")[2]))
                continue
            if "quote" in message:
                continue
            data = message.get("data", message)
            found += [each[field] for each in (data if isinstance(data, list) else [data])]
        return sorted(found)

    def gaps(self) -> list[Gap]:
        return [gap for body in self._bodies(events.GAP) for gap in decode_gaps(body)[1]]

    def statuses(self) -> list[FeedStatus]:
        """Feed statuses in the order of their creation."""
        found = [FeedStatus.decode(body) for body in self._bodies(events.FEED)]
        return sorted(found, key=lambda status: status.reported_us)

    def states(self, symbol: str) -> list[str]:
        """The states of a symbol without repetitions."""
        states: list[str] = []
        for status in self.statuses():
            for each in status.symbols:
                if each.symbol == symbol and states[-1:] != [each.state.value]:
                    states.append(each.state.value)
        return states

    def _bodies(self, type_: str) -> list[bytes]:
        found = {
            each.id: each.body
            for each in list(self._sink.received)
            if each.headers["ce-type"] == type_
        }
        return [decompress(body) for body in found.values()]
