"""Result of a parser, whatever the format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.inputs.busts import BustRow
from shared.inputs.price_rules import PriceRules
from shared.inputs.rows import QuoteRows, Rejected, Rows, no_quotes
from shared.market.instruments import Naming
from shared.runtime.settings import Choice


class BinanceTrades(Choice):
    """Choice of one of Binance's two streams of the same trades, whose ids differ."""

    AGGREGATES = "aggTrade"
    TRADES = "trade"


@dataclass(frozen=True, slots=True)
class FeedRules:
    """Rules of parsing besides the batch."""

    naming: Naming = field(default_factory=Naming)
    binance_trades: BinanceTrades = BinanceTrades.AGGREGATES
    prices: PriceRules = field(default_factory=PriceRules)


class Parsed(NamedTuple):
    """Ticks and quotes as rows, rejects, and skipped messages by kind.

    `unread`: unknown fields that could be data, with their counts. `busts`: cancels and corrections
    of trades.
    """

    rows: Rows
    rejected: list[Rejected]
    quotes: QuoteRows = no_quotes()
    skipped: Mapping[str, int] = {}
    unread: Mapping[str, int] = {}
    busts: Sequence[BustRow] = ()
