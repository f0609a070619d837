"""A command line in a clean corner: its own home, directory and time zone, colours off, no grid service."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from greenai.cli import main


@dataclass(frozen=True)
class Result:
    """What one command line did."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def corner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No setting, file or variable of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith(("GREENAI_", "XDG_", "_GREENAI")):
            monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "CLICOLOR_FORCE", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GREENAI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TZ", "Europe/Berlin")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """Run one command line in this process."""

    def run(*args: str) -> Result:
        capfd.readouterr()
        try:
            code = main(list(args))
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return run


class FakeApi(ModuleType):
    """Stands for greenai.api: returns what a test puts in, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__("greenai.api")
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def answers(self, name: str, answer: Any) -> None:
        """Let `name` return `answer`, raise it if it is an exception, or call it if it is a function."""

        def verb(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            if isinstance(answer, BaseException):
                raise answer
            return answer(*args, **kwargs) if callable(answer) else answer

        setattr(self, name, verb)

    @property
    def asked(self) -> dict[str, Any]:
        """The keyword arguments of the only call."""
        [(_, _, kwargs)] = self.calls
        return kwargs


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """A greenai.api without engine or doors."""
    import greenai

    fake = FakeApi()
    monkeypatch.setitem(sys.modules, "greenai.api", fake)
    monkeypatch.setattr(greenai, "api", fake, raising=False)
    return fake
