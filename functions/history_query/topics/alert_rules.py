"""/api/alert-rules: the rules of alerts, listed, added and removed."""

from __future__ import annotations

import time
from typing import Any, Final

import anyio
import msgspec
import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from functions.history_query.api.endpoints import Answers, as_json
from functions.history_query.api.openapi_schemas import (
    COUNT,
    MS,
    NAME,
    Json,
    Part,
    get,
    list_of,
    object_of,
)
from functions.history_query.api.parameters import refuse_all
from shared.alerts.present import is_true_now
from shared.alerts.rule import MAX_CHARACTERS, Frequency, Rule
from shared.alerts.stored_rules import MOST, add_rule, remove_rule, rules_in_force
from shared.errors import TransientError
from shared.runtime.problem import problem
from shared.stores.postgres import Postgres

PATH: Final = "/api/alert-rules"
MAX_BODY_BYTES: Final = 4_096
_RULE: Final[Json] = {
    **NAME,
    "description": "As docs/alerts.md says: `BTC-USD close > 75000 on 5m`.",
    "minLength": 1,
    "maxLength": MAX_CHARACTERS,
}
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_REFUSALS: Final = {
    "400": {"description": "`detail` names what is wrong and the fix.", "content": _PROBLEM},
    "409": {
        "description": "There are too many rules, or this API only reads.",
        "content": _PROBLEM,
    },
    "413": {"description": f"The body has more than {MAX_BODY_BYTES} bytes.", "content": _PROBLEM},
    "415": {"description": "The body is no application/json.", "content": _PROBLEM},
    "503": {"description": "A store is away; ask again.", "content": _PROBLEM},
}
_ID: Final[Json] = {
    "name": "id",
    "in": "query",
    "required": True,
    "description": "Of the rule.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
    "example": "0a1b2c3d",
}


def _refusals(*statuses: str) -> Json:
    return {status: _REFUSALS[status] for status in statuses}


PART: Final = Part(
    {
        PATH: {
            **get(
                "The rules of alerts in force, the oldest first.",
                list_of("AlertRule"),
                refusals=(400, 503),
            ),
            "post": {
                "summary": "Add a rule. It has no sink: those are `kandle alert add --sink`'s.",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": object_of({"rule": _RULE})}},
                },
                "responses": {
                    "201": {
                        "description": "It is in force.",
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Added"}}
                        },
                    },
                    **_refusals("400", "409", "413", "415", "503"),
                },
            },
            "delete": {
                "summary": "Take a rule out of force; its alerts stay stored.",
                "parameters": [_ID],
                "responses": {
                    "204": {"description": "It is out of force."},
                    "404": {"description": "No such rule is in force.", "content": _PROBLEM},
                    **_refusals("400", "409", "503"),
                },
            },
        },
    },
    {
        "AlertRule": object_of(
            {
                "id": NAME,
                "rule": _RULE,
                "alerts": {**COUNT, "description": "How often it came true."},
                "created": MS,
                "posted": {"type": "boolean", "description": "Whether it has a sink."},
            }
        ),
        "Added": object_of(
            {
                "id": NAME,
                "rule": _RULE,
                "note": {
                    "type": ["string", "null"],
                    "description": "Where it is true already: when it alerts.",
                },
            }
        ),
    },
)


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    rule: str


def answers(postgres: Postgres) -> Answers:
    """Return what answers the route that reads."""

    def every(request: Request) -> Response:
        refuse_all(request.query_params)
        with postgres.connection() as connection:
            found = rules_in_force(connection)
        return as_json(
            [
                {
                    "id": each.id,
                    "rule": each.rule,
                    "alerts": each.alerts,
                    "created": int(each.created.timestamp() * 1000),
                    "posted": each.sink is not None,
                }
                for each in found
            ]
        )

    return {PATH: every}


def writes(postgres: Postgres, *, only_reads: bool = False) -> list[Route]:
    """Return the routes that add and remove. `only_reads`: Postgres is a replica."""

    async def add(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return problem(415, "no JSON", "send the rule as application/json")  # nor does a form
        body = b""
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    return problem(413, "too large", f"at most {MAX_BODY_BYTES} bytes")
            rule = Rule.parse(msgspec.json.decode(body, type=_Asked).rule)
        except ClientDisconnect:
            return Response(status_code=400)
        except (msgspec.DecodeError, ValueError) as error:
            return problem(400, "no rule", str(error))
        return await anyio.to_thread.run_sync(_add, rule)

    def _add(rule: Rule) -> Response:
        try:
            with postgres.connection() as connection:
                holds = is_true_now(connection, rule, time.time_ns() // 1000)
                id_ = add_rule(connection, rule)
        except TransientError as error:
            return problem(503, "a store is away", str(error), 1)
        if id_ is None:
            return problem(409, "too many rules", f"there are {MOST:,} already: remove some")
        is_silent = holds and rule.frequency is not Frequency.ONCE_A_BAR
        note = "already true: it alerts the next time it becomes true" if is_silent else None
        told: dict[str, Any] = {"id": id_, "rule": rule.text(), "note": note}
        return Response(orjson.dumps(told), 201, media_type="application/json")

    def _remove(rule_id: str) -> Response:
        try:
            with postgres.connection() as connection:
                text = remove_rule(connection, rule_id)
        except TransientError as error:
            return problem(503, "a store is away", str(error), 1)
        if text is None:
            return problem(404, "no such rule", f"no rule {rule_id!r} is in force")
        return Response(status_code=204)

    async def remove(request: Request) -> Response:
        ids = request.query_params.getlist("id")
        if len(ids) != 1 or not 1 <= len(ids[0]) <= 64 or not ids[0].isprintable():
            return problem(400, "bad parameter", "id: one, of 1 to 64 characters")
        return await anyio.to_thread.run_sync(_remove, ids[0])

    async def elsewhere(_: Request) -> Response:
        return problem(409, "only read here", "this API reads a replica: use `kandle alert`")

    return [
        Route(PATH, elsewhere if only_reads else add, methods=["POST"]),
        Route(PATH, elsewhere if only_reads else remove, methods=["DELETE"]),
    ]
