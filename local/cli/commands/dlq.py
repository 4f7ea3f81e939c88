"""`kandle dlq`: read the events that ran out of deliveries, and deliver them again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar
from urllib.parse import urlsplit

import typer

from local.cli.options.addresses import address
from local.cli.options.common import DataDir, JsonLines, NatsUrl
from local.cli.output import result
from local.cli.output.dead_letter_text import as_json, body_excerpt, one_line, printable, stored
from local.errors import CliError, NotRunningError
from local.instance import DEFAULT_DATA_DIR, Instance
from shared.errors import TransientError
from shared.wire.events import REPLAYED

if TYPE_CHECKING:
    import httpx
    from nats.js import JetStreamContext

    from shared.runtime.dead_letters import DeadLetter, DeadLetters

DELIVERY_TIMEOUT_S: Final = 60.0
ALL: Final = sys.maxsize

Result = TypeVar("Result")

Sequence = Annotated[int, typer.Argument(metavar="ID", min=1, help="The letter's sequence number.")]


app = typer.Typer(
    name="dlq",
    no_args_is_help=True,
    help="Dead letters: events that ran out of deliveries, in the JetStream stream "
    "KANDLE_DEAD_LETTERS.\n\nList them ([bold]kandle dlq list[/bold]), why "
    "([bold]kandle dlq show ID[/bold]), fix the cause, then deliver them again "
    "([bold]kandle dlq replay --all[/bold]).",
)


@app.command("list")
def list_letters(
    limit: Annotated[int, typer.Option(min=1, help="Most letters to list.")] = 100,
    json_lines: JsonLines = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List the dead letters, oldest first."""

    async def read(letters: DeadLetters) -> tuple[list[DeadLetter], int]:
        return [letter async for letter in letters.list(limit)], await letters.count()

    shown, count = _with_stream(nats_url, data_dir, read)
    if json_lines:
        for letter in shown:
            typer.echo(json.dumps(as_json(letter)))
    elif shown:
        _print(shown)
    else:
        typer.echo("no dead letters")
    if count > len(shown):
        typer.echo(f"{count:,} dead letters, {len(shown):,} shown; see --limit", err=True)


@app.command("show")
def show(
    sequence: Sequence,
    output: Annotated[
        Path | None, typer.Option(help="Write the body to this file.", dir_okay=False)
    ] = None,
    json_object: Annotated[
        bool, typer.Option("--json", help="A JSON object, the body as data_base64.")
    ] = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show one dead letter: attributes, error, body."""

    async def read(letters: DeadLetters) -> DeadLetter:
        return await _needed(letters, sequence)

    letter = _with_stream(nats_url, data_dir, read)
    if json_object:
        typer.echo(json.dumps(as_json(letter, with_body=True)))
    else:
        typer.echo(f"dead letter {letter.sequence}, stored {stored(letter)}")
        for name, value in sorted(letter.attributes.items()):
            if name != "knativeerrordata":
                typer.echo(f"  {name}: {printable(value)}")
        typer.echo("error:")
        for line in (letter.error or "(the response was empty)").splitlines():
            typer.echo(f"  {printable(line)}")
        typer.echo(f"body: {len(letter.body):,} bytes")
        if output is None and letter.body:
            typer.echo(body_excerpt(letter.body))
    if output is not None:
        try:
            output.write_bytes(letter.body)
        except OSError as error:
            raise CliError(f"--output {output}: {error.strerror or error}") from None
        typer.echo(f"{len(letter.body):,} bytes written to {output}", err=True)


@app.command("replay")
def replay(
    sequences: Annotated[
        list[int] | None, typer.Argument(metavar="ID", help="Sequence numbers.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    destination: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where to deliver letters that do not say where they failed; a letter that does "
            "goes there.",
        ),
    ] = None,
    gateway: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where the cluster's gateway for internal names answers, for letters of a cluster"
            " (kubectl port-forward).",
        ),
    ] = None,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    json_lines: JsonLines = False,
) -> None:
    """Deliver dead letters again, to the subscriber that failed.

    The original event is posted under its id, so nothing is applied twice. A letter is removed
    once the subscriber answers 2xx. A function also answers 2xx if it fails again and has stored
    the event as a new letter: those are counted at the end. Cluster names are resolved by the
    running instance, or by the cluster's gateway.

    Examples:

      kandle dlq replay 17 18

      kandle dlq replay --all

      kandle dlq replay 17 --destination http://127.0.0.1:41001

      kandle dlq replay --all --gateway http://127.0.0.1:8081   # docs/runbook.md
    """
    if bool(sequences) == every:
        raise typer.BadParameter("give the IDs of dead letters, or --all")
    import httpx

    addresses = {} if gateway else _addresses(data_dir)  # local host names are the cluster's

    async def deliver(letters: DeadLetters) -> tuple[list[int], int, list[DeadLetter]]:
        newest = await _newest(letters)
        answered: list[int] = []
        failed = 0
        timeout = httpx.Timeout(DELIVERY_TIMEOUT_S, connect=5.0)
        async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
            async for letter in _chosen(letters, sequences):
                where, problem = await _deliver(client, letter, destination, addresses, gateway)
                event_id = letter.attributes.get("id", "")
                name = f"{letter.sequence} {event_id}"
                if problem is None:
                    await letters.delete(letter.sequence)
                    answered.append(letter.sequence)
                    text = f"{name}: answered 2xx by {where}"
                else:
                    failed += 1
                    text = f"{name}: kept: {problem}"
                told = {"sequence": letter.sequence, "id": event_id, "problem": problem}
                result.show(text, as_json=json_lines, **told)
        return answered, failed, await _came_back(letters, newest, answered)

    answered, failed, returned = _with_stream(nats_url, data_dir, deliver)
    for letter in returned:
        replayed = letter.attributes[REPLAYED]
        reason = one_line(letter.error, 120) or "it does not say why"
        text = f"{replayed} failed again and is now letter {letter.sequence}: {reason}"
        told = {"sequence": int(replayed), "came_back_as": letter.sequence, "problem": reason}
        result.show(text, as_json=json_lines, **told)
    if not json_lines:
        typer.echo(f"{len(answered):,} answered 2xx and removed, {failed:,} failed and kept")
    if returned and not json_lines:
        typer.echo(f"{len(returned):,} of those answered 2xx came back as new letters")
    if failed or returned:
        raise typer.Exit(1)


async def _newest(letters: DeadLetters) -> int:
    """Return the highest letter number ever assigned."""
    return state.last_seq if (state := await letters.state()) else 0


async def _came_back(
    letters: DeadLetters, newest: int, replayed: Collection[int]
) -> list[DeadLetter]:
    """Return the letters after `newest` that are replays of these: they failed again.

    A function stores such a letter before it answers.
    """
    numbers = {str(each) for each in replayed}
    behind = range(newest + 1, await _newest(letters) + 1)
    newer = [await letters.get(sequence) for sequence in behind]
    return [each for each in newer if each and each.attributes.get(REPLAYED) in numbers]


def resolve(url: str, addresses: dict[str, str], gateway: str | None = None) -> str:
    """Return the local URL of a cluster address, or the gateway's; other addresses are unchanged.

    Raises ValueError: a cluster name that this instance does not know.
    """
    parts = urlsplit(url)
    is_of_cluster = (parts.hostname or "").endswith((".svc", ".svc.cluster.local"))
    local = addresses.get(parts.hostname or "", gateway if is_of_cluster else None)
    if local is not None:
        query = f"?{parts.query}" if parts.query else ""
        return f"{local.rstrip('/')}{parts.path}{query}"
    if is_of_cluster:
        raise ValueError(
            f"{parts.hostname} does not run here; is the instance up? (In a cluster: --gateway)"
        )
    return url


async def _deliver(
    client: httpx.AsyncClient,
    letter: DeadLetter,
    destination: str | None,
    addresses: dict[str, str],
    gateway: str | None,
) -> tuple[str, str | None]:
    """Post the original event; return where it went, and the reason of a failure or None."""
    import httpx

    where = target = letter.destination or destination or ""
    if not target:
        return where, "it does not say where it failed; give --destination"
    try:
        url = resolve(target, addresses, gateway)
        if url != target:
            where = f"{target} at {url}"
        headers = {**letter.original_headers(), "host": urlsplit(target).netloc}
        response = await client.post(
            url,
            content=letter.body,
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        )
    except ValueError as error:
        return where, str(error)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return where, f"{where}: {error or type(error).__name__}"
    if response.is_success:
        return where, None
    return where, f"{where} answered {response.status_code}: {one_line(response.text, 120)}"


async def _chosen(letters: DeadLetters, sequences: list[int] | None) -> AsyncIterator[DeadLetter]:
    if sequences:
        for sequence in dict.fromkeys(sequences):
            yield await _needed(letters, sequence)
    else:
        async for letter in letters.list(ALL):
            yield letter


async def _needed(letters: DeadLetters, sequence: int) -> DeadLetter:
    if (letter := await letters.get(sequence)) is None:
        raise CliError(f"there is no dead letter {sequence}; see `kandle dlq list`")
    return letter


def _addresses(data_dir: Path) -> dict[str, str]:
    try:
        return Instance.load(data_dir).addresses
    except NotRunningError:  # NATS may be remote; cluster names are then refused
        return {}


def _with_stream(
    nats_url: str | None, data_dir: Path, use: Callable[[DeadLetters], Awaitable[Result]]
) -> Result:
    """Run `use` with the stream of dead letters. Raises CliError: NATS is unreachable."""
    from shared.runtime.dead_letters import DeadLetters

    url = address(nats_url, "NATS_URL", data_dir)

    async def run() -> Result:
        async with _jetstream(url) as jetstream:
            return await use(DeadLetters(jetstream))

    try:
        return asyncio.run(run())
    except TransientError as error:
        raise CliError(str(error)) from None


@asynccontextmanager
async def _jetstream(url: str) -> AsyncIterator[JetStreamContext]:
    import nats
    import nats.errors

    from shared.runtime.jetstream import credentials

    errors: list[Exception] = []

    async def note(error: Exception) -> None:
        errors.append(error)  # nats-py would log it and raise an error without a reason

    host = url.rpartition("@")[2].removeprefix("nats://")  # without user and password
    try:
        connection = await nats.connect(
            url,
            **credentials(url),
            connect_timeout=5,
            allow_reconnect=False,
            max_reconnect_attempts=1,  # attempts of the first connection; 0 would be endless
            reconnect_time_wait=0.2,
            error_cb=note,
        )
    except (nats.errors.Error, OSError, ValueError) as error:
        cause = errors[-1] if errors else error
        reason = str(cause) or type(cause).__name__
        raise CliError(f"cannot reach NATS at {host}: {reason}; is the instance up?") from None
    try:
        yield connection.jetstream()
    finally:
        await connection.close()


def _print(letters: list[DeadLetter]) -> None:
    from local.cli.output.display import print_table

    rows = (
        (
            *(str(each.sequence), stored(each)),
            *(each.attributes.get("type", ""), each.attributes.get("id", "")),
            *(each.destination or "", str(each.code or ""), one_line(each.error, 60)),
        )
        for each in letters
    )
    print_table(
        ("id", "stored (UTC)", "type", "event id", "destination", "code", "error"),
        (tuple(map(printable, row)) for row in rows),
        right=("id",),
        drops=("type", "event id", "destination", "stored (UTC)"),
        prose=("error",),
    )
