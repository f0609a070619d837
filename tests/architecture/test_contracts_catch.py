"""Each import contract is seen to catch a violation planted in a copy of the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PLANTS: dict[str, dict[str, str]] = {
    "rooms": {"model/units.py": "import greenai.config"},
    "pure": {"logic/planted.py": "import random"},
    "doors-think-not": {"adapters/planted.py": "import greenai.logic.planted", "logic/planted.py": ""},
    "blind-doors": {"adapters/planted.py": "import greenai.adapters.other", "adapters/other.py": ""},
    "blind-providers": {
        "adapters/providers/planted.py": "import greenai.adapters.providers.other",
        "adapters/providers/other.py": "",
    },
    "blind-meters": {"adapters/meters/planted.py": "import greenai.adapters.meters.other", "adapters/meters/other.py": ""},
    "one-network-door": {"adapters/planted.py": "import httpx"},
    "one-database-door": {"adapters/planted.py": "import sqlite3"},
    "words": {"engine/planted.py": "import click"},
    "no-cycles": {"logic/planted.py": "import greenai.logic.other", "logic/other.py": "import greenai.logic.planted"},
}
"""By contract: what to write where under src/greenai to break it (appended where the file exists)."""


def contracts() -> dict[str, str]:
    """Name of each contract by its id."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["id"]: contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]}


def planted_copy(place: Path, plant: dict[str, str]) -> Path:
    """A copy of the source and its contracts with the plant in it."""
    shutil.copytree(ROOT / "src", place / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)
    for name, text in plant.items():
        file = place / "src" / "greenai" / name
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        file.write_text(f"{before}\n{text}\n", encoding="utf-8")
    return place


def lint(place: Path, contract: str) -> subprocess.CompletedProcess[str]:
    """lint-imports over the copy, one contract."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache", "--contract", contract]
    environment = os.environ | {"PYTHONPATH": str(place / "src"), "COLUMNS": "400", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


def test_every_contract_has_a_plant():
    assert set(PLANTS) == set(contracts())


@pytest.mark.parametrize("contract", PLANTS)
def test_a_planted_violation_is_caught(contract, tmp_path):
    run = lint(planted_copy(tmp_path, PLANTS[contract]), contract)
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"{contracts()[contract]} BROKEN" in run.stdout


def test_a_room_nobody_placed_is_caught(tmp_path):
    run = lint(planted_copy(tmp_path, {"stray.py": ""}), "rooms")
    assert run.returncode == 1
    assert "greenai.stray" in run.stdout + run.stderr
