"""Result of a parser, whatever the format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.inputs.columns.rows import QuoteRows, Rejected, Rows, no_quotes
from shared.inputs.objects.busts import BustRow
from shared.inputs.price_rules import PriceRules
from shared.market.instruments import Naming, parse_exceptions, parse_with_venue
from shared.runtime.settings import Choice, Environment, FromEnvironment, nested, parsed


class BinanceTrades(Choice):
    """Choice of one of Binance's two streams of the same trades, whose ids differ."""

    AGGREGATES = "aggTrade"
    TRADES = "trade"


def naming(env: Environment) -> Naming:
    """Read how instruments are named."""
    return Naming(
        env.parsed("INSTRUMENT_VENUE", "append", parse_with_venue),
        env.parsed("INSTRUMENT_NAMES", "", parse_exceptions),
    )


@dataclass(frozen=True, slots=True)
class FeedRules(FromEnvironment):
    """Rules of parsing besides the batch."""

    naming: Naming = nested(naming, default=Naming())
    binance_trades: BinanceTrades = parsed("BINANCE_TRADES", "aggTrade", BinanceTrades)
    prices: PriceRules = parsed("PRICE_RULES", "", PriceRules.parse)


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
