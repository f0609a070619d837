"""Parity with the prototype, P1 to P16 and P28, P30: run."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.engine.scenario import SLOT, START, Scenario
from tests.parity.conftest import CSV, SMALL, Cli, entries_of, rows_of

from greenai.api.asking import job_of
from greenai.logic.evidence_rows import PROTOTYPE_COLUMNS, decision_entry, evidence_row
from greenai.testing.grid import FakeGrid
from greenai.training.recording import Books, Recorder
from greenai.wiring import settings_with

for needed in ("lightgbm", "sklearn", "optuna", "matplotlib"):
    pytest.importorskip(needed)

RUN = ("run", "--mode", "baseline", *SMALL)


def test_p01_the_program_and_the_module_say_their_version_and_help():
    for start in (["-m", "greenai.cli"], ["-c", "import sys; from greenai.cli import main; sys.exit(main())"]):
        for word in ("--version", "-h"):
            done = subprocess.run([sys.executable, *start, word], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert "greenai" in done.stdout


def test_p02_a_baseline_run_leaves_the_prototype_s_row(cli: Cli, table):
    done = cli(*RUN, *CSV, "--threshold", "300", "--log-decision", "artifacts/carbon_aware_decision.json")
    assert done.code == 0, done.err
    [row] = rows_of()
    assert tuple(row)[:14] == PROTOTYPE_COLUMNS
    assert (row["phase"], row["task"], row["dataset"], row["region"]) == ("baseline", "regression", "diabetes", "GB")
    assert (row["quality_metric_name"], row["status"], row["seed"]) == ("MAE", "ok", "42")
    assert float(row["quality_metric_value"]) > 0
    assert float(row["kgCO2e"]) == pytest.approx(float(row["kWh"]) * float(row["ci_g_per_kwh"]) / 1000, rel=0.01)
    assert len(entries_of("artifacts/carbon_aware_decision.json")) == 1


def test_p03_the_optimised_run_is_not_worse_or_says_so(cli: Cli, table):
    assert cli("run", "--mode", "baseline", *CSV).code == 0
    done = cli("run", "--mode", "optimized", *CSV)
    assert done.code == 0, done.err
    baseline, optimized = rows_of()
    assert optimized["phase"] == "optimized"
    assert optimized["notes"].startswith("not worse: error -")
    assert float(optimized["quality_metric_value"]) <= float(baseline["quality_metric_value"])
    assert "gate" in done.err


def test_p03_a_recipe_that_is_worse_is_refused_and_the_row_says_so(cli: Cli, table):
    """The prototype's own way out: fewer and shallower trees."""
    recipe = {"schema": "greenai.recipe/1", "task": "regression", "family": "lightgbm", "params": {"leaves": 2, "rounds": 5}}
    Path("worse.json").write_text(json.dumps(recipe), encoding="utf-8")
    done = cli("run", "--mode", "optimized", "--recipe", "worse.json", *CSV)
    assert done.code == 0, done.err
    [row] = rows_of()
    assert row["phase"] == "optimized"
    assert row["notes"].startswith("the baseline was trained instead")


def test_p04_both_modes_are_charged_the_hour_they_ran_and_a_table_is_no_grid(cli: Cli, table):
    before = datetime.now(UTC)
    assert cli(*RUN, *CSV).code == 0
    assert cli("run", "--mode", "optimized", *SMALL, *CSV).code == 0
    hours = {before.hour, datetime.now(UTC).hour}
    known = dict(line.split(",")[1:] for line in table.read_text(encoding="utf-8").splitlines()[1:])
    charged = {float(row["ci_g_per_kwh"]) for row in rows_of()}
    assert charged <= {float(known[str(hour)]) for hour in hours}
    assert {row["simulated"] for row in rows_of()} == {"true"}


def test_p05_live_without_network_falls_back_and_says_so(cli: Cli):
    done = cli(*RUN, "--ci", "live")
    assert done.code == 0
    assert "Traceback" not in done.err
    [row] = rows_of()
    assert (row["region"], row["ci_source"], row["ci_kind"]) == ("GB", "climatology", "modelled")
    assert row["ci_step"] == "climatology"
    assert cli(*RUN, "--ci", "live", "--require", "live").code == 4


@pytest.mark.parametrize(("fault", "times"), [("nulls", None), ("outage_500", 1)])
def test_p06_a_service_that_errs_is_retried_or_fallen_back_from(cli: Cli, grid: FakeGrid, fault: str, times: int | None):
    grid.fail(fault, times=times)
    done = cli(*RUN, "--ci", "live")
    assert done.code == 0, done.err
    [row] = rows_of()
    assert float(row["ci_g_per_kwh"]) > 0
    assert row["ci_source"] == ("uk" if times else "climatology")


def test_p06_an_intensity_of_zero_is_a_value(cli: Cli, monkeypatch):
    with FakeGrid(series=[(datetime(2020, 1, 1, tzinfo=UTC) + SLOT * slot, 0.0) for slot in range(96)]) as clean:
        monkeypatch.setenv("GREENAI_UK_URL", clean.url)
        assert cli(*RUN, "--ci", "live").code == 0
    [row] = rows_of()
    assert float(row["ci_g_per_kwh"]) == 0.0
    assert float(row["kgCO2e"]) == 0.0


def life(values: list[float], *, threshold: float, wait: timedelta, minute: int = 0):
    """A recorded training that waits on virtual time: its row, its decision entry and the clock."""
    scene = Scenario(values)
    scene.clock.advance(timedelta(minutes=minute))
    submitted_at = scene.clock.now()
    settings = settings_with(None, zone="GB")
    recorder = Recorder(settings, scene.doors, Books(command=("greenai", "run"), labels={}))
    ask = {"threshold": threshold, "max_wait": wait}
    recorder.wait(job_of((), ask, settings, now_at=submitted_at, job_id="run-1", slack=timedelta(0)))
    recorder(lambda: scene.clock.advance(timedelta(minutes=10)))
    evidence = recorder.finish({}).evidence
    return evidence_row(evidence), decision_entry(evidence), scene.clock.now() - submitted_at - timedelta(minutes=10)


@pytest.mark.parametrize(
    ("values", "started_after", "charged"), [([300, 180, 250, 260, 260], 30, 180), ([300, 260, 250], 60, 250)]
)
def test_p07_a_wait_in_vain_is_a_forced_run_charged_what_it_met(values, started_after, charged):
    """Never below the threshold: it starts where it is lowest before the limit, and pays that moment's intensity, no other."""
    row, entry, waited = life(values, threshold=150, wait=timedelta(minutes=60))
    assert waited == timedelta(minutes=started_after)
    assert row["forced_run"] == "true"
    assert entry["forced_run"] is True
    assert float(row["ci_g_per_kwh"]) == charged


def test_p08_the_wait_is_as_long_as_asked_and_ends_when_it_falls():
    """A run of unknown length is looked at over one minute, so it may start up to a minute before the fall."""
    row, entry, waited = life([300, 90, 90, 90, 90], threshold=150, wait=timedelta(hours=1), minute=20)
    assert timedelta(seconds=540) < waited <= timedelta(seconds=600)
    assert float(row["deferred_seconds"]) == waited.total_seconds()
    assert entry["green_run"]["deferred_seconds"] == waited.total_seconds()
    assert entry["green_run"]["horizon_hours"] == 1
    assert row["forced_run"] == "false"


def test_p09_max_wait_seconds_wins_over_defer_seconds_and_that_over_the_horizon(cli: Cli, table):
    words = (*RUN, *CSV, "--threshold", "1", "--log-decision", "d.json")
    assert cli(*words, "--max-wait-seconds", "1", "--defer-seconds", "3600", "--horizon-hours", "5").code == 0
    assert cli(*words, "--defer-seconds", "1", "--horizon-hours", "5").code == 0
    assert [entry["green_run"]["horizon_hours"] * 3600 for entry in entries_of("d.json")] == pytest.approx([1, 1])


def test_p10_the_horizon_looks_for_the_best_start_round_midnight(cli: Cli, corner: Path):
    hour = datetime.now(UTC).hour
    clean = (hour + 3) % 24
    lines = [f"GB,{at},{50 if at == clean else 250}" for at in range(24)]
    (corner / "m.csv").write_text("region,UTC_hour,carbon_intensity_gco2_per_kwh\n" + "\n".join(lines), encoding="utf-8")
    done = cli(
        "run", "--mode", "baseline", "--dry-run", "--ci", "csv", "--ci-csv", "m.csv", "--horizon-hours", "6", "--duration", "30m"
    )
    assert done.code == 0, done.err
    assert f" {clean:02d}:00 UTC (50 gCO2e/kWh" in done.out
    assert cli(*RUN, "--ci", "csv", "--ci-csv", "m.csv", "--horizon-hours", "0").code == 0
    [row] = rows_of()
    assert float(row["deferred_seconds"]) < 1


def test_p11_the_decision_log_keeps_its_keys_and_says_what_was_saved():
    _, entry, _ = life([300, 90, 90, 90, 90], threshold=150, wait=timedelta(hours=1))
    naive, green = entry["naive_run"]["carbon_intensity"], entry["green_run"]["carbon_intensity"]
    assert naive == 300
    assert 90 <= green < 150
    assert entry["savings"] == {"carbon_intensity": naive - green, "percent": pytest.approx(100 * (naive - green) / naive)}
    assert entry["threshold"] == 150
    assert entry["action"] in {"run", "wait"}
    assert entry["region"] == "GB"
    assert entry["timestamp"].startswith(f"{START:%Y-%m-%d}")


def test_p12_a_spoiled_decision_log_is_kept(cli: Cli, table):
    Path("d.json").write_text('[{"timestamp": "2025', encoding="utf-8")
    done = cli(*RUN, *CSV, "--log-decision", "d.json")
    assert done.code == 0
    assert "is kept as" in done.err
    assert len(entries_of("d.json")) == 1
    assert [path.read_text(encoding="utf-8") for path in Path().glob("d.json.bak*")] == ['[{"timestamp": "2025']


def test_p13_bare_file_names_work_and_are_checked_before_training(cli: Cli, table):
    assert cli(*RUN, *CSV, "--out", "evidence.csv", "--log-decision", "d.json").code == 0
    assert len(rows_of("evidence.csv")) == 1
    Path("other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    done = cli(*RUN, *CSV, "--out", "other.csv")
    assert done.code == 2
    assert "not an evidence.csv" in done.err
    assert len(json.loads(cli("evidence", "list", "--json").out)) == 1


def test_p14_assumed_power_is_named_so_and_never_negative(cli: Cli, table):
    long = ("run", "--mode", "baseline", "--sample", "tab-8000")
    assert cli(*long, *CSV, "--proxy-emissions", "--assumed-kw", "0.1").code == 0
    [row] = rows_of()
    assert (row["energy_source"], row["energy_quality"]) == ("proxy", "assumed")
    assert float(row["it_kWh"]) == pytest.approx(float(row["runtime_s"]) * 0.1 / 3600, rel=0.1, abs=0.6 * 0.1 / 3600)
    assert cli(*long, *CSV, "--assumed-kw", "-1").code == 2


def test_p15_codecarbon_gives_the_energy_and_never_the_country(cli: Cli, table):
    pytest.importorskip("codecarbon")
    assert cli(*RUN, *CSV, "--meter", "codecarbon").code == 0
    [row] = rows_of()
    assert row["energy_source"].startswith("codecarbon")
    assert (row["region"], row["ci_source"]) == ("GB", "csv")
    assert not Path("emissions.csv").exists()


def test_p16_without_codecarbon_it_runs_and_says_what_measured(cli: Cli, table):
    assert cli(*RUN, *CSV).code == 0
    [row] = rows_of()
    assert row["energy_source"]
    assert row["energy_quality"] in {"measured-counter", "measured-sensor", "shared", "modelled", "assumed"}
    assert not Path("emissions.csv").exists()


def test_p28_a_training_that_raises_is_a_failed_row_and_leaves_no_thread(cli: Cli, table, corner: Path):
    (corner / "broken.py").write_text(
        "class Broken:\n"
        "    def fit(self, X, y):\n        raise RuntimeError('out of luck')\n"
        "    def predict(self, X):\n        pass\n"
        "def make():\n    return Broken()\n",
        encoding="utf-8",
    )
    before = threading.active_count()
    done = cli(*RUN, *CSV, "--baseline", "broken:make")
    sys.modules.pop("broken", None)
    assert done.code == 2
    assert "cannot learn from this table: RuntimeError: out of luck" in done.err
    [row] = rows_of()
    assert (row["status"], row["exit_code"]) == ("failed", "1")
    assert "out of luck" in row["notes"]
    assert threading.active_count() == before
    assert cli("evidence", "verify", "artifacts/evidence.csv").code == 0


def test_p30_the_default_data_asks_no_network(cli: Cli, table, monkeypatch):
    import socket

    def refuse(*_args: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert cli("run", "--mode", "baseline", *CSV).code == 0
    assert rows_of()[0]["dataset"] == "tab-1200"
