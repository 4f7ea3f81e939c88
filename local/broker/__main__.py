"""`python -m local.broker`: parse the arguments and run the broker process."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

import uvloop

from local.broker.process import DRAIN_SECONDS, BrokerProcess
from local.errors import PlatformError, UsageError
from local.topology.eventing import load_eventing
from shared.runtime.memory import settle


def main() -> int:
    """Run until SIGTERM; returns the exit code: 0, 1 (bad manifests) or 2 (bad arguments)."""
    parser = argparse.ArgumentParser(prog="python -m local.broker", description=__doc__)
    parser.add_argument("--eventing", type=Path, required=True, help="directory of Broker YAML")
    parser.add_argument("--port", type=int, required=True, help="port of the ingress (loopback)")
    parser.add_argument(
        "--addresses",
        type=Path,
        required=True,
        help="JSON file: cluster host name to loopback URL of each Service",
    )
    parser.add_argument(
        "--idle",
        action="append",
        default=[],
        metavar="HOST",
        help="leave out the Triggers whose subscriber is this Service: it has nothing to do",
    )
    arguments = parser.parse_args()
    try:
        nats_url = os.environ.get("NATS_URL")
        if not nats_url:
            raise UsageError("NATS_URL is not set: where is the JetStream server?")
        eventing = load_eventing(arguments.eventing).without(frozenset(arguments.idle))
        for each in eventing.ignored:
            sys.stderr.write(f"ignored: {each}\n")
        process = BrokerProcess(
            eventing,
            _read_addresses(arguments.addresses),
            nats_url,
            arguments.port,
            _drain_seconds(os.environ.get("DRAIN_S")),
        )
        settle()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(process.run())
    except PlatformError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _drain_seconds(text: str | None) -> int:
    if not text:
        return DRAIN_SECONDS
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"DRAIN_S={text!r} is not a whole number of seconds")
    return int(text)


def _read_addresses(path: Path) -> dict[str, str | list[str]]:
    try:
        addresses: dict[str, str | list[str]] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"--addresses {path}: {error}") from None
    return addresses


if __name__ == "__main__":
    sys.exit(main())
