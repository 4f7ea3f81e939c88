"""The routes that add, change, test and remove rules of alerts: JSON alone."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import anyio
import msgspec
import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from functions.history_query.api.endpoints import as_json
from functions.history_query.queries.alert_test import AlertTests
from shared.alerts.present import is_true_now
from shared.alerts.rule import ALREADY_TRUE, Rule
from shared.alerts.stored_rules import MAX_RULES, add_rule, mute_rule, remove_rule, replace_rule
from shared.errors import TransientError
from shared.runtime.problem import problem
from shared.stores.postgres import Postgres

PATH: Final = "/api/alert-rules"
TEST_PATH: Final = f"{PATH}/test"
MAX_BODY_BYTES: Final = 4_096


class _Added(msgspec.Struct, forbid_unknown_fields=True):
    rule: str


class _Changed(msgspec.Struct, forbid_unknown_fields=True):
    rule: str | None = None
    muted: bool | None = None


class _Tested(msgspec.Struct, forbid_unknown_fields=True):
    rule: str | None = None


_T = TypeVar("_T")


def alert_rule_writes(
    postgres: Postgres, tests: AlertTests, *, only_reads: bool = False
) -> list[Route]:
    """Return the routes that add, change and remove. `only_reads`: Postgres is a replica."""

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
            holds = is_true_now(connection, rule, time.time_ns() // 1000)
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
            holds = is_true_now(connection, rule, time.time_ns() // 1000)
            id_ = replace_rule(connection, rule_id, rule)
        return _no_such_rule(rule_id) if id_ is None else _in_force(id_, rule, holds, 200)

    def _remove(rule_id: str) -> Response:
        with postgres.connection() as connection:
            text = remove_rule(connection, rule_id)
        return _no_such_rule(rule_id) if text is None else Response(status_code=204)

    async def _test(body: _Tested) -> Response:
        rule = None if body.rule is None else Rule.parse(body.rule).text()
        return as_json({"targets": await tests.send(rule)})

    async def elsewhere(_: Request) -> Response:
        return problem(409, "only read here", "this API reads a replica: use `kandle alert`")

    routes = {(PATH, "POST"): add, (PATH, "PATCH"): change, (PATH, "DELETE"): remove}
    routes[TEST_PATH, "POST"] = test
    return [
        Route(path, elsewhere if only_reads else endpoint, methods=[method])
        for (path, method), endpoint in routes.items()
    ]


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
