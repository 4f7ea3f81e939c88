"""`kandle watch` over a real Valkey."""

from __future__ import annotations

import json

import redis

from tests.platform import kandle


def _url(valkey: redis.Redis, servers: dict[str, str]) -> str:
    return servers["REDIS_URL"].rsplit("/", 1)[0] + "/1"


def test_symbols_are_added_listed_and_removed(valkey: redis.Redis, servers: dict[str, str]) -> None:
    """Symbols are added, listed with their watchers and removed; the scanner's stay."""
    to = ("--redis-url", _url(valkey, servers))
    valkey.set("scanner:latest:TSLA", "{}")
    valkey.set("scanner:latest:AAPL", "{}")
    assert kandle("watch", "add", "AAPL", "MSFT", *to).stdout == "2 added, 0 were there\n"
    assert kandle("watch", "list", *to).stdout.splitlines() == [
        "AAPL\tkandle,scanner",
        "MSFT\tkandle",
        "TSLA\tscanner",
    ]
    output = kandle("watch", "list", "--json", *to).stdout
    assert json.loads(output)["AAPL"] == ["kandle", "scanner"]
    added = kandle("watch", "add", "AAPL", "IBM", "--json", *to).stdout
    assert json.loads(added) == {"added": 1, "known": 1}
    gone = json.loads(kandle("watch", "remove", "IBM", "TSLA", "--json", *to).stdout)
    assert gone == {"removed": 1, "unknown": 1, "still_watched": ["TSLA"]}
    removed = kandle("watch", "remove", "AAPL", "NONE", *to).stdout
    assert removed.splitlines() == [
        "1 removed, 1 not on the list",
        "still watched, because the scanner lists them: AAPL",
    ]
    assert "AAPL\tscanner" in kandle("watch", "list", *to).stdout


def test_an_invalid_symbol_is_one_line(valkey: redis.Redis, servers: dict[str, str]) -> None:
    """An invalid symbol is one line with exit code 1 and no traceback."""
    done = kandle("watch", "add", "A B", "--redis-url", _url(valkey, servers), check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("kandle: 'A B' is not a symbol")
