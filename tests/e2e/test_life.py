"""The command line against a fake grid service, a real ledger and real child processes."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from greenai.testing.grid import FakeGrid

GREENAI = [sys.executable, "-m", "greenai.cli"]
QUICK = [sys.executable, "-c", "print('trained')"]
Greenai = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def grid() -> Iterator[FakeGrid]:
    with FakeGrid() as service:
        yield service


@pytest.fixture
def environment(tmp_path: Path, grid: FakeGrid) -> dict[str, str]:
    return {
        **os.environ,
        "GREENAI_HOME": str(tmp_path / "home"),
        "GREENAI_UK_URL": grid.url,
        "GREENAI_ZONE": "GB",
        "GREENAI_METER": "modelled",
    }


@pytest.fixture
def greenai(environment: dict[str, str], tmp_path: Path) -> Greenai:
    def call(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*GREENAI, *words],
            env={**environment, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call


def _records(environment: dict[str, str]) -> list[dict[str, Any]]:
    ledger = Path(environment["GREENAI_HOME"]) / "ledger.jsonl"
    return [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]


def test_run_measures_and_its_evidence_verifies(greenai: Greenai) -> None:
    ran = greenai("run", "--", *QUICK)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "trained\n"
    shown = json.loads(greenai("--json", "evidence", "show", "last").stdout)
    assert shown["command"] == QUICK
    assert shown["intensity"]["provider"] == "uk"
    assert shown["it_kwh"] > 0
    assert shown["operational_g"] > 0
    verified = greenai("evidence", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_exit_code_and_the_standard_streams_are_the_commands_own(greenai: Greenai) -> None:
    ran = greenai("run", "--", sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)")
    assert ran.returncode == 7
    assert ran.stdout == "out\n"
    assert "err\n" in ran.stderr


def test_a_dead_service_falls_back_and_the_record_says_so(greenai: Greenai, grid: FakeGrid) -> None:
    grid.fail("outage_500")
    planned = json.loads(greenai("--json", "plan", "--duration", "1h", "--finish-by", "12h").stdout)
    assert planned["source"]["step"] == "climatology"
    assert "uk" in planned["source"]["fallback_reason"]
    refused = greenai("plan", "--duration", "1h", "--finish-by", "12h", "--require", "live")
    assert refused.returncode == 4
    assert "Traceback" not in refused.stderr


def test_an_edited_number_is_named(greenai: Greenai, environment: dict[str, str]) -> None:
    greenai("run", "--", *QUICK)
    ledger = Path(environment["GREENAI_HOME"]) / "ledger.jsonl"
    text = ledger.read_text(encoding="utf-8")
    ledger.write_text(text.replace('"exit_code":0', '"exit_code":1', 1), encoding="utf-8")
    verified = greenai("evidence", "verify")
    assert verified.returncode == 5
    assert "seq" in verified.stdout + verified.stderr


def test_csv_and_decision_log_keep_the_prototypes_columns(greenai: Greenai, tmp_path: Path) -> None:
    ran = greenai("run", "--out", "evidence.csv", "--log-decision", "decision.json", "--", *QUICK)
    assert ran.returncode == 0, ran.stderr
    with (tmp_path / "evidence.csv").open(encoding="utf-8") as file:
        row = next(iter(csv.DictReader(file)))
    assert list(row)[:3] == ["run_id", "phase", "task"]
    assert float(row["kgCO2e"]) == pytest.approx(float(row["kWh"]) * float(row["ci_g_per_kwh"]) / 1000, rel=0.01)
    entry = json.loads((tmp_path / "decision.json").read_text(encoding="utf-8"))[0]
    assert entry["naive_run"]["carbon_intensity"] > 0
    assert greenai("evidence", "verify", "evidence.csv").returncode == 0


def _turning_series(path: Path, after_s: float) -> Path:
    """Second by second: dirty now, clean after `after_s`."""
    now_at = datetime.now(UTC)
    first_at = now_at.replace(microsecond=0) - timedelta(seconds=30)
    clean_at = now_at + timedelta(seconds=after_s)
    moments = [first_at + timedelta(seconds=second) for second in range(900)]
    rows = "".join(f"{moment:%Y-%m-%dT%H:%M:%SZ},{100 if moment >= clean_at else 400}\n" for moment in moments)
    path.write_text("start_utc,g_per_kwh\n" + rows, encoding="utf-8")
    return path


def test_it_really_waits_for_the_clean_part(greenai: Greenai, tmp_path: Path) -> None:
    series = _turning_series(tmp_path / "series.csv", after_s=12)
    ran = greenai("--json", "run", "--series", str(series), "--duration", "2s", "--finish-by", "2m", "--", *QUICK)
    evidence = json.loads(ran.stdout)["evidence"]
    assert evidence["started_at"] > evidence["inputs"]["runnable_at"]
    assert evidence["sci"]["intensity_g_per_kwh"] == pytest.approx(100)
    assert evidence["intensity"]["kind"] == "observed"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_waiting_leaves_a_true_record(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    series = _turning_series(tmp_path / "series.csv", after_s=120)
    words = ["run", "--series", str(series), "--duration", "2s", "--finish-by", "5m", "--", *QUICK]
    process = subprocess.Popen([*GREENAI, *words], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    # The head is written after the record: from here on the decision stands.
    _until((tmp_path / "home" / "ledger.head").exists)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == code
    assert "nothing was run" in stderr
    assert [record["type"] for record in _records(environment)] == ["decision", "interrupted"]


def test_ctrl_c_while_running_leaves_a_true_record(environment: dict[str, str], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    words = ["run", "--", sys.executable, "-c", f"import pathlib, time; pathlib.Path({str(mark)!r}).touch(); time.sleep(60)"]
    process = subprocess.Popen(
        [*GREENAI, *words], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    _until(mark.exists)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode in {1, 130}
    last = _records(environment)[-1]
    assert last["type"] == "evidence"
    assert last["payload"]["exit_code"] == process.returncode
    assert last["payload"]["verdict"].startswith("not claimable")


def test_a_killed_run_is_recovered_by_settle(environment: dict[str, str], tmp_path: Path, greenai: Greenai) -> None:
    mark = tmp_path / "mark"
    # It outlives whatever time the samples need, but not the run that is killed.
    program = f"import os, pathlib, time\nparent = os.getppid()\npathlib.Path({str(mark)!r}).touch()\n"
    words = ["run", "--", sys.executable, "-c", f"{program}while os.getppid() == parent: time.sleep(0.05)"]
    process = subprocess.Popen([*GREENAI, *words], env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)
    _until(mark.exists)
    _until(lambda: _spooled_lines(tmp_path / "home") >= 2)
    process.kill()
    process.wait(timeout=120)
    settled = json.loads(greenai("--json", "evidence", "settle").stdout)
    assert len(settled["recovered"]) == 1
    shown = json.loads(greenai("--json", "evidence", "show", "last").stdout)
    assert shown["exit_code"] is None
    assert shown["it_kwh"] > 0
    assert greenai("evidence", "verify").returncode == 0


def _spooled_lines(home: Path) -> int:
    """Lines of the only run's samples: a header, then one a second."""
    return sum(file.read_bytes().count(b"\n") for file in home.glob("runs/*/samples.jsonl"))


def _until(ready: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + 120
    while not ready():
        assert time.monotonic() < give_up_s, "nothing happened within 120 s"
        time.sleep(0.02)
