"""`kandle patterns --watch`: each pattern is printed once, with bounded memory."""

from __future__ import annotations

from local.cli.commands.patterns import REMEMBERED, Printed, unprinted


def test_a_long_watch_prints_each_pattern_once_and_forgets_the_oldest() -> None:
    """A pattern that every answer has is printed once, however many others come and go."""
    printed: Printed = {}
    stays = {"id": "stays", "revision": 1}
    assert unprinted([stays], printed) == [stays]
    for first in range(0, 5 * REMEMBERED, 100):
        new = [{"id": str(n), "revision": 1} for n in range(first, first + 100)]
        assert unprinted([stays, *new], printed) == new
    assert len(printed) == REMEMBERED
    again = {"id": "stays", "revision": 2}
    assert unprinted([again, stays], printed) == [again]
