"""History API client of commands, with actionable errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from local.cli.options.addresses import http_address
from local.errors import CliError

if TYPE_CHECKING:
    from pathlib import Path

    import httpx


@dataclass(frozen=True)
class HistoryApi:
    """Client of the API at an address."""

    url: str
    client: httpx.Client

    def ask(self, route: str, symbol: str | None = None, **parameters: Any) -> Any:
        """Call a route, for one symbol or all; None parameters are omitted.

        Raises CliError: the API is unreachable or refuses; the message has its problem detail.
        """
        import httpx

        url = self.url + route + ("" if symbol is None else f"/{quote(symbol, safe='')}")
        query = {name: value for name, value in parameters.items() if value is not None}
        try:
            response = self.client.get(url, params=query)
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise CliError(f"cannot reach {self.url}: {reason}; is the instance up?") from None
        try:
            body = response.json()
        except ValueError:
            body = None
        if response.is_success and body is not None:
            return body
        problem = body if isinstance(body, dict) else {}
        message = problem.get("detail") or problem.get("title") or response.text[:200] or url
        raise CliError(f"{message} ({response.status_code})")


@contextmanager
def history_api(
    api_url: str | None, data_dir: Path, timeout_s: float = 15.0
) -> Iterator[HistoryApi]:
    """Yield a client of the given API, or the running instance's. Raises CliError."""
    import httpx

    url = http_address(api_url, "API_URL", data_dir)
    timeout = httpx.Timeout(timeout_s, connect=5.0)
    with httpx.Client(timeout=timeout, trust_env=False) as client:
        yield HistoryApi(url, client)
