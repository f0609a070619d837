"""The real program choosing a place: a live grid, typical days and a yearly mean in one comparison, nothing mislabelled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.test_schemas import check

from greenai.testing.grid import FakeGrid

PLAN = ("plan", "--zone", "GB", "--duration", "1h", "--finish-by", "6h")


def greenai(here: Path, environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GREENAI_", "XDG_"))}
    return subprocess.run(
        [sys.executable, "-m", "greenai.cli", *words],
        env={**clean, "TZ": "UTC", "XDG_CONFIG_HOME": str(here), "GREENAI_HOME": str(here / "home"), **environ},
        cwd=here,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def environ() -> dict[str, str]:
    """No service but those a test starts: each address is one nobody answers at."""
    nowhere = "http://127.0.0.1:9"
    services = ("uk", "electricitymaps", "energycharts", "eia", "energidataservice", "openelectricity", "watttime")
    return {**{f"GREENAI_{name.upper()}_URL": nowhere for name in services}, "GREENAI_HTTP_TIMEOUT_S": "3"}


def test_live_typical_and_yearly_stand_in_one_table_each_by_its_name(tmp_path: Path, environ: dict[str, str]) -> None:
    with FakeGrid() as grid:
        environ["GREENAI_UK_URL"] = grid.url
        done = greenai(
            tmp_path, environ, *PLAN, "--json", "--places", "aws:eu-west-2,aws:ap-south-1,aws:us-east-1", "--data-gb", "1"
        )
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        check(document, "places")
        found = {place["name"]: place for place in document["places"]}
        assert {name: place["step"] for name, place in found.items()} == {
            "GB": "live",
            "aws:eu-west-2": "live",
            "aws:us-east-1": "climatology",
            "aws:ap-south-1": "annual",
        }
        assert "a flat yearly mean of the whole of IN" in found["aws:ap-south-1"]["flags"]
        assert found["aws:eu-west-2"]["fallback_reason"] is None
        words = greenai(tmp_path, environ, *PLAN, "--places", "aws:eu-west-2,aws:ap-south-1")
        assert words.returncode == 0, words.stderr
        assert "average, lifecycle, annual" in words.stdout


def test_only_live_answers_are_chosen_where_only_those_are_wanted(tmp_path: Path, environ: dict[str, str]) -> None:
    with FakeGrid() as grid:
        environ["GREENAI_UK_URL"] = grid.url
        done = greenai(tmp_path, environ, *PLAN, "--json", "--require", "live", "--places", "aws:eu-north-1")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["chosen"] == "GB"
        assert "no live source" in document["places"][1]["refused"][0]


def test_a_wrong_name_is_one_sentence_with_the_nearest(tmp_path: Path, environ: dict[str, str]) -> None:
    done = greenai(tmp_path, environ, *PLAN, "--places", "aws:eu-wset-2")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no place 'aws:eu-wset-2'\nhint: did you mean aws:eu-west-2")
