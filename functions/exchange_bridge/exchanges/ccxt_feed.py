"""The feed `ccxt`: any venue that ccxt supports, from its settings."""

from __future__ import annotations

from functions.exchange_bridge.exchange import Exchange
from functions.exchange_bridge.exchanges.ccxt_client import NoVenueError
from functions.exchange_bridge.exchanges.ccxt_joined import JoinedVenue
from functions.exchange_bridge.exchanges.ccxt_venue import CcxtVenue
from functions.exchange_bridge.exchanges.ccxt_venues import JOINED
from functions.exchange_bridge.feed_settings import http_url, symbols_of, ws_url
from shared.runtime.settings import Environment, SettingsError


def setup(env: Environment) -> Exchange:
    """Read the exchange from the environment."""
    name = env.text("CCXT_VENUE", "bybit")
    symbols = env.parsed("CCXT_SYMBOLS", "BTC/USDT,ETH/USDT", symbols_of)
    rest = env.parsed("CCXT_REST_BASE_URL", "", lambda text: text and http_url(text))
    websocket = env.parsed("CCXT_WEBSOCKET_BASE_URL", "", lambda text: text and ws_url(text))
    try:
        of = JoinedVenue if name in JOINED else CcxtVenue
        return of(name, symbols, rest, websocket)
    except NoVenueError as error:
        raise SettingsError(f"CCXT_VENUE: {error}") from error
