"""/api/alert-rules: the rules in force; they are added, changed, tested and removed as JSON."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

import anyio
import msgspec
import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import as_json
from functions.history_query.api.parameters import now_us
from functions.history_query.api.topic import Topic
from functions.history_query.queries.readers import Readers
from shared.adapter.event import OutgoingEvent
from shared.alerts.notices import notices
from shared.alerts.present import is_true_now
from shared.alerts.rule import MAX_CHARACTERS, Rule
from shared.alerts.stored_rules import (
    MAX_RULES,
    active_rules,
    add_rule,
    mute_rule,
    remove_rule,
    replace_rule,
)
from shared.errors import TransientError
from shared.market.timeframes import Timeframe
from shared.runtime.problem import problem, read_body
from shared.stores.postgres import Postgres
from shared.wire import events

PATH: Final = "/api/alert-rules"
TEST_PATH: Final = f"{PATH}/test"
MAX_BODY_BYTES: Final = 4_096
_TEST_S: Final = 28.0
"""Timeout of a test: longer than notify's own, shorter than live-feed's for this API."""

_RULE: Final[spec.Json] = {
    "type": "string",
    "description": "Rule in the syntax of docs/alerts.md: `BTC-USD close > 75000 on 5m`.",
    "minLength": 1,
    "maxLength": MAX_CHARACTERS,
}
_REFUSALS: Final = {
    400: "`detail` names the error and the fix.",
    404: "No such active rule.",
    409: "Too many rules, or this API is read-only.",
    413: f"The body has more than {MAX_BODY_BYTES} bytes.",
    415: "The body is not application/json.",
    503: spec.REFUSALS[503],
}
_ID: Final[spec.Json] = {
    **spec.query(
        "id", "Id of the rule.", {"type": "string", "minLength": 1, "maxLength": 64}, "0a1b2c3d"
    ),
    "required": True,
}
_BODIES: Final = spec.schemas(
    """
    rule
      rule    rule
    change?
      rule    rule
      muted   boolean
    test?
      rule    rule
    """,
    rule=_RULE,
)


def _write(
    summary: str, answers: dict[int, tuple[str, str]], *refusals: int, body: str = ""
) -> spec.Json:
    """Describe a change. `answers`: description and schema, if it has content, by status."""
    responses = {}
    for status, (description, schema) in answers.items():
        content = {"content": spec.content(spec.ref(schema))} if schema else {}
        responses[str(status)] = {"description": description, **content}
    described: spec.Json = {"summary": summary}
    if 404 in refusals:
        described["parameters"] = [_ID]
    if body:
        described["requestBody"] = {"required": True, "content": spec.content(_BODIES[body])}
    problems = spec.problems({status: _REFUSALS[status] for status in refusals})
    return {**described, "responses": responses | problems}


TOPIC: Final = Topic(
    spec.schemas(
        """
        AlertRule
          id       string
          rule     rule
          alerts   count     Number of its alerts.
          created  ms
          posted   boolean   Whether it has a sink.
          muted    boolean   Whether its alerts are not sent.
        TestedAlerts
          targets  [TestedTarget]
        TestedTarget
          target   string    Service, with its number and names in ALERT_URLS.
          sent     boolean
          reason   string?   Why it was not sent.
        AddedRule
          id       string
          rule     rule
          note     string?   Why the rule stays silent, or, if it holds already, when it will alert.
        """,
        rule=_RULE,
    ),
)


@TOPIC.get(PATH, "Active alert rules, the oldest first.", "[AlertRule]")
def _every(readers: Readers, _: Request) -> Response:
    with readers.postgres.connection() as connection:
        rules = active_rules(connection)
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


_BODIES["change"]["minProperties"] = 1
TOPIC.paths[PATH] |= {
    "post": _write(
        "Add a rule. Sinks are set only by `kandle alert add --sink`.",
        {201: ("The rule is active.", "AddedRule")},
        *(400, 409, 413, 415, 503),
        body="rule",
    ),
    "patch": _write(
        "Replace a rule, keeping its sink; or mute it: its alerts are stored but not sent.",
        {
            200: ("The new rule is active, under a new id.", "AddedRule"),
            204: ("The rule is muted or unmuted.", ""),
        },
        *(400, 404, 409, 413, 415, 503),
        body="change",
    ),
    "delete": _write(
        "Remove a rule; its alerts stay stored.",
        {204: ("The rule is removed.", "")},
        *(400, 404, 409, 503),
    ),
}
TOPIC.paths[TEST_PATH] = {
    "post": _write(
        "Send a test notification to the services of a rule, or to all without one, and"
        " return the results.",
        {200: ("One result per service; none if ALERT_URLS is not set.", "TestedAlerts")},
        *(400, 409, 413, 415, 503),
        body="test",
    ),
}


class _Added(msgspec.Struct, forbid_unknown_fields=True):
    rule: str


class _Changed(msgspec.Struct, forbid_unknown_fields=True):
    rule: str | None = None
    muted: bool | None = None


class _Tested(msgspec.Struct, forbid_unknown_fields=True):
    rule: str | None = None


_T = TypeVar("_T")
_run: Final = anyio.to_thread.run_sync


class _RefusedError(Exception):
    """A request that gets a problem: `response`."""

    def __init__(self, status: int, title: str, detail: str, retry_s: int | None = None) -> None:
        super().__init__(detail)
        self.response = problem(status, title, detail, retry_s)


def alert_rule_writes(
    postgres: Postgres, notify_url: str, ladder: tuple[Timeframe, ...], *, only_reads: bool = False
) -> list[Route]:
    """Return the routes that add, change, test and remove. `only_reads`: Postgres is a replica.

    `notify_url`: address of notify, which alone has credentials; empty: no notifications.
    `ladder`: the stored timeframes.
    """
    names = [each.name for each in ladder]

    async def add(request: Request) -> Response:
        return await _run(_add, await _body(request, _Added))

    async def change(request: Request) -> Response:
        rule_id = _id_of(request)
        return await _run(_change, rule_id, await _body(request, _Changed))

    async def remove(request: Request) -> Response:
        return await _run(_remove, _id_of(request))

    async def test(request: Request) -> Response:
        body = await _body(request, _Tested)
        rule = None if body.rule is None else Rule.parse(body.rule).text()
        return as_json({"targets": await _notified(notify_url, rule)})

    def _add(body: _Added) -> Response:
        rule = Rule.parse(body.rule)
        with postgres.connection() as connection:
            holds = is_true_now(connection, rule, now_us())
            id_ = add_rule(connection, rule)
        if id_ is None:
            raise _RefusedError(
                409, "too many rules", f"there are {MAX_RULES:,} already: remove some"
            )
        return _in_force(id_, rule, notices(rule, holds, names), 201)

    def _change(rule_id: str, body: _Changed) -> Response:
        with postgres.connection() as connection:
            _of(rule_id, mute_rule(connection, rule_id, muted=body.muted))
            if body.rule is None and body.muted is None:
                raise ValueError("the body changes nothing: give rule, muted, or both")
            if body.rule is None:
                return Response(status_code=204)
            rule = Rule.parse(body.rule)
            holds = is_true_now(connection, rule, now_us())
            id_ = _of(rule_id, replace_rule(connection, rule_id, rule))
        return _in_force(id_, rule, notices(rule, holds, names), 200)

    def _remove(rule_id: str) -> Response:
        with postgres.connection() as connection:
            _of(rule_id, remove_rule(connection, rule_id))
        return Response(status_code=204)

    async def elsewhere(_: Request) -> Response:
        return problem(409, "only read here", "this API reads a replica: use `kandle alert`")

    routes = {(PATH, "POST"): add, (PATH, "PATCH"): change, (PATH, "DELETE"): remove}
    routes[TEST_PATH, "POST"] = test
    return [
        Route(path, elsewhere if only_reads else partial(_answer, endpoint), methods=[method])
        for (path, method), endpoint in routes.items()
    ]


async def _answer(endpoint: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    """Call the endpoint; map errors to problem+json."""
    try:
        return await endpoint(request)
    except _RefusedError as error:
        return error.response
    except ClientDisconnect:
        return Response(status_code=400)
    except ValueError as error:  # msgspec's and RuleError are
        return problem(400, "no rule", str(error))
    except TransientError as error:
        return problem(503, "a store is away", str(error), 1)


async def _notified(url: str, rule: str | None) -> list[dict[str, Any]]:
    """Notify the targets of a rule, or all; return the name and result of each."""
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
        raise _RefusedError(503, "not now", f"notify is away: {error!r}", 1) from error
    if response.headers.get("ce-type") != events.ALERT_TESTED:
        reason = f"notify answered {response.status_code}: {response.text[:200]}"
        raise _RefusedError(503, "not now", reason, 1)
    targets: list[dict[str, Any]] = response.json()["targets"]
    return targets


async def _body(request: Request, type_: type[_T]) -> _T:
    """Decode the JSON body. Raises ValueError."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise _RefusedError(415, "no JSON", "send the rule as application/json")  # nor does a form
    body = await read_body(request, MAX_BODY_BYTES)
    if body is None:
        raise _RefusedError(413, "too large", f"at most {MAX_BODY_BYTES} bytes")
    return msgspec.json.decode(body, type=type_)


def _id_of(request: Request) -> str:
    ids = request.query_params.getlist("id")
    if len(ids) != 1 or not 1 <= len(ids[0]) <= 64 or not ids[0].isprintable():
        raise _RefusedError(400, "bad parameter", "id: one, of 1 to 64 characters")
    return ids[0]


def _of(rule_id: str, found: str | None) -> str:
    """Return what a statement found of a rule in force."""
    if found is None:
        raise _RefusedError(404, "no such rule", f"no rule {rule_id!r} is in force")
    return found


def _in_force(id_: str, rule: Rule, notes: list[str], status: int) -> Response:
    note = "; ".join(notes) or None
    body: dict[str, Any] = {"id": id_, "rule": rule.text(), "note": note}
    return Response(orjson.dumps(body), status, media_type="application/json")
