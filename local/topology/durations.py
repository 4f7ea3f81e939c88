"""Knative's two duration formats: ISO 8601 in delivery specs, Go's in channel templates."""

from __future__ import annotations

import re

_NUMBER = r"(\d+(?:\.\d+)?)"
_ISO = re.compile(rf"P(?:{_NUMBER}D)?(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?")
_GO_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_GO = re.compile(rf"(?:{_GO_PART.pattern})+")
_GO_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def iso8601_seconds(text: str) -> float:
    """Seconds of an ISO 8601 duration such as `PT0.5S` or `P1DT2H`.

    Raises ValueError: it is not one (years, months and weeks have no fixed use here).
    """
    match = _ISO.fullmatch(text)
    if not match or not any(match.groups()):
        raise ValueError(
            f"{text!r} is not an ISO 8601 duration: write it like PT1S, PT0.2S or PT5M"
        )
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


def go_seconds(text: str) -> float:
    """Seconds of a Go duration such as `30s`, `1h30m` or `500ms`.

    Raises ValueError: it is not one.
    """
    if text == "0":
        return 0.0
    if not _GO.fullmatch(text):
        raise ValueError(f"{text!r} is not a Go duration: write it like 30s, 500ms or 168h")
    return sum(float(number) * _GO_SECONDS[unit] for number, unit in _GO_PART.findall(text))
