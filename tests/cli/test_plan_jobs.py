"""`greenai plan --jobs`: many jobs in words, as JSON and to a file; each mistake in the file named by line and column."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.test_schemas import check

TABLE = "region,UTC_hour,carbon_intensity_gco2_per_kwh\n" + "".join(
    f"{zone},{hour},{level + 10 * abs(hour - 3)}\n" for zone, level in (("DE", 300), ("GB", 200)) for hour in range(24)
)
JOBS = """id,duration,earliest,finish_by,gpus,cpus,memory,power_w,priority,interruptible,places
a,2h,,36h,1,4,16GB,500,,,
b,3h,2026-11-24T12:00Z,2026-11-26T12:00Z,1,8,8,500,2,yes,DE GB
c,45m,,20h,0,2,,100,,no,DE
"""
PLAN = ("plan", "--zone", "DE", "--series", "table.csv", "--at", "2026-11-24T10:00Z")
ROOM = ("--capacity", "gpus=1,cpus=16,memory=64", "--capacity", "GB:gpus=1,cpus=8,memory=32")


@pytest.fixture(autouse=True)
def files(corner: Path) -> None:
    (corner / "table.csv").write_text(TABLE)
    (corner / "jobs.csv").write_text(JOBS)


def test_the_answer_first_then_pictures_then_the_jobs_by_start(cli: Cli) -> None:
    result = cli(*PLAN, "--jobs", "jobs.csv", *ROOM)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].startswith("3 jobs, none late, saves about ")
    assert lines[2].startswith("  DE 1 gpus |")
    assert lines[3].startswith("  GB 1 gpus |")
    assert "CET (" in result.out
    assert {line.split()[0] for line in lines if " CET (" in line} == {"a", "b", "c"}
    assert "15 min; durations are rounded up to them" in result.out


def test_as_json_and_to_a_file_it_keeps_to_its_schema(cli: Cli, corner: Path) -> None:
    result = cli(*PLAN, "--jobs", "jobs.csv", *ROOM, "--json", "--out", "plan.json", "--power-cap-w", "600", "--slot", "30m")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    check(document, "plan_jobs")
    assert document == json.loads((corner / "plan.json").read_text())
    assert {job["id"] for job in document["jobs"]} == {"a", "b", "c"}
    assert document["expected_g"] <= document["at_once_g"]
    assert {window["place"] for job in document["jobs"] for window in job["windows"] if job["id"] == "c"} == {"DE"}


def test_a_json_file_of_jobs_says_the_same(cli: Cli, corner: Path) -> None:
    rows = [
        {"id": "a", "duration": "2h", "finish_by": "36h", "gpus": 1, "cpus": 4, "memory": 16, "power_w": 500},
        {"id": "b", "duration": "3h", "earliest": "2026-11-24T12:00Z", "finish_by": "2026-11-26T12:00Z", "gpus": 1, "cpus": 8,
         "memory": 8, "power_w": 500, "priority": 2, "interruptible": True, "places": ["DE", "GB"]},
        {"id": "c", "duration": "45m", "finish_by": "20h", "gpus": 0, "cpus": 2, "power_w": 100, "places": ["DE"],
         "priority": None},
    ]  # fmt: skip
    (corner / "jobs.json").write_text(json.dumps({"jobs": rows}))
    plain, other = (json.loads(cli(*PLAN, "--jobs", name, *ROOM, "--json").out) for name in ("jobs.csv", "jobs.json"))
    assert plain == other


def test_jobs_that_cannot_all_be_done_are_named(cli: Cli, corner: Path) -> None:
    (corner / "jobs.csv").write_text("id,duration,finish_by\nx,2h,3h\ny,2h,3h\nz,1h,48h\n")
    result = cli(*PLAN, "--jobs", "jobs.csv")
    assert result.code == 3
    assert result.out.startswith("1 of 3 jobs do not fit: ")
    assert "1 of 3 jobs cannot be done in time; these ask for more than there is: x, y" in result.err


def test_a_schedule_not_found_is_not_called_impossible(cli: Cli, corner: Path) -> None:
    (corner / "jobs.csv").write_text("id,duration,finish_by,cpus\nx,1h,2h,2\ny,1h,2h,2\nz,1h,2h,1.9\n")
    result = cli(*PLAN, "--jobs", "jobs.csv", "--capacity", "cpus=3", "--slot", "1h")
    assert result.code == 3
    assert "which proves nothing" in result.err


def test_a_long_table_is_cut_unless_asked(cli: Cli, corner: Path) -> None:
    rows = "".join(f"job{k:02},1h,48h\n" for k in range(40))
    (corner / "jobs.csv").write_text("id,duration,finish_by\n" + rows)
    assert "and 10 more; -v shows all" in cli(*PLAN, "--jobs", "jobs.csv", "--capacity", "units=3").out
    assert "job39" in cli(*PLAN, "--jobs", "jobs.csv", "--capacity", "units=3", "-v").out


def test_a_day_over_the_budget_is_said(cli: Cli) -> None:
    result = cli(*PLAN, "--jobs", "jobs.csv", *ROOM, "--carbon-budget", "50")
    assert result.code == 0
    assert "over the carbon budget: deadlines come first" in result.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,duration,colour\na,1h,red\n", "jobs.csv, line 1: there is no column 'colour'"),
        ("id\na\n", "jobs.csv, line 1: the column 'duration' is missing"),
        ("id,duration\n", "jobs.csv holds no job"),
        ("", "jobs.csv, line 1: the column 'id' is missing"),
        ("id,duration\na,1h\n\nb,45\n", "jobs.csv, line 4, column duration: the span '45' has no unit"),
        ("id,duration\na,1h,2\n", "jobs.csv, line 2: there are 3 values for 2 columns"),
        ("id,duration\n,1h\n", "jobs.csv, line 2, column id: it is empty"),
        ("id,duration,gpus\na,1h,two\n", "jobs.csv, line 2, column gpus: 'two' is not a number"),
        ("id,duration,gpus\na,1h,-2\n", "jobs.csv, line 2: job a: it cannot need -2.0 gpus"),
        ("id,duration,priority\na,1h,high\n", "jobs.csv, line 2, column priority: 'high' is not a number"),
        ("id,duration,interruptible\na,1h,perhaps\n", "jobs.csv, line 2, column interruptible: 'perhaps' is neither"),
        ("id,duration,finish_by\na,1h,soonish\n", "jobs.csv, line 2, column finish_by:"),
        ("id,duration,deadline\na,1h,soonish\n", "jobs.csv, line 2, column deadline:"),
        ("id,duration\na,1h\na,2h\n", "two jobs have the same name: a"),
        ("id,duration,places\na,1h,FR\n", "job a names a place that is not offered: FR"),
    ],
)
def test_each_mistake_is_one_sentence(cli: Cli, corner: Path, text: str, words: str) -> None:
    (corner / "jobs.csv").write_text(text)
    result = cli(*PLAN, "--jobs", "jobs.csv")
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[\n{"id": }]', "jobs.json, line 2: that is not JSON"),
        ('{"jobs": 3}', "a JSON file of jobs is a list"),
        ('[{"id": "a"}]', "jobs.json, job 1: the column 'duration' is missing"),
    ],
)
def test_a_json_mistake_too(cli: Cli, corner: Path, text: str, words: str) -> None:
    (corner / "jobs.json").write_text(text)
    result = cli(*PLAN, "--jobs", "jobs.json")
    assert result.code == 2
    assert words in result.err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--jobs", "none.csv"), 2, "none.csv"),
        (("--jobs", "jobs.csv", "--duration", "2h"), 2, "--duration is about one job"),
        (("--capacity", "gpus=2"), 2, "--capacity is about many jobs: add --jobs FILE"),
        (("--jobs", "jobs.csv", "--capacity", "gpus"), 2, "the capacity 'gpus' cannot be read"),
        (("--jobs", "jobs.csv", "--capacity", "=2"), 2, "the capacity '=2' cannot be read"),
        (("--jobs", "jobs.csv", *ROOM, "--slot", "10s"), 2, "too short"),
        (("--jobs", "jobs.csv", *ROOM, "--out", "no/such/place.json"), 5, "cannot be written to no/such/place.json"),
    ],
)
def test_options_that_cannot_be_meant(cli: Cli, options: tuple[str, ...], code: int, words: str) -> None:
    result = cli(*PLAN, *options)
    assert result.code == code
    assert words in result.err


def test_bytes_that_are_no_text_are_refused(cli: Cli, corner: Path) -> None:
    (corner / "jobs.csv").write_bytes(b"\xff\xfe\x00a")
    assert "is not UTF-8 text" in cli(*PLAN, "--jobs", "jobs.csv").err


def test_a_latest_start_is_a_deadline_and_the_default_is_a_day(cli: Cli, corner: Path) -> None:
    (corner / "jobs.csv").write_text("id,duration,deadline\nx,2h,2h\ny,1h,\n")
    jobs = {job["id"]: job["windows"] for job in json.loads(cli(*PLAN, "--jobs", "jobs.csv", "--json").out)["jobs"]}
    assert jobs["x"][0]["start_at"] <= "2026-11-24T12:00:00Z"
    assert jobs["y"][0]["end_at"] <= "2026-11-25T11:00:00Z"
