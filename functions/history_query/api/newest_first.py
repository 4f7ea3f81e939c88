"""Lists of one instrument or of all, the newest first: their routes, parameters and pages."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.cursors import MomentCursor
from functions.history_query.api.formats import MEDIA_TYPES, Content, held, rendered
from functions.history_query.api.parameters import FURTHEST_US, now_us, read, read_limit, read_range
from functions.history_query.api.topic import Topic
from functions.history_query.queries.readers import Readers

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


def newest_first(
    name: str,
    item: str,
    schema: spec.Json,
    summaries: tuple[str, str],
    *choice: spec.Json | str,
    own: spec.Json,
    read_parameters: Callable[[Mapping[str, str]], Parameters],
    rows: Callable[[Readers, Parameters], Generator[Row]],
) -> Topic:
    """Return the topic of a list by its `name` in the API. `item`: the name of its items' schema.

    `summaries`: of the list of all instruments, and of one's. `rows`: up to `limit` of a `symbol`,
    or of all if that is None.
    """
    of_one = f"{item}s"
    pages = spec.schemas(
        f"""
        page
          {name}  [{item}]
          next  cursor
        {of_one}
          symbol  string
          {name},next  =page
        """
    )
    topic = Topic({item: schema, of_one: pages[of_one]}, own)

    @topic.get(f"/api/{name}/{{symbol}}", summaries[1], of_one, "symbol", *choice)
    @topic.get(f"/api/{name}", summaries[0], pages["page"], *choice)
    def page(readers: Readers, request: Request) -> Response:
        symbol = request.path_params.get("symbol")
        parameters = {**read_parameters(request.query_params), "symbol": symbol}
        place = MomentCursor(0, "")

        def items(found: Iterable[Row]) -> Iterator[Any]:
            nonlocal place
            for data, time_us, id_ in islice(found, parameters["limit"] - 1):
                place = MomentCursor(time_us, id_)
                yield data

        with closing(rows(readers, parameters)) as found:
            page_items = held(items(found))
            has_more = next(found, None) is not None
        if symbol is not None and not page_items:
            readers.require(symbol)
        envelope = {} if symbol is None else {"symbol": symbol}
        content = Content(name, envelope, page_items, place.text() if has_more else None)
        return Response(rendered(content, "json"), media_type=MEDIA_TYPES["json"])

    return topic
