"""The whole pipeline as func's own server takes it: `new()` makes an instance with a `handle`.

`kn func` scaffolds a server, func-python, that cannot be installed beside functions-framework: they
want different major versions of cloudevents. The stages use of the one a decorator and of the other
a parser, which is in version 2 as well; without functions-framework both are taken from there.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

if importlib.util.find_spec("functions_framework") is None:
    for _name in ("exceptions", "http"):
        sys.modules[f"cloudevents.{_name}"] = importlib.import_module(f"cloudevents.v1.{_name}")
    _framework, _aio = ModuleType("functions_framework"), ModuleType("functions_framework.aio")
    _aio.http = lambda function: function  # type: ignore[attr-defined]
    _framework.aio = _aio  # type: ignore[attr-defined]
    sys.modules |= {"functions_framework": _framework, "functions_framework.aio": _aio}


class Pipeline:
    """The instance: func-python asks it for everything but liveness and readiness."""

    def __init__(self) -> None:
        self._app = importlib.import_module("functions.pipeline.main").app

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request: an event, a question, a page or a scrape."""
        await self._app(scope, receive, send)


def new() -> Pipeline:
    """Return the function, wired to its environment."""
    return Pipeline()
