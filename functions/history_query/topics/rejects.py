"""GET /api/rejects: input that was no tick, with the reason of each."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import Handlers, as_json
from functions.history_query.queries.rejects import (
    DEFAULT_REJECTS,
    MOST_COUNTED,
    Rejects,
    read_rejects,
)

_CODE: Final = spec.name("Why, such as bad_price.")

PART: Final = spec.Part(
    {
        "/api/rejects": spec.get(
            "Input that was no tick: counts by reason, and the newest. Without `from`, of the last"
            f" 24 hours; the newest {MOST_COUNTED:,} are counted.",
            spec.ref("Rejects"),
            "from",
            spec.limit(DEFAULT_REJECTS),
            refusals=(400, 503),
        ),
    },
    {
        "Rejects": spec.object_of(
            {
                "from": spec.MS,
                "counts": spec.list_of("RejectCount"),
                "rejects": spec.list_of("Reject"),
            }
        ),
        "RejectCount": spec.object_of(
            {
                "code": _CODE,
                "source": spec.name("The kind of source, such as udp."),
                "rejects": spec.COUNT,
                "newest": spec.ms("When the newest was received."),
            }
        ),
        "Reject": spec.object_of(
            {
                "received": spec.MS,
                "code": _CODE,
                "detail": spec.name("The field, and the fix."),
                "original": spec.name("The start of what came, as text."),
                "bytes": spec.count("Of what came, whole."),
                "source": spec.NAME,
            }
        ),
    },
)


def handlers(rejects: Rejects) -> Handlers:
    """Return the handler of the route."""

    def page(request: Request) -> Response:
        return as_json(rejects.since(*read_rejects(request.query_params)))

    return {"/api/rejects": page}
