"""Messages of feeds to exact columns, beside json and Decimal; recorded files read and imported."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np

from benchmarks import _ccxt, _files
from benchmarks.stages import REPEATS
from functions.normalize.assemble_quotes import assemble_quotes
from shared.inputs.assemble import assemble
from shared.inputs.clock import ClockRule
from shared.inputs.formats import parse
from shared.inputs.parsed import FeedRules
from shared.market.shards import DEFAULT_SHARDS
from shared.runtime.memory import keep_freed_memory
from shared.wire.raw_batch import (
    FORMAT_BINANCE,
    FORMAT_BYBIT,
    FORMAT_CCXT,
    FORMAT_COINBASE,
    FORMAT_COINBASE_ADVANCED,
    FORMAT_CSV,
    FORMAT_KRAKEN,
    FORMAT_OKX,
    FORMAT_SCANNER,
    RawBatch,
)

MESSAGES = 7_000
"""About what a raw batch of 1 MiB holds."""

NOW_MS = time.time_ns() // 1_000_000
RULES = FeedRules()
CLOCK = ClockRule(60_000_000)


def binance_trade(n: int, price: str, size: str) -> str:
    symbol = ("BTCUSDT", "ETHUSDT", "XRPETH")[n % 3]
    return (
        f'{{"stream":"{symbol.lower()}@aggTrade","data":{{"e":"aggTrade","E":{NOW_MS},"s":"{symbol}",'
        f'"a":{3735683259 + n},"p":"{price}000000","q":"{size}00000","f":{n},"l":{n},"T":{NOW_MS},'
        f'"m":{"true" if n % 2 else "false"},"M":true}}}}'
    )


def binance_book(n: int, price: str, size: str) -> str:
    return (
        f'{{"stream":"btcusdt@bookTicker","data":{{"u":{50093239212 + n},"s":"BTCUSDT",'
        f'"b":"{price}000000","B":"{size}00000","a":"1{price}000000","A":"{size}00000"}}}}'
    )


def coinbase_match(n: int, price: str, size: str) -> str:
    return (
        f'{{"type":"match","trade_id":{280232 + n},"maker_order_id":"2a0da34e-61f7-4c36-88e5-'
        f'c9dd15927b16","taker_order_id":"3c82abaa-c01e-4608-be59-6a1e69742891","side":"sell",'
        f'"size":"{size}","price":"{price}","product_id":"BTC-USD","sequence":{177100030 + n},'
        f'"time":"2021-04-17T16:43:37.089723Z"}}'
    )


def kraken_trade(n: int, price: str, size: str) -> str:
    return (
        f'{{"channel":"trade","type":"update","data":[{{"symbol":"BTC/USD","side":"buy",'
        f'"price":{price},"qty":{size},"ord_type":"limit","trade_id":{4665906 + n},'
        f'"timestamp":"2023-09-25T07:49:37.708706Z"}}]}}'
    )


def scan(n: int, price: str, size: str) -> str:
    return (
        f'{{"ticker":"AAPL","price":{price},"prev_price":{price},"volume":{n},"mav10":1000000.5,'
        f'"float":15000000000,"delta":0.03,"multiplier":1.2,"timestamp":{NOW_MS // 1000}}}'
    )


def coinbase_advanced(n: int, price: str, size: str) -> str:
    return (
        f'{{"channel":"market_trades","timestamp":"2023-02-09T20:19:35.39625135Z","sequence_num":{n},'
        f'"events":[{{"type":"update","trades":[{{"trade_id":"{280232 + n}","product_id":"ETH-USD",'
        f'"price":"{price}","size":"{size}","side":"BUY","time":"2023-02-09T20:19:35.265Z"}}]}}]}}'
    )


def bybit_trade(n: int, price: str, size: str) -> str:
    return (
        f'{{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":{NOW_MS},"data":[{{"T":{NOW_MS},'
        f'"s":"BTCUSDT","S":"Buy","v":"{size}","p":"{price}","L":"PlusTick",'
        f'"i":"20f43950-d8dd-5b31-9112-{n:012}","BT":false}}]}}'
    )


def okx_trade(n: int, price: str, size: str) -> str:
    return (
        f'{{"arg":{{"channel":"trades","instId":"BTC-USDT"}},"data":[{{"instId":"BTC-USDT",'
        f'"tradeId":"{130639474 + n}","px":"{price}","sz":"{size}","side":"buy","ts":"{NOW_MS}",'
        f'"count":"3"}}]}}'
    )


def ccxt_trade(n: int, price: str, size: str) -> str:
    return (
        f'{{"info":{{}},"id":"{n}","timestamp":{NOW_MS},"datetime":null,"symbol":"BTC/USDT",'
        f'"order":null,"type":null,"side":"buy","takerOrMaker":null,"price":{price},'
        f'"amount":{size},"cost":null,"fee":null,"fees":[]}}'
    )


def ccxt_feed(n: int, price: str, size: str) -> str:
    info = json.dumps(json.loads(bybit_trade(n, price, size))["data"][0], separators=(",", ":"))
    return (
        f'{{"ccxt":"bybit","trade":{{"id":"20f43950-d8dd-5b31-9112-{n:012}","timestamp":{NOW_MS},'
        f'"symbol":"BTC/USDT","side":"buy","price":"{price}","amount":"{size}","info":{info}}}}}'
    )


def csv_line(n: int, price: str, size: str) -> str:
    return f"BTC-USD,{price},{size},{NOW_MS},buy,{n}"


def csv_semicolons(n: int, price: str, size: str) -> str:
    return f"time;price;size;symbol;id\n{NOW_MS};-{price};{size};^GSPC;{n}"


def plain_advanced(text: str) -> list[tuple[Any, ...]]:
    return [
        (t["product_id"], Decimal(t["price"]), Decimal(t["size"]), t["time"], t["trade_id"])
        for event in json.loads(text)["events"]
        for t in event["trades"]
    ]


def plain_bybit(text: str) -> list[tuple[Any, ...]]:
    return [
        (t["s"], Decimal(t["p"]), Decimal(t["v"]), t["T"], t["S"], t["i"])
        for t in json.loads(text)["data"]
    ]


def plain_okx(text: str) -> list[tuple[Any, ...]]:
    return [
        (t["instId"], Decimal(t["px"]), Decimal(t["sz"]), int(t["ts"]), t["side"], t["tradeId"])
        for t in json.loads(text)["data"]
    ]


def plain_ccxt(text: str) -> tuple[Any, ...]:
    data = json.loads(text, parse_float=Decimal)
    return tuple(data[name] for name in ("symbol", "price", "amount", "timestamp", "side", "id"))


def plain_ccxt_feed(text: str) -> tuple[Any, ...]:
    data = json.loads(text)["trade"]
    price, size = Decimal(data["price"]), Decimal(data["amount"])
    return data["symbol"], price, size, data["timestamp"], data["side"], data["id"]


def plain_csv(text: str) -> tuple[Any, ...]:
    symbol, price, size, time_ms, *rest = text.split(",")
    return symbol, Decimal(price), Decimal(size), int(time_ms), *rest


def plain_semicolons(text: str) -> tuple[Any, ...]:
    header, line = text.split("\n")
    values = dict(zip(header.split(";"), line.split(";"), strict=True))
    return values["symbol"], Decimal(values["price"]), Decimal(values["size"]), int(values["time"])


def plain_binance(text: str) -> tuple[Any, ...]:
    data = json.loads(text)["data"]
    side = "sell" if data["m"] else "buy"
    return data["s"], Decimal(data["p"]), Decimal(data["q"]), data["T"], side, data["a"]


def plain_book(text: str) -> tuple[Any, ...]:
    data = json.loads(text)["data"]
    return data["s"], *(Decimal(data[name]) for name in "bBaA")


def plain_coinbase(text: str) -> tuple[Any, ...]:
    data = json.loads(text)
    return (
        *(data["product_id"], Decimal(data["price"]), Decimal(data["size"]), data["time"]),
        *("buy" if data["side"] == "sell" else "sell", data["trade_id"]),
    )


def plain_kraken(text: str) -> list[tuple[Any, ...]]:
    return [
        (t["symbol"], t["price"], t["qty"], t["timestamp"], t["side"], t["trade_id"])
        for t in json.loads(text, parse_float=Decimal)["data"]
    ]


def plain_scan(text: str) -> tuple[Any, ...]:
    data = json.loads(text, parse_float=Decimal)
    return data["ticker"], data["price"], data["timestamp"]


def batch(format_: int, texts: list[str]) -> RawBatch:
    """Batch the messages as a bridge does, one a payload."""
    payloads = [text.encode() for text in texts]
    return RawBatch(
        format_,
        "feed-bench",
        0,
        b"".join(payloads),
        np.array([len(payload) for payload in payloads], dtype=np.int64),
        np.full(len(payloads), NOW_MS * 1000, dtype=np.int64),
    )


def rate(work: Callable[[], object], units: int) -> float:
    """Units a second of one core's time, the median of several runs after one not counted."""
    work()
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return units / statistics.median(seconds)


def normalized(raw: RawBatch) -> int:
    """Parse, check and order a batch; return how many records it holds."""
    found = parse(raw, RULES)
    assert not found.rejected
    ticks, _, late = assemble(raw, found.rows, CLOCK, DEFAULT_SHARDS)
    quotes, late_quotes = assemble_quotes(raw, found.quotes, CLOCK)
    assert not late + late_quotes
    return len(ticks) + len(quotes)


FORMATS: list[tuple[str, int, Callable[[int, str, str], str], Callable[[str], object]]] = [
    ("Binance aggTrade", FORMAT_BINANCE, binance_trade, plain_binance),
    ("Binance bookTicker", FORMAT_BINANCE, binance_book, plain_book),
    ("Coinbase match", FORMAT_COINBASE, coinbase_match, plain_coinbase),
    ("Kraken trade", FORMAT_KRAKEN, kraken_trade, plain_kraken),
    ("Coinbase Advanced", FORMAT_COINBASE_ADVANCED, coinbase_advanced, plain_advanced),
    ("Bybit publicTrade", FORMAT_BYBIT, bybit_trade, plain_bybit),
    ("OKX trades", FORMAT_OKX, okx_trade, plain_okx),
    ("scanner", FORMAT_SCANNER, scan, plain_scan),
    ("ccxt trade as JSON", FORMAT_SCANNER, ccxt_trade, plain_ccxt),
    ("ccxt feed", FORMAT_CCXT, ccxt_feed, plain_ccxt_feed),
    ("CSV line", FORMAT_CSV, csv_line, plain_csv),
    ("CSV header and line", FORMAT_CSV, csv_semicolons, plain_semicolons),
]


def run() -> None:
    """Print the table."""
    keep_freed_memory()
    source = random.Random(1)
    print(f"{'messages/s':<22} {'parse':>10} {'and order':>10} {'json, Decimal':>14}")
    for name, format_, write, plain in FORMATS:
        texts = [
            write(n, f"{source.randint(10**4, 10**7) / 100:.2f}", f"{source.random() + 0.001:.3f}")
            for n in range(MESSAGES)
        ]
        raw = batch(format_, texts)
        assert normalized(raw) == MESSAGES
        parsed = rate(lambda raw=raw: parse(raw, RULES), MESSAGES)  # type: ignore[misc]
        ordered = rate(lambda raw=raw: normalized(raw), MESSAGES)  # type: ignore[misc]
        loop = rate(lambda texts=texts, plain=plain: [plain(t) for t in texts], MESSAGES)  # type: ignore[misc]
        print(f"{name:<22} {parsed:>10,.0f} {ordered:>10,.0f} {loop:>14,.0f}")
    print()
    _ccxt.run([bybit_trade(n, "61000.25", "0.125") for n in range(MESSAGES)], normalized)
    print()
    _files.run()
