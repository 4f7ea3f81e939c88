"""Logs: plain text, or JSON lines that carry the event's id, stage and trace."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Final

from pythonjsonlogger.json import JsonFormatter

from shared.runtime.settings import Choice, Environment

_TEXT: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_NO_FIELDS: Final[Mapping[str, str]] = {}
_FIELDS: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=_NO_FIELDS)


class LogFormat(Choice):
    """The forms of a log."""

    TEXT = "text"
    JSON = "json"


@contextlib.contextmanager
def fields(**values: str) -> Iterator[None]:
    """Add these fields to every JSON line logged meanwhile; empty ones are omitted."""
    token = _FIELDS.set({**_FIELDS.get(), **{name: each for name, each in values.items() if each}})
    try:
        yield
    finally:
        _FIELDS.reset(token)


def configure_logging(mapping: Mapping[str, str]) -> None:
    """Log to stderr, one line per entry, by LOG_FORMAT and LOG_LEVEL. Raises SettingsError."""
    env = Environment(mapping)
    form = env.parsed("LOG_FORMAT", "text", LogFormat)
    level = env.parsed("LOG_LEVEL", "INFO", _level)
    env.check()
    handler = logging.StreamHandler()
    if form is LogFormat.JSON:
        handler.setFormatter(_json())
        handler.addFilter(_add_fields)
        # uvicorn's own handlers would mix plain text into the JSON.
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True
    else:
        handler.setFormatter(logging.Formatter(_TEXT))
    logging.basicConfig(level=level, handlers=[handler])
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It logs every retry without context; the last failure is reported anyway.
    logging.getLogger("stamina").setLevel(logging.ERROR)


def _json() -> JsonFormatter:
    """Format a traceback as one field, `exc_info`, with line breaks escaped."""
    return JsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp=True,
        json_ensure_ascii=False,
    )


def _add_fields(record: logging.LogRecord) -> bool:
    for name, value in _FIELDS.get().items():
        setattr(record, name, value)
    return True


def _level(text: str) -> str:
    level = text.upper()
    if level not in logging.getLevelNamesMapping():
        raise ValueError(f"{text!r} is not a level, such as INFO")
    return level
