"""GET /api/rejects: input that was no tick, with the reason of each."""

from __future__ import annotations

from typing import Final

from psycopg.rows import dict_row
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import as_json
from functions.history_query.api.parameters import now_us, read_limit, read_time_us
from functions.history_query.api.topic import Topic
from functions.history_query.queries.readers import Readers
from shared.market.utc_days import DAY_US

DEFAULT_REJECTS: Final = 100
MOST_COUNTED: Final = 100_000
_EXCERPT_BYTES: Final = 300

_COUNTS: Final = """
SELECT code, regexp_replace(source, '-[^-]*$', '') AS source, count(*) AS rejects,
       max(receive_time_us) / 1000 AS newest
FROM (
    SELECT code, source, receive_time_us FROM rejects WHERE receive_time_us >= %(from_us)s
    ORDER BY receive_time_us DESC LIMIT %(most)s
) AS newest_ones GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
"""
_NEWEST: Final = """
SELECT receive_time_us / 1000 AS received, code, detail, substr(original, 1, %(bytes)s) AS original,
       octet_length(original) AS bytes, source
FROM rejects WHERE receive_time_us >= %(from_us)s
ORDER BY receive_time_us DESC, source DESC, sequence DESC LIMIT %(limit)s
"""


TOPIC: Final = Topic(
    spec.schemas(
        """
        Rejects
          from      ms
          counts    [RejectCount]
          rejects   [Reject]
        RejectCount
          code      string  Reason, such as bad_price.
          source    string  The kind of source, such as udp.
          rejects   count
          newest    ms      Receive time of the newest.
        Reject
          received  ms
          code      string  Reason, such as bad_price.
          detail    string  The field and the fix.
          original  string  Start of the original input, as text.
          bytes     count   Size of the whole input in bytes.
          source    string
        """
    ),
)


@TOPIC.get(
    "/api/rejects",
    "Rejected input: counts by reason, and the newest. Without `from`, of the last"
    f" 24 hours; the newest {MOST_COUNTED:,} are counted.",
    "Rejects",
    "from",
    spec.limit(DEFAULT_REJECTS),
)
def _page(readers: Readers, request: Request) -> Response:
    query, now = request.query_params, now_us()
    from_us = read_time_us(query, "from", now)
    from_us = now - DAY_US if from_us is None else from_us
    limits = {"most": MOST_COUNTED, "bytes": _EXCERPT_BYTES}
    parameters = {"from_us": from_us, "limit": read_limit(query, DEFAULT_REJECTS), **limits}
    with (
        readers.postgres.connection() as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        counts = cursor.execute(_COUNTS, parameters).fetchall()
        newest = cursor.execute(_NEWEST, parameters).fetchall()
    for each in newest:
        each["original"] = bytes(each["original"]).decode("utf-8", "backslashreplace")
    return as_json({"from": from_us // 1000, "counts": counts, "rejects": newest})
