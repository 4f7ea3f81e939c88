"""/api/alert-rules described, and the list of rules."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.alert_rule_writes import MAX_BODY_BYTES, PATH, TEST_PATH
from functions.history_query.api.endpoints import Handlers, as_json
from shared.alerts.rule import MAX_CHARACTERS
from shared.alerts.stored_rules import (
    rules_in_force,
)
from shared.stores.postgres import Postgres

_RULE: Final[spec.Json] = {
    **spec.NAME,
    "description": "As docs/alerts.md says: `BTC-USD close > 75000 on 5m`.",
    "minLength": 1,
    "maxLength": MAX_CHARACTERS,
}
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_REFUSALS: Final = {
    "400": {"description": "`detail` names what is wrong and the fix.", "content": _PROBLEM},
    "404": {"description": "No such rule is in force.", "content": _PROBLEM},
    "409": {
        "description": "There are too many rules, or this API only reads.",
        "content": _PROBLEM,
    },
    "413": {"description": f"The body has more than {MAX_BODY_BYTES} bytes.", "content": _PROBLEM},
    "415": {"description": "The body is no application/json.", "content": _PROBLEM},
    "503": {"description": "A store is away; ask again.", "content": _PROBLEM},
}
_ID: Final[spec.Json] = {
    "name": "id",
    "in": "query",
    "required": True,
    "description": "Of the rule.",
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
                "The rules of alerts in force, the oldest first.",
                spec.list_of("AlertRule"),
                refusals=(400, 503),
            ),
            "post": {
                "summary": "Add a rule. It has no sink: those are `kandle alert add --sink`'s.",
                "requestBody": _body({"rule": _RULE}),
                "responses": {
                    "201": {"description": "It is in force.", **_content("AddedRule")},
                    **_refusals("400", "409", "413", "415", "503"),
                },
            },
            "patch": {
                "summary": "Put another rule in a rule's place, with its sink; or mute it: its"
                " alerts are stored and sent to nobody.",
                "parameters": [_ID],
                "requestBody": _body(
                    {"rule": _RULE, "muted": {"type": "boolean"}}, minProperties=1, required=[]
                ),
                "responses": {
                    "200": {
                        "description": "The other rule is in force, under an id of its own.",
                        **_content("AddedRule"),
                    },
                    "204": {"description": "It is muted, or no more."},
                    **_refusals("400", "404", "409", "413", "415", "503"),
                },
            },
            "delete": {
                "summary": "Take a rule out of force; its alerts stay stored.",
                "parameters": [_ID],
                "responses": {
                    "204": {"description": "It is out of force."},
                    **_refusals("400", "404", "409", "503"),
                },
            },
        },
        TEST_PATH: {
            "post": {
                "summary": "Notify the services of a rule now, or all of them without one, and say"
                " what came of it.",
                "requestBody": _body({"rule": _RULE}, required=[]),
                "responses": {
                    "200": {
                        "description": "Each service by its name; none where ALERT_URLS is not"
                        " set.",
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
                "alerts": spec.count("How often it came true."),
                "created": spec.MS,
                "posted": spec.boolean("Whether it has a sink."),
                "muted": spec.boolean("Whether its alerts go to nobody."),
            }
        ),
        "TestedAlerts": spec.object_of({"targets": spec.list_of("TestedTarget")}),
        "TestedTarget": spec.object_of(
            {
                "target": spec.name("Service, number and names in ALERT_URLS."),
                "sent": {"type": "boolean"},
                "reason": spec.name("Why it was not.", null=True),
            }
        ),
        "AddedRule": spec.object_of(
            {
                "id": spec.NAME,
                "rule": _RULE,
                "note": spec.name("Where it is true already: when it alerts.", null=True),
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
