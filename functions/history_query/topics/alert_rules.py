"""/api/alert-rules: the rules in force; they are added, changed, tested and removed as JSON."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import anyio
import msgspec
import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import Handlers, as_json
from functions.history_query.api.parameters import now_us
from shared.adapter.event import OutgoingEvent
from shared.alerts.present import is_true_now
from shared.alerts.rule import ALREADY_TRUE, MAX_CHARACTERS, Rule
from shared.alerts.stored_rules import (
    MAX_RULES,
    add_rule,
    mute_rule,
    remove_rule,
    replace_rule,
    rules_in_force,
)
from shared.errors import TransientError
from shared.runtime.problem import problem
from shared.stores.postgres import Postgres
from shared.wire import events

PATH: Final = "/api/alert-rules"
TEST_PATH: Final = f"{PATH}/test"
MAX_BODY_BYTES: Final = 4_096
_TEST_S: Final = 28.0
"""Timeout of a test: longer than notify's own, shorter than live-feed's for this API."""

_RULE: Final[spec.Json] = {
    **spec.NAME("Rule in the syntax of docs/alerts.md: `BTC-USD close > 75000 on 5m`."),
    "minLength": 1,
    "maxLength": MAX_CHARACTERS,
}
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_REFUSALS: Final = {
    "400": {"description": "`detail` names the error and the fix.", "content": _PROBLEM},
    "404": {"description": "No such active rule.", "content": _PROBLEM},
    "409": {
        "description": "Too many rules, or this API is read-only.",
        "content": _PROBLEM,
    },
    "413": {"description": f"The body has more than {MAX_BODY_BYTES} bytes.", "content": _PROBLEM},
    "415": {"description": "The body is not application/json.", "content": _PROBLEM},
    "503": {"description": "A store is unavailable; retry.", "content": _PROBLEM},
}
_ID: Final[spec.Json] = {
    "name": "id",
    "in": "query",
    "required": True,
    "description": "Id of the rule.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
    "example": "0a1b2c3d",
}


def _refusals(*statuses: str) -> spec.Json:
    return {status: _REFUSALS[status] for status in statuses}


def _body(properties: spec.Json, **options: Any) -> spec.Json:
    schema = spec.object_of(properties, **options)
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _content(name: str) -> spec.Json:
    return {"content": {"application/json": {"schema": spec.ref(name)}}}


PART: Final = spec.Part(
    {
        PATH: {
            **spec.get(
                "Active alert rules, the oldest first.",
                spec.list_of("AlertRule"),
                refusals=(400, 503),
            ),
            "post": {
                "summary": "Add a rule. Sinks are set only by `kandle alert add --sink`.",
                "requestBody": _body({"rule": _RULE}),
                "responses": {
                    "201": {"description": "The rule is active.", **_content("AddedRule")},
                    **_refusals("400", "409", "413", "415", "503"),
                },
            },
            "patch": {
                "summary": "Replace a rule, keeping its sink; or mute it: its alerts are stored"
                " but not sent.",
                "parameters": [_ID],
                "requestBody": _body(
                    {"rule": _RULE, "muted": {"type": "boolean"}}, minProperties=1, required=[]
                ),
                "responses": {
                    "200": {
                        "description": "The new rule is active, under a new id.",
                        **_content("AddedRule"),
                    },
                    "204": {"description": "The rule is muted or unmuted."},
                    **_refusals("400", "404", "409", "413", "415", "503"),
                },
            },
            "delete": {
                "summary": "Remove a rule; its alerts stay stored.",
                "parameters": [_ID],
                "responses": {
                    "204": {"description": "The rule is removed."},
                    **_refusals("400", "404", "409", "503"),
                },
            },
        },
        TEST_PATH: {
            "post": {
                "summary": "Send a test notification to the services of a rule, or to all without"
                " one, and return the results.",
                "requestBody": _body({"rule": _RULE}, required=[]),
                "responses": {
                    "200": {
                        "description": "One result per service; none if ALERT_URLS is not set.",
                        **_content("TestedAlerts"),
                    },
                    **_refusals("400", "409", "413", "415", "503"),
                },
            },
        },
    },
    {
        "AlertRule": spec.object_of(
            {
                "id": spec.NAME,
                "rule": _RULE,
                "alerts": spec.COUNT("Number of its alerts."),
                "created": spec.MS,
                "posted": spec.BOOLEAN("Whether it has a sink."),
                "muted": spec.BOOLEAN("Whether its alerts are not sent."),
            }
        ),
        "TestedAlerts": spec.object_of({"targets": spec.list_of("TestedTarget")}),
        "TestedTarget": spec.object_of(
            {
                "target": spec.NAME("Service, with its number and names in ALERT_URLS."),
                "sent": {"type": "boolean"},
                "reason": spec.NAME("Why it was not sent.", null=True),
            }
        ),
        "AddedRule": spec.object_of(
            {
                "id": spec.NAME,
                "rule": _RULE,
                "note": spec.NAME("If the rule holds already: when it will alert.", null=True),
            }
        ),
    },
)


def handlers(postgres: Postgres) -> Handlers:
    """Return the handler of the route that reads."""

    def every(request: Request) -> Response:
        with postgres.connection() as connection:
            rules = rules_in_force(connection)
        return as_json(
            [
                {
                    "id": each.id,
                    "rule": each.rule,
                    "alerts": each.alerts,
                    "created": int(each.created.timestamp() * 1000),
                    "posted": each.sink is not None,
                    "muted": each.muted,
                }
                for each in rules
            ]
        )

    return {PATH: every}


class _Added(msgspec.Struct, forbid_unknown_fields=True):
    rule: str


class _Changed(msgspec.Struct, forbid_unknown_fields=True):
    rule: str | None = None
    muted: bool | None = None


class _Tested(msgspec.Struct, forbid_unknown_fields=True):
    rule: str | None = None


_T = TypeVar("_T")


def alert_rule_writes(
    postgres: Postgres, notify_url: str, *, only_reads: bool = False
) -> list[Route]:
    """Return the routes that add, change, test and remove. `only_reads`: Postgres is a replica.

    `notify_url`: address of notify, which alone has credentials; empty: no notifications.
    """

    async def add(request: Request) -> Response:
        return await _with_body(request, _Added, lambda body: _in_thread(_add, body.rule))

    async def change(request: Request) -> Response:
        rule_id = _id_of(request)
        if rule_id is None:
            return _bad_id()
        return await _with_body(request, _Changed, lambda body: _in_thread(_change, rule_id, body))

    async def remove(request: Request) -> Response:
        rule_id = _id_of(request)
        return _bad_id() if rule_id is None else await _in_thread(_remove, rule_id)

    async def test(request: Request) -> Response:
        return await _with_body(request, _Tested, _test)

    def _add(text: str) -> Response:
        rule = Rule.parse(text)
        with postgres.connection() as connection:
            holds = is_true_now(connection, rule, now_us())
            id_ = add_rule(connection, rule)
        if id_ is None:
            return problem(409, "too many rules", f"there are {MAX_RULES:,} already: remove some")
        return _in_force(id_, rule, holds, 201)

    def _change(rule_id: str, body: _Changed) -> Response:
        with postgres.connection() as connection:
            if mute_rule(connection, rule_id, muted=body.muted) is None:
                return _no_such_rule(rule_id)
            if body.rule is None and body.muted is None:
                raise ValueError("the body changes nothing: give rule, muted, or both")
            if body.rule is None:
                return Response(status_code=204)
            rule = Rule.parse(body.rule)
            holds = is_true_now(connection, rule, now_us())
            id_ = replace_rule(connection, rule_id, rule)
        return _no_such_rule(rule_id) if id_ is None else _in_force(id_, rule, holds, 200)

    def _remove(rule_id: str) -> Response:
        with postgres.connection() as connection:
            text = remove_rule(connection, rule_id)
        return _no_such_rule(rule_id) if text is None else Response(status_code=204)

    async def _test(body: _Tested) -> Response:
        rule = None if body.rule is None else Rule.parse(body.rule).text()
        return as_json({"targets": await _notified(notify_url, rule)})

    async def elsewhere(_: Request) -> Response:
        return problem(409, "only read here", "this API reads a replica: use `kandle alert`")

    routes = {(PATH, "POST"): add, (PATH, "PATCH"): change, (PATH, "DELETE"): remove}
    routes[TEST_PATH, "POST"] = test
    return [
        Route(path, elsewhere if only_reads else endpoint, methods=[method])
        for (path, method), endpoint in routes.items()
    ]


async def _notified(url: str, rule: str | None) -> list[dict[str, Any]]:
    """Notify the targets of a rule, or all; return the name and result of each.

    Raises TransientError while notify is away.
    """
    if not url:
        return []
    import httpx  # 5 MiB, for a test now and then

    body = orjson.dumps({} if rule is None else {"rule": rule})
    event = OutgoingEvent(uuid.uuid4().hex, events.ALERT_TEST, body, events.JSON)
    headers = event.headers("/kandle/history-query", {})
    try:
        async with httpx.AsyncClient(timeout=_TEST_S, trust_env=False) as client:
            response = await client.post(url, headers=headers, content=body)
    except httpx.HTTPError as error:
        raise TransientError(f"notify is away: {error!r}") from error
    if response.headers.get("ce-type") != events.ALERT_TESTED:
        raise TransientError(f"notify answered {response.status_code}: {response.text[:200]}")
    targets: list[dict[str, Any]] = response.json()["targets"]
    return targets


async def _with_body(
    request: Request, type_: type[_T], answer: Callable[[_T], Awaitable[Response]]
) -> Response:
    """Decode the JSON body and call `answer`; map errors to problem+json."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return problem(415, "no JSON", "send the rule as application/json")  # nor does a form
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return problem(413, "too large", f"at most {MAX_BODY_BYTES} bytes")
        return await answer(msgspec.json.decode(body, type=type_))
    except ClientDisconnect:
        return Response(status_code=400)
    except (msgspec.DecodeError, ValueError) as error:
        return problem(400, "no rule", str(error))
    except TransientError as error:
        return problem(503, "not now", str(error), 1)


async def _in_thread(work: Callable[..., Response], *arguments: Any) -> Response:
    try:
        return await anyio.to_thread.run_sync(work, *arguments)
    except TransientError as error:
        return problem(503, "a store is away", str(error), 1)


def _id_of(request: Request) -> str | None:
    ids = request.query_params.getlist("id")
    return ids[0] if len(ids) == 1 and 1 <= len(ids[0]) <= 64 and ids[0].isprintable() else None


def _bad_id() -> Response:
    return problem(400, "bad parameter", "id: one, of 1 to 64 characters")


def _no_such_rule(rule_id: str) -> Response:
    return problem(404, "no such rule", f"no rule {rule_id!r} is in force")


def _in_force(id_: str, rule: Rule, holds: bool | None, status: int) -> Response:
    note = ALREADY_TRUE if holds and rule.waits_for_an_edge else None
    body: dict[str, Any] = {"id": id_, "rule": rule.text(), "note": note}
    return Response(orjson.dumps(body), status, media_type="application/json")
