"""The bar for long work: there on a terminal from when work is told of, gone when it is done."""

from __future__ import annotations

import sys

import pytest

from greenai.cli.bar import progress
from greenai.cli.command import Session


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)


def test_it_shows_what_is_told_and_is_wiped_away(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    on_a_terminal(monkeypatch)
    with progress(Session()) as tell:
        tell("reading the past of GB", 1, 4)
        tell("reading the past of GB", 2, 4)
    drawn = capsys.readouterr()
    assert "reading the past of GB" in drawn.err
    assert "50%" in drawn.err
    assert drawn.err.endswith("\x1b[2K")
    assert drawn.out == ""


def test_quick_work_shows_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    on_a_terminal(monkeypatch)
    with progress(Session()):
        pass
    assert capsys.readouterr().err == ""


def test_quiet_shows_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    on_a_terminal(monkeypatch)
    with progress(Session(quiet=True)) as tell:
        tell("reading the past of GB", 1, 4)
    assert capsys.readouterr().err == ""


def test_elsewhere_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(Session()) as tell:
        tell("reading the past of GB", 1, 4)
    assert capsys.readouterr().err == ""
