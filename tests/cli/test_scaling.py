"""Elastic plans and their curve, from the command line to a real series file and real processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.test_schemas import check

AT = "2026-03-28T22:00Z"
ASK = ("plan", "--zone", "GB", "--series", "grid.csv", "--at", AT, "--duration", "3h", "--finish-by", "2026-03-29T04:00Z")
CURVE = ("--scaling", "1=1,2=1.5")


@pytest.fixture(autouse=True)
def grid(corner: Path) -> None:
    rows = [
        f"2026-03-{day}T{hour:02}:00Z,{value}"
        for day, hour, value in zip((28, 28, 29, 29, 29, 29), (22, 23, 0, 1, 2, 3), (300, 100, 150, 50, 300, 300), strict=True)
    ]
    (corner / "grid.csv").write_text("\n".join(["start_utc,g_per_kwh", *rows]) + "\n", encoding="utf-8")


def test_a_plan_says_how_many_workers_run_when_and_what_fixed_numbers_cost(cli: Cli) -> None:
    result = cli(*ASK, *CURVE)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == "Run 1 to 2 workers, start Sun 29 Mar 2026 00:00 CET (Sat 28 Mar 23:00 UTC), saves about 50 %"
    words = [" ".join(line.split()) for line in lines]
    assert "chosen Sun 00:00 CET (Sat 23:00 UTC) 01:30 1 79 50 %" in words
    assert any(line.startswith("suspend and resume, 2 workers") for line in words)
    assert "job 3 h with 1 worker, done by Sun 29 Mar 2026 06:00 CEST (04:00 UTC)" in words


def test_its_document_has_workers_and_keeps_to_the_schema(cli: Cli) -> None:
    document = json.loads(cli(*ASK, *CURVE, "--worker-w", "300", "--json").out)
    check(document, "plan")
    assert [window["workers"] for window in document["windows"]] == [1, 2]
    assert document["elastic"]["power_w"] == 300
    assert min(row["cost_g_per_kw"] for row in document["elastic"]["fixed"]) > 300 * (1 - 0.46)


def test_a_job_too_long_for_one_worker_is_planned_over_two(cli: Cli) -> None:
    asked = [*ASK[:-3], "8h", *ASK[-2:]]
    document = json.loads(cli(*asked, *CURVE, "--json").out)
    assert document["elastic"]["reference_workers"] == 2
    assert cli(*ASK[:-3], "10h", *ASK[-2:], *CURVE).code == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--policy", "elastic"), "error: the elastic policy needs a scaling curve"),
        (("--scaling", "1=1,2=1.2,4=3"), "error: the step from 2 to 4 workers adds 0.9 of throughput per worker"),
        (("--scaling", "1=1,2"), "error: a scaling curve is written WORKERS=THROUGHPUT, not '2'"),
        (("--scaling", "nowhere.json"), "error: a scaling curve is written WORKERS=THROUGHPUT, not 'nowhere.json'"),
        (("--scaling", "grid.csv"), "error: grid.csv is no JSON file"),
        (("--scaling", "."), "error: . cannot be read"),
        ((*CURVE, "--policy", "greenest"), "error: the policy greenest runs one number of workers"),
        (("--worker-w", "100"), "error: --worker-w describes a scaling curve, and there is none"),
        ((*CURVE, "--resume-cost", "6m"), "error: the elastic policy charges no resume cost"),
        ((*CURVE, "--beside"), "error: --beside weighs a run of constant load"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(cli: Cli, words: tuple[str, ...], sentence: str) -> None:
    result = cli(*ASK, *words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(sentence)


def test_the_hull_is_taken_when_asked(cli: Cli) -> None:
    document = json.loads(cli(*ASK, "--scaling", "1=1,2=1.2,4=3", "--hull", "--json").out)
    assert [point["workers"] for point in document["elastic"]["curve"]] == [1, 4]


def test_run_cannot_obey_and_says_so(cli: Cli) -> None:
    result = cli("run", "--policy", "elastic", "--duration", "1h", "--series", "grid.csv", "--", "true")
    assert result.code == 2
    assert "error: greenai run cannot change how many workers a running command has" in result.err


def test_on_forty_columns_no_word_is_broken(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    for words in ((), CURVE):
        result = cli(*ASK, *words)
        said = [line for line in result.out.splitlines() if "│" not in line and "┼" not in line]
        assert max(map(len, said)) <= 40
        assert any(line.startswith("  start  Sun ") for line in said)
        known = cli(*ASK, *words, "--json")
        assert known.code == 0
        monkeypatch.delenv("COLUMNS")
        wide = set(cli(*ASK, *words).out.split())
        monkeypatch.setenv("COLUMNS", "40")
        assert {word for line in said for word in line.split()} <= wide | {"workers", "start", "end", "g/kWh", "saving", "done"}


def test_a_profile_is_measured_kept_and_planned_with(cli: Cli, corner: Path) -> None:
    result = cli(
        "profile-scaling", "--workers", "2,1", "--repeat", "2", "--out", "s.json", "--json", "--", "sleep", "0.0{workers}"
    )
    assert result.code == 0, result.err
    document = json.loads(result.out)
    check(document, "profile_scaling")
    assert [run["workers"] for run in document["runs"]] == [1, 2, 1, 2]
    assert json.loads((corner / "s.json").read_text(encoding="utf-8")) == document
    assert cli(*ASK, "--scaling", "s.json", "--hull").code == 0


def test_a_profile_is_shown_with_its_spread(cli: Cli) -> None:
    result = cli("profile-scaling", "--workers", "1,2", "--repeat", "1", "--work-units", "5", "--", "sh", "-c", "echo {workers}")
    assert result.code == 0, result.err
    assert "kept in scaling.json" in result.out.splitlines()[0]
    assert "unknown of one run: --repeat 3 shows it" in result.out
    assert "\n1\n" in f"\n{result.err}"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "error: profile-scaling needs a command"),
        (("--", "true"), "error: the command does not say where the number of workers goes: no {workers} in it"),
        (("--", "false", "{workers}"), "error: the command ended with exit code 1 where {workers} was 1"),
        (("--", "no-such-program", "{workers}"), "error: the command 'no-such-program' is not found"),
        (("--workers", "0,1", "--", "true", "{workers}"), "error: workers and repeats are counted from 1"),
        (("--workers", "one", "--", "true", "{workers}"), "error: workers are written like 1,2,4, not 'one'"),
        (("--out", "grid.csv/x.json", "--", "true", "{workers}"), "error: grid.csv/x.json cannot be written"),
    ],
)
def test_what_cannot_be_profiled_is_one_sentence(cli: Cli, corner: Path, words: tuple[str, ...], sentence: str) -> None:
    result = cli("profile-scaling", *words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(sentence)
    assert not (corner / "scaling.json").exists()


def test_the_number_is_an_argument_and_never_a_shells(cli: Cli, corner: Path) -> None:
    assert cli("profile-scaling", "--workers", "1", "--repeat", "1", "--", "echo", "{workers};", "touch", "made").code == 0
    assert not (corner / "made").exists()


def test_ctrl_c_ends_it_and_the_command(corner: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "greenai.cli",
        "profile-scaling",
        "--workers",
        "1",
        "--",
        "sh",
        "-c",
        "echo up; exec sleep 60 #{workers}",
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline() == "up\n"
    began_s = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "error: interrupted\n")
    assert time.monotonic() - began_s < 50
    assert not (corner / "scaling.json").exists()
