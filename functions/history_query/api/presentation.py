"""Presentation of rows: columns, format, local time and volumes."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Context, Decimal
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

import zstandard
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api.formats import MEDIA_TYPES, Content, rendered, requested_format
from functions.history_query.api.parameters import ParameterError, read, read_choice
from shared.market.decimals import to_text
from shared.market.trading_days import zone_of

CANDLE_COLUMNS: Final = (
    *("t", "time", "o", "h", "l", "c", "v", "qv", "vw", "n", "bv", "sv"),
    *("closed", "partial", "complete", "revision", "origin", "indicators"),
)
_FILLS: Final = ("none", "previous", "null")
_PRECISION: Final = Context(prec=20)
_SMALL: Final = 1_000
_REVALIDATED: Final = "private, no-cache"
"""Private, since the API may require a token. Revalidated each time (304 while unchanged), since a
late tick, a replay or a rebuild may change a range of any age."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """Presentation options of a request. `columns` empty: all, which are those of `names`."""

    format: str
    zone: ZoneInfo | None
    columns: tuple[str, ...]
    names: tuple[str, ...]
    fill: str = "none"
    adjusted: bool = False

    @classmethod
    def read(cls, request: Request, formats: Sequence[str], columns: Sequence[str]) -> Presentation:
        """Read format, tz, columns, fill and adjusted. Raises ParameterError."""
        query = request.query_params
        name = requested_format(query, request.headers.get("accept", ""), formats)
        selected = tuple(query["columns"].split(",")) if query.get("columns") else ()
        if unknown := [each for each in selected if each not in columns]:
            raise ParameterError(f"columns: {unknown[0][:40]!r} is none of {', '.join(columns)}")
        if selected and name in ("lightweight-charts", "influx"):
            raise ParameterError(f"columns: format={name} has its own")
        zone = read(query, "tz", zone_of)
        shown = selected or tuple(each for each in columns if each != "indicators")
        return cls(
            name,
            zone,
            selected,
            tuple(each for each in shown if zone or each != "time"),
            read_choice(query, "fill", _FILLS),
            read_choice(query, "adjusted", ("false", "true")) == "true",
        )

    def row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the row in its output form."""
        if self.adjusted:
            row = {**row, **_sides(row)}
        if self.zone is not None:
            local = datetime.fromtimestamp(row["t"] // 1000, self.zone)
            local = local.replace(microsecond=row["t"] % 1000 * 1000)
            row = {"t": row["t"], "time": local.isoformat(timespec="milliseconds"), **row}
        if self.format not in ("json", "ndjson") and "indicators" in row:
            row = {**row, **row["indicators"]}
            del row["indicators"]
        if not self.columns:
            return row
        return {name: row[name] for name in self.columns if name in row}

    def answer(self, request: Request, content: Content) -> Response:
        """Return the response, with the cursor of the next page in its headers too."""
        body = rendered(replace(content, columns=self.names), self.format)
        response = Response(body, media_type=MEDIA_TYPES[self.format])
        if content.next is not None:
            response.headers["x-kandle-next"] = content.next
            path = quote(request.scope["path"], safe="/:")
            query = request.url.include_query_params(cursor=content.next).query
            response.headers["link"] = f'<{path}?{query}>; rel="next"'
        return cacheable(request, response)


def _sides(row: Mapping[str, Any]) -> dict[str, str]:
    """Divide the volume of unknown side as the known is divided, evenly where none is known."""
    volume, bought, sold = (Decimal(row[key]) for key in ("v", "bv", "sv"))
    known_volume = bought + sold
    if known_volume == volume:
        return {}
    share = _PRECISION.divide(bought, known_volume) if known_volume else Decimal("0.5")
    bought = _PRECISION.multiply(volume, share)
    return {"bv": to_text(bought), "sv": to_text(volume - bought)}


def cacheable(request: Request, response: Response) -> Response:
    """Add an ETag; answer 304 if the client already has it."""
    tag = f'W/"{hashlib.blake2b(bytes(response.body), digest_size=12).hexdigest()}"'
    headers = {
        "etag": tag,
        "cache-control": _REVALIDATED,
        "vary": "Accept, Accept-Encoding",
    }
    client_tags = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    if tag in client_tags or "*" in client_tags:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return packed(request, response)


def packed(request: Request, response: Response) -> Response:
    """Compress a large body with an encoding that the client accepts."""
    body = bytes(response.body)
    if len(body) < _SMALL or "content-encoding" in response.headers:
        return response
    accepted = {
        part.partition(";")[0].strip(): part.replace(" ", "")
        for part in request.headers.get("accept-encoding", "").lower().split(",")
        if not part.replace(" ", "").endswith((";q=0", ";q=0.0"))
    }
    if "zstd" in accepted:
        response.body, encoding = zstandard.ZstdCompressor(level=1).compress(body), "zstd"
    elif "gzip" in accepted:
        response.body, encoding = gzip.compress(body, 1, mtime=0), "gzip"
    else:
        return response
    response.headers["content-encoding"] = encoding
    response.headers["content-length"] = str(len(response.body))
    return response
