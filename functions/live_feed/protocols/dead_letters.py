"""GET /dead-letters: the number of dead letters, and the newest of them."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from functions.live_feed.stream import LiveStream
from shared.errors import TransientError
from shared.runtime.dead_letters import DeadLetter
from shared.runtime.problem import problem

_NEWEST: Final = 50
_ERROR_CHARACTERS: Final = 300


def letters_route(stream: LiveStream) -> Route:
    """Return the route. Payloads are left out: `kandle dlq show` has them."""

    async def answer(request: Request) -> Response:
        try:
            count, letters = await stream.dead_letters(_NEWEST)
        except TransientError as error:
            return problem(503, "a store is away", str(error), 1)
        body = {"count": count, "letters": [_letter(each) for each in letters]}
        return JSONResponse(body, headers={"cache-control": "no-store"})

    return Route("/dead-letters", answer)


def _letter(letter: DeadLetter) -> dict[str, Any]:
    stored = letter.stored_at
    return {
        "sequence": letter.sequence,
        "stored": None if stored is None else round(stored.timestamp() * 1000),
        "type": letter.attributes.get("type"),
        "id": letter.attributes.get("id"),
        "destination": letter.destination,
        "code": letter.code,
        "error": letter.error[:_ERROR_CHARACTERS],
        "bytes": len(letter.body),
    }
