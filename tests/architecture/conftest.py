"""The source tree as the architecture tests read it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "greenai"


@dataclass(frozen=True, kw_only=True)
class Module:
    """One source file: its place under src/greenai and its syntax tree."""

    path: Path

    @property
    def place(self) -> str:
        """Where it stands, "logic/placing.py"."""
        return self.path.relative_to(SOURCE).as_posix()

    @property
    def room(self) -> str:
        """The room it belongs to, "logic"."""
        return self.place.split("/", 1)[0].removesuffix(".py")

    @property
    def dotted(self) -> str:
        """Its import name."""
        return "greenai." + self.place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.path.read_text(encoding="utf-8"))

    def calls(self) -> Iterator[tuple[int, str]]:
        """Line and dotted name of every call by name: (12, "datetime.now")."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node.lineno, ast.unparse(node.func)


ALL = tuple(Module(path=path) for path in sorted(SOURCE.rglob("*.py")))


@pytest.fixture(scope="session")
def modules() -> tuple[Module, ...]:
    """Every module of the package."""
    return ALL


@pytest.fixture(params=ALL, ids=lambda module: module.place)
def module(request: pytest.FixtureRequest) -> Module:
    """Each module of the package in turn."""
    found: Module = request.param
    return found
