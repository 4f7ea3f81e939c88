"""GET /api/rejects: input that was no tick, with the reason of each."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api.endpoints import Answers, as_json
from functions.history_query.api.openapi_schemas import (
    COUNT,
    FROM,
    MS,
    NAME,
    Part,
    get,
    limit,
    list_of,
    object_of,
    ref,
)
from functions.history_query.queries.rejects import (
    DEFAULT_REJECTS,
    MOST_COUNTED,
    Rejects,
    read_rejects,
)

_CODE: Final = {**NAME, "description": "Why, such as bad_price."}

PART: Final = Part(
    {
        "/api/rejects": get(
            "Input that was no tick: counts by reason, and the newest. Without `from`, of the last"
            f" 24 hours; the newest {MOST_COUNTED:,} are counted.",
            ref("Rejects"),
            *(FROM, limit(DEFAULT_REJECTS)),
            refusals=(400, 503),
        ),
    },
    {
        "Rejects": object_of(
            {
                "from": MS,
                "counts": list_of("RejectCount"),
                "rejects": list_of("Reject"),
            }
        ),
        "RejectCount": object_of(
            {
                "code": _CODE,
                "source": {**NAME, "description": "The kind of source, such as udp."},
                "rejects": COUNT,
                "newest": {**MS, "description": "When the newest was received."},
            }
        ),
        "Reject": object_of(
            {
                "received": MS,
                "code": _CODE,
                "detail": {**NAME, "description": "The field, and the fix."},
                "original": {**NAME, "description": "The start of what came, as text."},
                "bytes": {**COUNT, "description": "Of what came, whole."},
                "source": NAME,
            }
        ),
    },
)


def answers(rejects: Rejects) -> Answers:
    """Return what answers the route."""

    def page(request: Request) -> Response:
        return as_json(rejects.since(*read_rejects(request.query_params)))

    return {"/api/rejects": page}
