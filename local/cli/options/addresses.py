"""Address resolution: a flag, else the environment, else the running instance."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from local.errors import CliError, NotRunningError
from local.instance import Instance


def address(option: str | None, name: str, data_dir: Path, flag: str = "") -> str:
    """Return the flag or environment value, else `name` of the running instance.

    Raises CliError: neither exists.
    """
    if option:
        return option
    flag = flag or flag_of(name)
    try:
        env = Instance.load(data_dir).env
    except NotRunningError as error:
        raise CliError(f"{error}, or say where it is with {flag} (or {name})") from None
    if not env.get(name):
        raise CliError(f"the instance on {data_dir} has no {name}: say where it is with {flag}")
    return env[name]


def flag_of(name: str) -> str:
    """Return the flag that stands for a variable: `--api-url` for API_URL."""
    return f"--{name.lower().replace('_', '-')}"


def host_and_port(text: str, flag: str) -> tuple[str, int]:
    """Split `HOST:PORT` (`[::1]:5005` too). Raises CliError if invalid."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.path or parts.username:
        raise CliError(f"{flag}: {text!r} is not HOST:PORT, such as 127.0.0.1:5005")
    return host, port


def http_address(option: str | None, name: str, data_dir: Path, flag: str = "") -> str:
    """Return such an HTTP address, without a trailing slash. Raises CliError if invalid."""
    flag = flag or flag_of(name)
    return http_url(address(option, name, data_dir, flag), flag)


def http_url(text: str, flag: str) -> str:
    """Return an HTTP address without a trailing slash. Raises CliError if invalid."""
    try:
        parts = urlsplit(text)
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise CliError(f"{flag}: {text!r} is not a URL, such as http://127.0.0.1:8080")
    return text.rstrip("/")


def ticks_broker(option: str | None, data_dir: Path) -> str:
    """Return the address for ticks: the option, else Broker ticks of the running instance.

    Raises CliError: neither exists.
    """
    from local.cli.commands.dlq import resolve
    from local.topology.addressable import INGRESS_HOST

    if option:
        return option
    try:
        instance = Instance.load(data_dir)
    except NotRunningError as error:
        raise CliError(f"{error}, or say where it is with --broker-url") from None
    return resolve(f"http://{INGRESS_HOST}/kandle/ticks", instance.addresses)
