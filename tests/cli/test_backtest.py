"""`greenai backtest` on files, from the command line to the rows of the contract."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Cli
from tests.cli.test_schemas import check
from tests.forecasting_world import HOUR, START, grid, slow_noise

from greenai.api import backtesting
from greenai.model.units import floor_to, iso_utc

DAYS = 75


def written(path: Path, values: np.ndarray, *, start_at: datetime = START, step: timedelta = HOUR) -> str:
    lines = [f"{iso_utc(start_at + i * step)},{value:.2f}" for i, value in enumerate(values)]
    path.write_text("\n".join(["start_utc,g_per_kwh", *lines]) + "\n", encoding="utf-8")
    return str(path)


def sky(path: Path, hours: int) -> str:
    wind = 20 + 3 * slow_noise(hours, 2)
    lines = [f"{iso_utc(START + i * HOUR)},10,80,50,{max(value, 0):.1f}" for i, value in enumerate(wind)]
    path.write_text("\n".join(["start_utc,temp_c,rh_pct,cloud_pct,wind_10m_km_per_h", *lines]) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def gb(corner: Path) -> str:
    return written(corner / "GB.csv", grid(DAYS * 24))


PERIOD = ("--from", iso_utc(START + timedelta(days=65)), "--to", iso_utc(START + timedelta(days=70)))


def test_rows_keep_to_the_contract(cli: Cli, gb: str, corner: Path) -> None:
    weather = sky(corner / "sky.csv", DAYS * 24)
    names = "seasonal-naive,lpr,lpr+weather,perfect"
    words = ("--policy", "rolling,run-now", "--forecaster", names, "--duration", "1h,4h", "--slack", "24h,48h")
    done = cli("backtest", "--series", gb, "--weather", weather, *words, *PERIOD, "--json")
    assert (done.code, done.err) == (0, "")
    rows = json.loads(done.out)
    check(rows, "backtest")
    assert len(rows) == 4 + 4 * 4
    assert {row["zone"] for row in rows} == {"GB"}
    assert {row["arrivals"] for row in rows} == {120}
    by = {(row["policy"], row["forecaster"]): row for row in rows if (row["duration_h"], row["slack_h"]) == (1, 24)}
    assert by["run-now", "none"]["saving"] == 0
    assert by["rolling", "perfect"]["fraction_of_oracle"] == pytest.approx(1)
    assert 0.5 < by["rolling", "lpr"]["fraction_of_oracle"] < 1
    assert by["rolling", "lpr"]["deadline_misses"] == 0


def test_the_table_names_the_oracle(cli: Cli, gb: str) -> None:
    done = cli("backtest", "--zone", "GB-13", "--series", gb, "--forecaster", "perfect", "--interruptible", *PERIOD)
    assert done.out.startswith("GB-13: at best ")
    assert "whole future known" in done.out
    assert "4 h + 24 h in pieces" in done.out
    assert done.err == ""
    assert "oracle" not in cli("backtest", "-q", "--series", gb, "--forecaster", "perfect", *PERIOD).out


def test_plan_once_plays_the_other_rule(cli: Cli, gb: str) -> None:
    done = cli("backtest", "--series", gb, "--forecaster", "seasonal-naive", "--plan-once", *PERIOD, "--json")
    assert {row["policy"] for row in json.loads(done.out)} == {"once"}


def test_a_history_of_its_own_is_as_good(cli: Cli, gb: str, corner: Path) -> None:
    values, cut = grid(DAYS * 24), 64 * 24
    history = written(corner / "before.csv", values[:cut])
    late = written(corner / "late.csv", values[cut:], start_at=START + cut * HOUR)
    words = ("--zone", "GB", "--duration", "1h", *PERIOD, "--json")
    parts = cli("backtest", "--series", late, "--history", history, *words)
    assert parts.code == 0, parts.err
    assert parts.out == cli("backtest", "--series", gb, *words).out


def test_without_a_period_what_is_long_enough_teaches(cli: Cli, gb: str) -> None:
    done = cli("backtest", "--series", gb, "--duration", "1h", "--json")
    [row] = json.loads(done.out)
    assert row["arrivals"] == 15 * 24 - 25


def test_a_bare_date_is_its_midnight_in_utc(cli: Cli, gb: str) -> None:
    words = ("--series", gb, "--forecaster", "perfect", "--duration", "1h", "--json")
    bare = cli("backtest", *words, "--from", "2022-03-01", "--to", "2022-03-05")
    assert bare.code == 0, bare.err
    assert json.loads(bare.out)[0]["arrivals"] == 96
    assert bare.out == cli("backtest", *words, "--from", "2022-03-01T00:00Z", "--to", "2022-03-05T00:00Z").out


def test_a_row_does_not_hang_on_the_others(cli: Cli, gb: str) -> None:
    alone, both = (
        json.loads(cli("backtest", "--series", gb, "--duration", "1h", "--slack", slack, *PERIOD, "--json").out)
        for slack in ("24h", "24h,48h")
    )
    assert alone[0] == both[0]


def test_half_hours_are_played_too(cli: Cli, corner: Path) -> None:
    fine = written(corner / "DE.csv", grid(8 * 48), step=timedelta(minutes=30))
    words = ("--forecaster", "seasonal-naive", "--duration", "90m", "--slack", "6h", "--from", iso_utc(START + timedelta(days=6)))
    done = cli("backtest", "--series", fine, *words, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)[0]["duration_h"] == 1.5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "add --series FILE"),
        (("--series", "nowhere.csv"), "there is no file"),
        (("--series", "GB.csv", "--policy", "guess"), "no policy 'guess' to test"),
        (("--series", "GB.csv", "--policy", "threshold"), "the threshold policy needs a limit"),
        (("--series", "GB.csv", "--policy", ","), "no policy or no forecaster was named"),
        (("--series", "GB.csv", "--resume-cost", "6m"), "for jobs that may be interrupted"),
        (("--series", "GB.csv", "--interruptible", "--resume-cost", "2h"), "more than one slot"),
        (("--series", "GB.csv", "--plot", "a.gif"), "a.gif is no picture"),
        (("--series", "torn.csv"), "nothing is given from 2022-01-03T02:00:00Z to 2022-01-03T05:00:00Z"),
        (("--series", "GB.csv", "--forecaster", "guess"), "there is no forecaster named 'guess'"),
        (("--series", "GB.csv", "--forecaster", "lpr+weather"), "needs a weather series"),
        (("--series", "GB.csv", "--duration", "90m"), "no whole number of the series' slots"),
        (("--series", "GB.csv", "--from", "2030-01-01T00:00Z"), "has no job that fits"),
        (("--series", "GB.csv", "--from", "2022-01-20T00:00Z"), "lpr needs 60 days"),
        (("--series", "empty.csv"), "is no series"),
        (("--series", "GB.csv", "--history", "gap.csv"), "nothing is known of GB at"),
        (("--series", "GB.csv", "--weather", "GB.csv"), "is no weather series"),
        (("--series", "GB.csv", "--weather", "holes.csv"), "lacks hours"),
    ],
)
def test_what_cannot_be_played_is_one_sentence(cli: Cli, gb: str, corner: Path, words: tuple[str, ...], said: str) -> None:
    (corner / "empty.csv").write_text("a,b\n", encoding="utf-8")
    lines = Path(gb).read_text(encoding="utf-8").splitlines()
    (corner / "torn.csv").write_text("\n".join([*lines[:51], *lines[54:]]), encoding="utf-8")
    written(corner / "gap.csv", grid(48), start_at=START - timedelta(days=9))
    whole = Path(sky(corner / "sky.csv", 48)).read_text(encoding="utf-8").splitlines()
    (corner / "holes.csv").write_text("\n".join([*whole[:9], *whole[10:]]), encoding="utf-8")
    done = cli("backtest", *words)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_several_series_are_several_zones(cli: Cli, gb: str, corner: Path) -> None:
    pytest.importorskip("matplotlib")
    flat = written(corner / "FLAT.csv", np.full(DAYS * 24, 300.0))
    words = ("--series", gb, "--series", flat, "--forecaster", "perfect", "--duration", "1h", *PERIOD)
    rows = json.loads(cli("backtest", *words, "--json").out)
    check(rows, "backtest")
    assert [(row["zone"], row["fraction_of_oracle"]) for row in rows] == [("GB", pytest.approx(1)), ("FLAT", None)]
    assert "  zone  policy" in cli("backtest", *words, "--plot", "two.png").out
    for more in (("--history", gb), ("--zone", "GB"), ("--weather", gb), ("--jobs", gb)):
        done = cli("backtest", *words, *more) if more[0] != "--jobs" else cli("backtest", "--series", gb, "--series", flat, *more)
        assert done.code == 2
        assert "belongs to one zone" in done.err


def test_where_nothing_is_saved_it_says_so(cli: Cli, corner: Path) -> None:
    flat = written(corner / "FLAT.csv", np.full(DAYS * 24, 300.0))
    words = ("--series", flat, "--forecaster", "perfect", "--duration", "1h")
    done = cli("backtest", *words, "--from", PERIOD[1], "--to", iso_utc(START + timedelta(days=66)))
    assert "waiting is not worth it here" in done.out.splitlines()[0]


def test_resumes_cost(cli: Cli, gb: str) -> None:
    words = ("--series", gb, "--forecaster", "perfect", "--duration", "6h", "--interruptible", *PERIOD, "--json")
    free, paid = (json.loads(cli("backtest", *words, *more).out)[0] for more in ((), ("--resume-cost", "30m")))
    assert paid["oracle_saving"] < free["oracle_saving"]
    assert (paid["slack_h"], paid["deadline_misses"]) == (24, 0)


def test_policies_of_others_are_asked(cli: Cli, gb: str) -> None:
    words = ("--series", gb, "--forecaster", "seasonal-naive", "--duration", "2h", "--slack", "6h", *PERIOD, "--json")
    theirs, ours = json.loads(cli("backtest", *words, "--policy", "greenest,rolling").out)
    assert (theirs.pop("policy"), ours.pop("policy")) == ("greenest", "rolling")
    assert theirs == pytest.approx(ours)
    theirs, ours = json.loads(cli("backtest", *words, "--policy", "greenest,rolling", "--plan-once").out)
    assert theirs["saving"] == pytest.approx(ours["saving"])


def test_a_policy_that_fails_is_one_sentence(cli: Cli, gb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by nothing")

    load = backtesting.plugins.load
    monkeypatch.setattr(backtesting.plugins, "load", lambda group, name: broken if name == "greenest" else load(group, name))
    done = cli("backtest", "--series", gb, "--forecaster", "perfect", "--policy", "greenest", *PERIOD)
    assert done.code == 2
    assert "the policy 'greenest' failed: ZeroDivisionError: by nothing" in done.err


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_backtest_is_drawn(cli: Cli, gb: str, corner: Path, kind: str) -> None:
    pytest.importorskip("matplotlib")
    words = ("--series", gb, "--forecaster", "perfect", "--policy", "run-now,lowest-slot", *PERIOD)
    done = cli("backtest", *words, "--plot", f"out.{kind}")
    assert done.code == 0, done.err
    assert f"drawn: out.{kind}" in done.out
    body = (corner / f"out.{kind}").read_bytes()
    assert body[:5] in {b"\x89PNG\r", b"<?xml", b"%PDF-"}
    if kind == "svg":
        assert b"saved against running at once, 120 arrivals" in body
        assert b"lowest-slot" in body
    json.loads(cli("backtest", *words, "--plot", f"again.{kind}", "--json").out)
    assert (corner / f"again.{kind}").exists()


def test_without_matplotlib_nothing_is_played(cli: Cli, gb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = cli("backtest", "--series", gb, "--plot", "out.png")
    assert done.code == 2
    assert "pip install 'greenai[report]'" in done.err
    assert done.out == ""


def test_progress_is_told_to_the_end(gb: str) -> None:
    told: list[tuple[str, int, int]] = []
    asked = backtesting.Asked(forecasters=("perfect",), durations=("1h",), from_at=PERIOD[1], to_at=PERIOD[3])
    backtesting.backtest(gb, asked=asked, tell=lambda *step: told.append(step))
    assert [step[1:] for step in told] == [(0, 2), (1, 2), (2, 2)]


def test_what_is_known_is_listed() -> None:
    assert {"rolling", "run-now", "cats"} <= set(backtesting.known_policies())
    assert {"lpr", "seasonal-naive", "perfect"} <= set(backtesting.known_forecasters())


def past_jobs(path: Path) -> str:
    starts = [START + timedelta(days=62, hours=9 * i, minutes=17) for i in range(20)]
    lines = [f"{iso_utc(at)},{iso_utc(at)},{iso_utc(at + timedelta(minutes=100))},400" for at in starts]
    path.write_text("\n".join(["submit,start,end,power_w", *lines, ",,,"]) + "\n", encoding="utf-8")
    return str(path)


def test_jobs_that_were_run(cli: Cli, gb: str, corner: Path) -> None:
    jobs = past_jobs(corner / "jobs.csv")
    words = ("--jobs", jobs, "--series", gb, "--policy", "rolling,run-now", "--forecaster", "lpr,perfect", "--slack", "12h,24h")
    done = cli("backtest", *words, "--json")
    assert (done.code, done.err) == (0, "")
    rows = json.loads(done.out)
    check(rows, "backtest")
    assert {row["arrivals"] for row in rows} == {20}
    assert {(row["policy"], row["forecaster"]) for row in rows} == {
        ("run-now", "none"),
        ("rolling", "lpr"),
        ("rolling", "perfect"),
    }
    assert all(row["energy_kwh"] == pytest.approx(20 * 0.4 * 100 / 60) for row in rows)
    assert {row["duration_h"] for row in rows} == {1.6667}
    table = cli("backtest", *words).out
    assert "saved against how the jobs were run" in table
    assert "1: never started" in table
    assert "none begun earlier than it was" in table


def test_jobs_bring_their_own_lengths(cli: Cli, gb: str, corner: Path) -> None:
    done = cli("backtest", "--jobs", past_jobs(corner / "jobs.csv"), "--series", gb, "--duration", "1h")
    assert done.code == 2
    assert "--duration is for made-up jobs" in done.err


def test_our_own_ledger_is_a_job_history(cli: Cli, corner: Path) -> None:
    assert cli("measure", "--", sys.executable, "-c", "sum(range(3_000_000))").code == 0
    first_at = floor_to(datetime.now(UTC), HOUR) - timedelta(days=3)
    series = written(corner / "GB.csv", grid(5 * 24), start_at=first_at)
    done = cli("backtest", "--jobs", "ledger", "--series", series, "--forecaster", "seasonal-naive", "--json")
    assert done.code == 0, done.err
    [row] = json.loads(done.out)
    assert (row["arrivals"], row["slack_h"]) == (1, 24)


def test_an_empty_ledger_has_no_job_to_play(cli: Cli, gb: str) -> None:
    done = cli("backtest", "--jobs", "ledger", "--series", gb)
    assert done.code == 2
    assert "no job of the history can be played (it is empty)" in done.err
