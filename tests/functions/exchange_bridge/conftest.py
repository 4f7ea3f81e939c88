"""Each venue as a local server, and a sink for the bridge's events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.exchanges.alpaca import AlpacaDialect
from tests.exchanges.binance import BinanceDialect, CcxtBinanceDialect
from tests.exchanges.bybit import CcxtBybitDialect
from tests.exchanges.coinbase import CoinbaseDialect
from tests.exchanges.dialects import Dialect
from tests.exchanges.okx import CcxtOkxDialect
from tests.exchanges.playback import Playback
from tests.functions.exchange_bridge.venues import ALL, EXCHANGES
from tests.local.broker.subscriber import Subscriber


@pytest.fixture
def sink() -> Iterator[Subscriber]:
    started = Subscriber()
    yield started
    started.close()


def _venue(dialect: type[Dialect]) -> Any:
    @pytest.fixture
    def played() -> Iterator[Playback]:
        started = Playback(dialect())
        yield started
        started.close()

    return played


alpaca = _venue(AlpacaDialect)
binance = _venue(BinanceDialect)
bybit = _venue(CcxtBybitDialect)
ccxt_binance = _venue(CcxtBinanceDialect)
coinbase = _venue(CoinbaseDialect)
okx = _venue(CcxtOkxDialect)


@pytest.fixture(params=EXCHANGES)
def exchange(request: pytest.FixtureRequest) -> Iterator[Playback]:
    started = Playback(EXCHANGES[request.param][0]())
    yield started
    started.close()


@pytest.fixture(params=ALL)
def any_exchange(request: pytest.FixtureRequest) -> Iterator[Playback]:
    started = Playback(ALL[request.param][0]())
    yield started
    started.close()
