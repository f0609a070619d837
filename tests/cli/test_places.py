"""`greenai plan --places` and `greenai regions` in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.test_schemas import check

TABLE = "region,UTC_hour,carbon_intensity_gco2_per_kwh\n" + "".join(
    f"{zone},{hour},{value + hour}\n"
    for zone, value in (("DE", 400), ("GB", 200), ("SE-SE3", 30), ("BE", 150))
    for hour in range(24)
)
PLACES = "aws:eu-west-2,aws:eu-north-1,gcp:europe-west1"
PLAN = ("plan", "--zone", "DE", "--duration", "2h", "--series", "table.csv", "--at", "2026-11-24T10:00Z")


@pytest.fixture(autouse=True)
def table(corner: Path) -> None:
    (corner / "table.csv").write_text(TABLE)


def test_the_answer_comes_first_then_each_place(cli: Cli) -> None:
    result = cli(*PLAN, "--places", PLACES, "--allow", "EU", "--data-gb", "50", "--power-kw", "3", "--restart-cost", "10m")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == "Run at aws:eu-north-1, start Wed 25 Nov 2026 01:00 CET (00:00 UTC)"
    assert lines[1].startswith("aws:eu-north-1 saves 9")
    ticked = [line for line in lines if line.strip().startswith("✓")]
    assert len(ticked) == 1
    assert "aws:eu-north-1" in ticked[0]
    assert "14 h" in ticked[0]
    assert "aws:eu-west-2 cannot be chosen: GB is not allowed (EU)" in result.out
    assert "PUE not stated, 1 taken" in result.out
    assert "50 GB at 0.001 kWh/GB (0.001 to 0.06)" in result.out
    assert "restart  10 min" in result.out
    assert "DE (command line)" in result.out


def test_as_json_it_keeps_to_its_schema(cli: Cli) -> None:
    result = cli(*PLAN, "--places", f"{PLACES},aws:ap-south-1", "--json", "--data-gb", "50")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    check(document, "places")
    assert document["chosen"] == "aws:eu-north-1"
    assert document["places"][-1]["refused"]


def test_staying_home_is_said(cli: Cli) -> None:
    result = cli(*PLAN, "--places", "aws:eu-central-1,aws:ap-south-1", "--home", "SE-SE3", "-v", "--policy", "asap")
    assert result.out.startswith("Stay at SE-SE3, now\nstaying home is best, started at once")
    assert "aws:ap-south-1 cannot be chosen: nothing is known of the grid of IN-WE" in result.out
    assert "1 kW; assumed, set it with --power-kw" in result.out


def test_on_a_narrow_screen_no_word_is_broken(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    lines = cli(*PLAN, "--places", PLACES).out.splitlines()
    assert "✓ aws:eu-north-1" in lines
    assert {"  aws:eu-west-2", "  DE (home)", "  zone  SE-SE3"} <= set(lines)


def test_money_and_water_are_columns(cli: Cli, corner: Path) -> None:
    (corner / "own.csv").write_text("name,zone,pue,wue,price_per_hour,currency\ncellar,GB,1.2,0.5,1.5,EUR\n")
    result = cli(*PLAN, "--places-file", "own.csv")
    assert "3.00 EUR" in result.out
    assert "1.0" in next(line for line in result.out.splitlines() if "cellar" in line and "GB" in line)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--places", "aws:eu-wset-2"], 2, "did you mean aws:eu-west-2"),
        (["--data-gb", "5"], 2, "--data-gb is about choosing a place"),
        (["--within-km", "0"], 2, "--within-km is about choosing a place"),
        (["--places", PLACES, "--within-km", "0"], 2, "add --near LAT,LON"),
        (["--places", PLACES, "--allow", "JP"], 3, "no place can be chosen"),
        (["--places", PLACES, "--power-kw", "0"], 2, "power-kw"),
        (["--places-file", "nowhere.toml"], 2, "there is no file"),
    ],
)
def test_wrong_words_get_one_sentence_and_a_code(cli: Cli, words: list[str], code: int, said: str) -> None:
    result = cli(*PLAN, *words)
    assert (result.code, result.out) == (code, "")
    assert said in result.err
    assert len(result.err.splitlines()) <= 2


def test_regions_in_words_and_as_json(cli: Cli) -> None:
    words = cli("regions", "--cloud", "aws", "--near", "52.5,13.4", "--allow", "EU")
    assert words.code == 0, words.err
    lines = words.out.splitlines()
    assert "aws:eu-central-1" in lines[1]
    assert "422" in lines[1]
    assert "eu-west-2" not in words.out
    document = json.loads(cli("regions", "--json", "--near", "52.5,13.4").out)
    check(document, "regions")
    assert len(document) == 158
    check(json.loads(cli("regions", "--json").out), "regions")
    assert cli("regions", "--near", "0,0", "--within-km", "1").out == "No region keeps these limits\n"


def test_both_helps_show_an_example(cli: Cli) -> None:
    assert "greenai regions --cloud aws --near 52.5,13.4 --allow EU" in cli("regions", "--help").out
    assert "--places" in cli("plan", "--help").out
