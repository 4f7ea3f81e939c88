"""Lists of one instrument or of all, the newest first: their routes, parameters and pages."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.cursors import MomentCursor
from functions.history_query.api.endpoints import Handlers, unknown
from functions.history_query.api.formats import MEDIA_TYPES, Content, held, rendered
from functions.history_query.api.parameters import FURTHEST_US, now_us, read, read_limit, read_range

DEFAULT_LIMIT: Final = 100
PAGE: Final = (
    spec.limit(DEFAULT_LIMIT),
    spec.cursor_of(MomentCursor(1_764_340_200_000_000, "1").text()),
)
"""Parameters of every list, described."""

Parameters = dict[str, Any]
Row = tuple[Any, int, str]
"""An item of a page, its time in microseconds, and its id."""


def read_list(query: Mapping[str, str]) -> Parameters:
    """Read from, to and PAGE, as parameters of a statement. Raises ParameterError."""
    from_us, to_us = read_range(query, now_us())
    before = read(query, "cursor", MomentCursor.read) or MomentCursor(2 * FURTHEST_US, "")
    return {
        "from_us": from_us or 0,
        "to_us": to_us,
        "before_us": before.time_us,
        "before_id": before.id,
        "limit": read_limit(query, DEFAULT_LIMIT) + 1,
    }


@dataclass(frozen=True, slots=True)
class NewestFirst:
    """A list by its name in the API, and the schema of its items."""

    name: str
    item: str

    def part(
        self,
        summary: str,
        of_one: str,
        item: spec.Json,
        *choice: spec.Json | str,
        own: spec.Json,
    ) -> spec.Part:
        """Describe the routes: `summary` of the list of all instruments, `of_one` of one's."""
        path, schema = f"/api/{self.name}", f"{self.item}s"
        pages = spec.schemas(
            f"""
            page
              {self.name}  [{self.item}]
              next  cursor
            {schema}
              symbol  string
              {self.name},next  =page
            """
        )
        return spec.Part(
            {
                path: spec.get(summary, pages["page"], *choice, own=own),
                f"{path}/{{symbol}}": spec.get(of_one, schema, "symbol", *choice, own=own),
            },
            {self.item: item, schema: pages[schema]},
        )

    def handlers(
        self,
        read_parameters: Callable[[Mapping[str, str]], Parameters],
        rows: Callable[[Parameters], Generator[Row]],
        exists: Callable[[str], bool],
    ) -> Handlers:
        """Return the handlers. `rows`: up to `limit` of a `symbol`, or of all if that is None.

        `exists`: whether an instrument was ever seen.
        """

        def page(request: Request) -> Response:
            symbol = request.path_params.get("symbol")
            parameters = {**read_parameters(request.query_params), "symbol": symbol}
            place = MomentCursor(0, "")

            def items(found: Iterable[Row]) -> Iterator[Any]:
                nonlocal place
                for data, time_us, id_ in islice(found, parameters["limit"] - 1):
                    place = MomentCursor(time_us, id_)
                    yield data

            with closing(rows(parameters)) as found:
                page_items = held(items(found))
                has_more = next(found, None) is not None
            if symbol is not None and not page_items and not exists(symbol):
                return unknown(symbol)
            envelope = {} if symbol is None else {"symbol": symbol}
            content = Content(self.name, envelope, page_items, place.text() if has_more else None)
            return Response(rendered(content, "json"), media_type=MEDIA_TYPES["json"])

        return {f"/api/{self.name}": page, f"/api/{self.name}/{{symbol}}": page}
