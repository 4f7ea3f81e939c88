from __future__ import annotations

import stat
from dataclasses import astuple
from pathlib import Path

import pytest

from local.errors import StartError
from local.servers.credentials import Credentials


def test_credentials_are_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    """Credentials are created once, in a file of mode 0600, and differ between directories."""
    file = tmp_path / "credentials.json"
    made = Credentials.keep(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Credentials.keep(file) == made
    other = Credentials.keep(tmp_path / "other.json")
    assert not set(astuple(made)) & set(astuple(other))


def test_credentials_hide_in_repr(tmp_path: Path) -> None:
    """The `repr` of credentials has no secret."""
    made = Credentials.keep(tmp_path / "credentials.json")
    assert not [each for each in astuple(made) if each in repr(made)]


def test_a_damaged_file_is_never_replaced(tmp_path: Path) -> None:
    """A damaged file is an error: new passwords would lock the database."""
    file = tmp_path / "credentials.json"
    file.write_text('{"nats_password": "x"}')
    with pytest.raises(StartError, match=r"credentials\.json"):
        Credentials.keep(file)
    assert file.read_text() == '{"nats_password": "x"}'
