"""The prototype's commands in a clean corner, with its hour-of-day table and a fake of the UK service."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.conftest import Cli, Result, cli, corner

from greenai.testing.grid import FakeGrid

__all__ = ["Cli", "Result", "cli", "corner"]

ROOT = Path(__file__).parents[2]
CSV = ("--ci", "csv", "--ci-csv", "metaData.csv")
SMALL = ("--sample", "diabetes")


def rows_of(path: str = "artifacts/evidence.csv") -> list[dict[str, str]]:
    """The rows of an evidence.csv."""
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def entries_of(path: str) -> list[dict[str, Any]]:
    """The entries of a decision log."""
    found: list[dict[str, Any]] = json.loads(Path(path).read_text(encoding="utf-8"))
    return found


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing outside: the UK service answers nowhere unless a test starts one."""
    monkeypatch.setenv("GREENAI_UK_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GREENAI_HTTP_TIMEOUT_S", "2")


@pytest.fixture
def table(corner: Path) -> Path:
    """examples/metaData.csv, where the commands run."""
    return Path(shutil.copy(ROOT / "examples" / "metaData.csv", corner / "metaData.csv"))


@pytest.fixture
def grid(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGrid]:
    """The UK service on loopback."""
    with FakeGrid() as service:
        monkeypatch.setenv("GREENAI_UK_URL", service.url)
        monkeypatch.setenv("GREENAI_HTTP_TIMEOUT_S", "60")  # a busy machine must not look like a dead service
        yield service


Write = Callable[..., Path]


@pytest.fixture
def write_table(corner: Path) -> Write:
    """Write a table of numbers and text with gaps, an id column, and maybe a target."""

    def write(
        name: str, rows: int, *, target: str | None = "GreenScore", id_column: str | None = "example_id", seed: int = 1
    ) -> Path:
        rng = np.random.default_rng(seed)
        a, b = rng.normal(size=rows), rng.normal(size=rows)
        towns = rng.choice(["north", "south", "east"], size=rows)
        y = 2 * a + b * b + (towns == "north") + rng.normal(scale=0.3, size=rows)
        path = corner / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*([id_column] if id_column else []), "a", "b", "town", *([target] if target else [])])
            for place in range(rows):
                cells: list[Any] = [a[place], "" if place % 17 == 0 else b[place], towns[place]]
                first = [f"{place:04d}"] if id_column else []
                writer.writerow([*first, *cells, *([y[place]] if target else [])])
        return path

    return write
