"""The files of a report, of a real ledger: complete, linked to their records, asking nothing of the network."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Cli

PYTHON = ("--", sys.executable, "-c", "sum(range(10**6))")


@pytest.fixture
def ledger(cli: Cli) -> Cli:
    """One run of a command, priced by a constant."""
    Path("greenai.toml").write_text("", encoding="utf-8")
    Path("m.csv").write_text(
        "region,UTC_hour,carbon_intensity_gco2_per_kwh\n" + "\n".join(f"GB,{hour},200" for hour in range(24)), encoding="utf-8"
    )
    assert cli("run", "--zone", "GB", "--series", "m.csv", "--label", "notes=<b>&|", *PYTHON).code == 0
    return cli


def test_an_empty_ledger_is_said_to_be_empty(cli: Cli):
    done = cli("report")
    assert done.code == 2
    assert "no evidence to report on" in done.err


def test_without_an_experiment_the_rest_is_written(ledger: Cli):
    done = ledger("report", "--out", "r", "--json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert set(answer["left_out"]) == {"impact_math.csv", "energy_co2_bars.png"}
    assert {Path(path).name for path in answer["files"]} == {"FOOTPRINT.md", "data_card.md", "model_card.md", "report.html"}


def test_every_file_names_the_record(ledger: Cli):
    ledger("report", "--out", "r")
    shown = json.loads(ledger("evidence", "show", "--json").out)
    for name in ("FOOTPRINT.md", "report.html"):
        text = Path("r", name).read_text(encoding="utf-8")
        assert shown["run_id"] in text
        assert shown["sha256"][:12] in text


def test_the_page_asks_nothing_of_the_network_and_draws_forecast_and_trace(ledger: Cli):
    ledger("report", "--out", "r")
    page = Path("r", "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "default-src 'none'" in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)[^"']+""", re.sub(r'xmlns(:\w+)?="[^"]+"', "", page))
    assert not re.findall(r"url\((?!#)", page)


def test_a_damaged_ledger_is_said_so_in_every_file(ledger: Cli):
    home = Path("..", "home")
    body = (home / "ledger.jsonl").read_bytes()
    (home / "ledger.jsonl").write_bytes(body.replace(b'"exit_code":0', b'"exit_code":1', 1))
    done = ledger("report", "--out", "r")
    assert done.code == 5
    for name in ("FOOTPRINT.md", "data_card.md", "report.html"):
        assert "does not verify" in Path("r", name).read_text(encoding="utf-8")


def test_unknown_experiments_and_scenarios_are_refused(ledger: Cli):
    assert "0 experiments begin with 'x'" in ledger("report", "--experiment", "x").err
    assert ledger("report", "--runs-per-year", "1,2").code == 2
