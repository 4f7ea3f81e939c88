"""The bridge's reading of recorded messages, and its messages made from REST responses."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from functions.exchange_bridge.exchange import Exchange, Fetched, Kind, Trade
from functions.exchange_bridge.exchanges.binance import AGGREGATES, TRADES, Binance
from functions.exchange_bridge.exchanges.ccxt_venue import CcxtVenue
from functions.exchange_bridge.exchanges.coinbase import Coinbase
from functions.exchange_bridge.exchanges.kraken import Kraken, rest_pair
from functions.exchange_bridge.exchanges.scanner import Scanner
from functions.exchange_bridge.health import Health
from functions.exchange_bridge.rest import Rest, RestError, wait_s
from functions.exchange_bridge.settings import SETUPS
from shared.wire.feed_status import FEEDS

REST = Rest("x", "http://x", 0)
BINANCE = Binance("ws://x", ["btcusdt"], TRADES, 0, REST)
COINBASE = Coinbase("ws://x", ["BTC-USD"], REST)
KRAKEN = Kraken("ws://x", ["BTC/USD"], REST)


def recorded(path: Path) -> Iterator[tuple[float, bytes]]:
    """The recorder's timestamps, and messages."""
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        stamp, brace, text = line.partition("{")
        if brace and not stamp.startswith("wss"):
            yield float(stamp.strip().rstrip(":")), (brace + text).encode()


def test_every_feed_has_a_setup() -> None:
    """Each feed that `kandle up --feed` accepts has a setup in the bridge."""
    assert tuple(SETUPS) == FEEDS


def test_the_binance_capture_is_read_whole(recorded_data: Path) -> None:
    """All trades of the capture are read with contiguous ids and the recorder's clock skew."""
    health = Health(quiet_us=1)
    ids, kinds = [], Counter[str]()
    for stamp_ns, payload in recorded(recorded_data / "binance" / "btcusdt_20240808.gz"):
        message = BINANCE.read(payload)
        kinds[message.kind] += 1
        health.note(message, int(stamp_ns / 1000))
        ids += [trade.id for trade in message.trades]
    assert kinds == {Kind.QUOTE: 28_040, Kind.TRADE: 9_757, Kind.OTHER: 3_451, Kind.UNREADABLE: 1}
    assert ids == list(range(ids[0], ids[0] + 9_757))
    assert health.skew.us is not None
    assert 1_000_000 < health.skew.us < 1_300_000
    assert health.symbols["BTCUSDT"].trade_us > 1_723_161_255_000_000


def test_the_coinbase_capture_is_read_whole(recorded_data: Path) -> None:
    """Matches and tickers are distinguished from the book, and a product's ids are contiguous."""
    ids: dict[str, list[int]] = {}
    kinds = Counter[str]()
    for _, payload in recorded(recorded_data / "exchanges" / "COINBASE.ws.28.0.gz"):
        message = COINBASE.read(payload)
        kinds[message.kind] += 1
        for trade in (*message.trades, *([message.last] if message.last else [])):
            ids.setdefault(trade.symbol, []).append(trade.id)
    assert kinds[Kind.TRADE] == 97
    assert kinds[Kind.HEARTBEAT] == 10  # the last matches sent at subscription
    assert kinds[Kind.QUOTE] == 107
    assert kinds[Kind.UNREADABLE] == 0
    assert len(ids) == 10
    for of_product in ids.values():
        assert of_product == list(range(of_product[0], of_product[0] + len(of_product)))


@pytest.mark.parametrize("exchange", [BINANCE, COINBASE, KRAKEN, Scanner("ws://x", (), REST)])
@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"null", b"[]", b"1", b"\xff", b'{"data":1}', b'{"data":{"e":7}}', b'{"type":1}'],
)
def test_an_unreadable_message_never_raises(exchange: Exchange, payload: bytes) -> None:
    """An unreadable message is forwarded, to become a reject."""
    assert exchange.read(payload).kind is Kind.UNREADABLE


def test_errors_and_confirmations_are_recognized() -> None:
    """Errors and confirmations of each exchange are recognized."""
    error = b'{"error":{"code":2,"msg":"Invalid request: unknown variant"},"id":1}'
    assert BINANCE.read(error).detail == "2 Invalid request: unknown variant"
    assert BINANCE.read(b'{"result":null,"id":1}').confirmed == BINANCE.expected() == {"1"}
    refused = b'{"type":"error","message":"Failed to subscribe","reason":"X is not valid"}'
    assert COINBASE.read(refused).detail == "Failed to subscribe: X is not valid"
    answer = b'{"error":"Currency pair not supported X/Y","method":"subscribe","success":false}'
    assert KRAKEN.read(answer).kind is Kind.ERROR
    one = b'{"method":"subscribe","result":{"channel":"trade","symbol":"BTC/USD"},"success":true}'
    assert KRAKEN.read(one).confirmed == {"trade BTC/USD"}
    assert KRAKEN.expected() == {"trade BTC/USD", "ticker BTC/USD"}


def test_many_streams_are_subscribed_in_several_requests() -> None:
    """Many streams are subscribed in requests of bounded size, each confirmed by its number."""
    many = Binance("ws://x", [f"A{n}USDT" for n in range(250)], AGGREGATES, 0, REST)
    requests = [json.loads(each) for each in many.requests()]
    assert [len(each["params"]) for each in requests] == [200, 200, 100]
    assert many.expected() == {"1", "2", "3"}


class Answers(Rest):
    """Scripted REST responses."""

    def __init__(self, *answers: Any) -> None:
        super().__init__("x", "http://x", 0)
        self.asked: list[Mapping[str, str | int]] = []
        self._answers = list(answers)

    async def get(
        self,
        path: str,
        parameters: Mapping[str, str | int],
        decode: Callable[[bytes], Any] = orjson.loads,
    ) -> Any:
        self.asked.append(parameters)
        return self._answers.pop(0)


def pages(exchange: Exchange, rest: Rest, symbol: str, first: int, last: int) -> list[Fetched]:
    async def every() -> list[Fetched]:
        exchange.rest = rest
        ends = Trade(symbol, first, 0), Trade(symbol, last, 0)
        return [page async for page in exchange.missing(symbol, *ends)]

    return asyncio.run(every())


def test_recorded_rest_trades_become_messages_of_the_stream(recorded_data: Path) -> None:
    """Rows of a recorded response become messages with the stream's names, marked as fetched."""
    routes = json.loads(gzip.decompress((recorded_data / "binance" / "rest.json.gz").read_bytes()))
    routes = routes["routes"]
    rows = next(
        each["data"] for each in routes["/api/v3/aggTrades"]["GET"] if len(each["data"]) > 3
    )
    first, last = rows[0]["a"], rows[-1]["a"]
    exchange = Binance("ws://x", ["BTCUSDT"], AGGREGATES, 0, REST)
    (page,) = pages(exchange, Answers(rows), "BTCUSDT", first, last)
    message = json.loads(page.payloads[0])
    assert message["stream"] == "btcusdt@aggTrade"
    assert message["backfill"] == "/api/v3/aggTrades"
    assert message["data"] == {"e": "aggTrade", "s": "BTCUSDT", **rows[0]}
    assert [trade.id for trade in page.trades] == [row["a"] for row in rows]
    assert exchange.read(page.payloads[0]).trades == (page.trades[0],)

    rows = next(each["data"] for each in routes["/api/v3/historicalTrades"]["GET"] if each["data"])
    (page,) = pages(BINANCE, Answers(rows), "BTCUSDT", rows[0]["id"], rows[-1]["id"])
    data = json.loads(page.payloads[0])["data"]
    assert (data["t"], data["p"], data["q"]) == (rows[0]["id"], rows[0]["price"], rows[0]["qty"])
    assert (data["T"], data["m"]) == (rows[0]["time"], rows[0]["isBuyerMaker"])


def test_a_trade_that_is_not_listed_yet_is_not_absent() -> None:
    """A missing id above the newest listed one is not absent: it may still be listed."""
    row = {"price": "1", "size": "1", "side": "buy", "time": "2024-01-01T00:00:00.5Z"}
    rest = Answers([{**row, "trade_id": 7}, {**row, "trade_id": 5}, {**row, "trade_id": 4}])
    (page,) = pages(COINBASE, rest, "BTC-USD", 5, 8)
    assert page.reaches == 7  # 6 is absent, 8 may still come
    assert [trade.id for trade in page.trades] == [7, 5]
    assert page.trades[0].time_us == 1_704_067_200_500_000
    empty = pages(COINBASE, Answers([]), "BTC-USD", 5, 8)
    assert [each.reaches for each in empty] == [4]
    assert [each.reaches for each in pages(BINANCE, Answers([]), "BTCUSDT", 5, 8)] == [4]


def test_an_empty_snapshot_of_kraken_is_no_reject() -> None:
    """A pair without trades has an empty snapshot."""
    message = KRAKEN.read(b'{"channel":"trade","type":"snapshot","data":[]}')
    assert (message.kind, message.last) == (Kind.HEARTBEAT, None)
    assert KRAKEN.read(b'{"channel":"trade","type":"update","data":[]}').kind is Kind.UNREADABLE


def test_kraken_numbers_keep_their_digits() -> None:
    """Numbers of Kraken's REST texts and stream keep their digits, without a float between."""
    result = {"X": [["0.30000000", "1.10", 1_700_000_000.123456, "b", "l", "", 9]], "last": "1"}
    (page,) = pages(KRAKEN, Answers({"error": [], "result": result}), "BTC/USD", 9, 9)
    assert b'"price":0.30000000,"qty":1.10' in page.payloads[0]
    assert page.trades == [Trade("BTC/USD", 9, 1_700_000_000_123_456)]
    assert KRAKEN.read(page.payloads[0]).trades == (page.trades[0],)


def test_krakens_documented_response_becomes_messages() -> None:
    """Kraken's documented response becomes messages, although it has a third name of the pair."""
    documented = json.loads(
        """{"error":[],"result":{"XXBTZUSD":[
        ["30243.40000","0.34507674",1688669597.8277369,"b","m","",61044952],
        ["30243.30000","0.00376960",1688669598.2804112,"s","l","",61044953]],
        "last":"1688671969993150842"}}"""
    )
    rest = Answers(documented)
    (page,) = pages(KRAKEN, rest, "BTC/USD", 61_044_952, 61_044_953)
    assert rest.asked[0]["pair"] == "XBTUSD"
    assert json.loads(page.payloads[0]) == {
        "channel": "trade",
        "type": "update",
        "data": [
            {
                "symbol": "BTC/USD",
                "side": "buy",
                "price": 30243.4,
                "qty": 0.34507674,
                "ord_type": "market",
                "trade_id": 61044952,
                "timestamp": "2023-07-06T18:53:17.827737Z",
            }
        ],
        "backfill": "/0/public/Trades",
    }
    unknown = Answers({"error": ["EQuery:Unknown asset pair"]})
    with pytest.raises(RestError, match="Unknown asset pair"):
        pages(KRAKEN, unknown, "ABC/DEF", 1, 1)


@pytest.mark.parametrize(
    ("symbol", "pair"),
    [("BTC/USD", "XBTUSD"), ("ETH/BTC", "ETHXBT"), ("DOGE/EUR", "XDGEUR"), ("SOL/USD", "SOLUSD")],
)
def test_kraken_requests_use_its_rest_names(symbol: str, pair: str) -> None:
    """Requests to Kraken name XBT and XDG where the stream has BTC and DOGE."""
    assert rest_pair(symbol) == pair


def test_kraken_pages_overlap_by_one_time() -> None:
    """A page that ends between trades of one time is followed by the rest, and none is doubled."""
    row = ["1.0", "1.0", 1_700_000_000.5, "b", "l", ""]
    moment = 1_700_000_000_500_000_000
    first = {"X": [[*row, 9], [*row, 10]], "last": str(moment)}
    second = {"X": [[*row, 9], [*row, 10], [*row, 11]], "last": str(moment)}
    rest = Answers({"error": [], "result": first}, {"error": [], "result": second})
    found = pages(KRAKEN, rest, "BTC/USD", 10, 11)
    assert [[trade.id for trade in page.trades] for page in found] == [[10], [11]]
    assert rest.asked[1]["since"] == str(moment - 1)
    stuck = Answers(*[{"error": [], "result": first}] * 2)
    assert [page.reaches for page in pages(KRAKEN, stuck, "BTC/USD", 10, 11)] == [10, 10]


@pytest.mark.parametrize(
    ("exchange", "payload"),
    [
        (BINANCE, b'{"data":{"e":"trade","s":"BTCUSDT","t":9223372036854775808,"T":1}}'),
        (BINANCE, b'{"data":{"e":"trade","s":"BTCUSDT","t":1,"T":9223372036854775}}'),
        (COINBASE, b'{"type":"match","product_id":"BTC-USD","trade_id":-1}'),
        (KRAKEN, b'{"channel":"trade","data":[{"symbol":"X","trade_id":9223372036854775808}]}'),
    ],
)
def test_numbers_out_of_range_are_not_read(exchange: Exchange, payload: bytes) -> None:
    """Numbers out of range become rejects and do not stop the bridge's reports."""
    assert exchange.read(payload).kind is Kind.UNREADABLE


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("0", 0.0), ("9999999", 3 * 86_400.0), ("", 10.0), ("soon", 10.0)],
)
def test_retry_after_is_parsed_and_bounded(text: str, seconds: float) -> None:
    """Retry-After is bounded seconds; a date in the past is now, and an invalid one the default."""
    assert wait_s({"retry-after": text}) == seconds
    assert wait_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


@pytest.mark.processes
def test_a_trade_with_the_id_zero_is_fetched() -> None:
    """A range from a venue's first trade on is complete, also where ids begin at 0."""
    rows = [
        {"id": str(n), "timestamp": 1_000 + n, "symbol": "BTC/USDT", "price": "1", "amount": "1"}
        for n in range(3)
    ]

    async def listed(*_: object) -> list[dict[str, object]]:
        return rows

    async def fetched() -> list[Fetched]:
        venue = CcxtVenue("binance", ["BTC/USDT"], "", "")
        venue.client.ask = listed  # type: ignore[method-assign, assignment]
        ends = (Trade("BTC/USDT", id_, (1_000 + id_) * 1_000) for id_ in (0, 2))
        try:
            return [page async for page in venue.missing("BTC/USDT", *ends)]
        finally:
            await venue.client.close()

    (page,) = asyncio.run(fetched())
    assert [trade.id for trade in page.trades] == [0, 1, 2]
    assert page.reaches == 2
