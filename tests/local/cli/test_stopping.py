"""Signals that end a command: between lines, and within one."""

from __future__ import annotations

import signal

import pytest

from local.cli.run.stopping import left_on_signals


@pytest.mark.parametrize(
    ("signals", "written"), [(1, ["begin", "end"]), (2, ["begin"])], ids=["first", "second"]
)
def test_a_signal_lets_a_line_end_and_a_second_does_not(signals: int, written: list[str]) -> None:
    """The first signal within a line ends the command after it; a second ends it at once."""
    lines: list[str] = []
    before = signal.getsignal(signal.SIGINT)
    with left_on_signals() as whole:
        with whole():
            lines.append("begin")
            for _ in range(signals):
                signal.raise_signal(signal.SIGINT)
            lines.append("end")
        lines.append("the next")
    assert lines == written
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_between_lines_ends_at_once() -> None:
    """Outside a line the first signal leaves the block."""
    with left_on_signals():
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("the block goes on")
