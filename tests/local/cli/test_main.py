from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from local.cli.app import MODULES, command_line
from tests.local.cli.running import REPOSITORY

pytestmark = pytest.mark.processes

INTERRUPTED_LOADING = """
import os, signal, sys
from local.cli.main import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever started the tests ignores it

class Interrupts:
    def find_spec(self, name, *_):
        if name == "local.cli.app":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
main()
"""
LOADED = """
import sys
from local.cli.app import command_line
command_line({words})
print(*sys.modules, sep="\\n")
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_interrupt_while_it_loads_is_quiet() -> None:
    """An interrupt during loading exits with 130 and no traceback."""
    done = python(INTERRUPTED_LOADING)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_commands_load_no_store_clients() -> None:
    """Loading all commands loads no client of the stores or of HTTP, which are slow to load."""
    loaded = set(python(LOADED.format(words=[])).stdout.split())
    assert {f"local.cli.commands.{module}" for module in MODULES.values()} <= loaded
    assert not loaded & {"httpx", "nats", "psycopg", "aiohttp", "stamina", "rich.progress"}


def test_a_command_loads_no_other_command() -> None:
    """A command loads no other command, nor NumPy if it computes nothing."""
    loaded = set(python(LOADED.format(words=["env"])).stdout.split())
    others = {f"local.cli.commands.{module}" for module in MODULES.values()} - {
        "local.cli.commands.env"
    }
    assert "local.cli.commands.env" in loaded
    assert not loaded & {"numpy", *others}


def test_every_command_is_found_by_its_name() -> None:
    """Each command is found by name, among all and when it alone is loaded."""
    assert group_of().keys() == MODULES.keys()
    assert all(name in group_of(name) for name in MODULES)


def group_of(*words: str) -> dict[str, object]:
    """Commands that are loaded for these words, by name."""
    group = typer.main.get_command(command_line(words))
    assert isinstance(group, TyperGroup)
    return {**group.commands}


def test_text_like_an_emoji_is_unchanged() -> None:
    """Text like an emoji's name, which an error may quote, is unchanged."""
    code = (
        "import local.cli.app as a; from local.cli.main import main; "
        "from local.errors import UsageError\n"
        "def fail(): raise UsageError('[a] :warning: :100:')\n"
        "a.command_line = lambda words: fail; main()"
    )
    done = python(code)
    assert (done.returncode, done.stderr) == (2, "kandle: [a] :warning: :100:\n")


def test_every_command_has_a_json_option() -> None:
    """Each command has `--json`, whether it shows, changes or runs something."""
    group = typer.main.get_command(command_line())
    assert isinstance(group, TyperGroup)
    found = dict(commands(group))
    assert {"up", "import", "dlq replay", "lake take-over"} <= found.keys()
    assert {name for name, options in found.items() if "--json" not in options} == set()


def commands(group: TyperGroup, before: str = "") -> Iterator[tuple[str, set[str]]]:
    """Yield each command by its full name, with its options."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", {option for each in command.params for option in each.opts}


@pytest.mark.parametrize(
    ("typed", "expected"), [("kandle cand", "candles"), ("kandle candles --cha", "--chart")]
)
def test_a_shell_completes_commands_and_options(typed: str, expected: str) -> None:
    """A shell completes commands and options by the installed script."""
    asked = {
        "_KANDLE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
    }
    done = CliRunner().invoke(command_line(), [], env=asked, prog_name="kandle")
    assert done.stdout.split() == [expected]
