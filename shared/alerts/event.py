"""Alert events: their content, for rows, delivery and display."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson

from shared.errors import PermanentError

if TYPE_CHECKING:
    from shared.alerts.rule import Rule

_MAX_TITLE: Final = 400


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule that fired on a candle or check. `body`: the event's JSON, empty once emitted."""

    rule_id: str
    start_us: int
    body: str = ""


def checked_sink(url: str) -> str:
    """Return the webhook address. Raises ValueError unless it is http or https.

    A rule makes the function post to any address that it can reach; so rules with a sink are added
    through the database, not the API.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or len(url) > 2_000:
        raise ValueError(f"sink {url[:80]!r} is not an http:// or https:// address")
    if parts.username or parts.password:
        raise ValueError("a sink's address holds no user or password: put a token into its path")
    return url


def as_event_json(
    rule_id: str, rule: Rule, start_us: int, end_us: int, type_: str = "alert", **values: Any
) -> str:
    """Return the JSON of an alert; `values` describe the candle or pattern.

    For a pattern it is the pattern's own form (`type_` pattern_detected) with the rule in it. For a
    rule without candles `start_us` and `end_us` are both the time of the check.
    """
    data = {
        "rule_id": rule_id,
        "rule": rule.text(),
        "symbol": rule.subject,
        "timeframe": rule.timeframe,
        "candle_start": start_us // 1000,
        "timestamp": end_us // 1000,
        **({"to": rule.to} if rule.to else {}),
        **values,
    }
    return orjson.dumps({"type": type_, "data": data}).decode()


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """Content of an alert event, for its row and its delivery.

    `to`: names of the targets to notify; none means all. `muted`: none is notified.
    """

    rule_id: str
    instrument: str
    timeframe: str
    start_us: int
    body: str
    to: tuple[str, ...] = ()
    muted: bool = False

    @classmethod
    def decode(cls, body: bytes) -> AlertEvent:
        """Parse the body of an alert event. Raises PermanentError."""
        try:
            data = orjson.loads(body)["data"]
            start_us = int(data["candle_start"]) * 1000
            rule_id, symbol, timeframe = data["rule_id"], data["symbol"], data["timeframe"]
            if not all(isinstance(text, str) for text in (rule_id, symbol, timeframe)):
                raise TypeError("rule_id, symbol and timeframe are texts")
            to, muted = data.get("to", []), data.get("muted", False)
            if not isinstance(to, list) or not all(isinstance(name, str) for name in to):
                raise TypeError("to is a list of names")
        except (ValueError, KeyError, TypeError) as error:
            raise PermanentError("bad_alert", f"body is not an alert: {error}") from error
        return cls(rule_id, symbol, timeframe, start_us, body.decode(), tuple(to), muted is True)


def message_of(alert: AlertEvent) -> tuple[str, str]:
    """Return title and text of an alert: the rule; what fired it, and when (UTC).

    Raises PermanentError if they are missing.
    """
    data = orjson.loads(alert.body)["data"]
    try:
        title = str(data["rule"])[:_MAX_TITLE]
        time = datetime.fromtimestamp(int(data["timestamp"]) / 1000, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise PermanentError("bad_alert", f"an alert has a rule and a time: {error!r}") from error
    parts = []
    if "pattern_type" in data:
        direction = {"1": "up", "-1": "down"}.get(str(data.get("direction")), "no direction")
        parts.append(f"{direction} at {data.get('trigger_price')}"[:_MAX_TITLE])
    elif "value" in data:
        parts.append(f"at {data['value']}"[:_MAX_TITLE])
    return title, ", ".join([*parts, f"{time:%Y-%m-%d %H:%M:%S} UTC"])
