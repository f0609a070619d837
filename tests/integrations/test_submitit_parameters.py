"""The parameters of a plan for submitit."""

from __future__ import annotations

import importlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integrations.harness import needs

import greenai
from greenai.integrations import submitit


def plan_that(clean_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> greenai.api.PlanAnswer:
    """A plan on a grid that becomes clean in so many hours."""
    monkeypatch.setenv("GREENAI_HOME", str(tmp_path / "home"))
    start_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = [f"{start_at + timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ},{100 if n >= clean_at else 300}" for n in range(48)]
    series = tmp_path / "series.csv"
    series.write_text("\n".join(["start_utc,g_per_kwh", *rows]) + "\n", encoding="utf-8")
    return greenai.plan(duration="1h", finish_by="24h", series=series, zone="GB")


@pytest.mark.parametrize(("clean_at", "waits"), [(6, True), (0, False)])
def test_a_plan_becomes_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_at: int, waits: bool) -> None:
    plan = plan_that(clean_at, tmp_path, monkeypatch)
    found = submitit.parameters(plan)
    begin = found["slurm_additional_parameters"].get("begin")
    assert begin == (f"uts{int(plan.decision.start_at.timestamp())}" if waits else None)
    assert (found["slurm_signal_delay_s"], found["slurm_use_srun"]) == (120, False)


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The parameters of a plan that waits."""
    return submitit.parameters(plan_that(6, tmp_path, monkeypatch))


@needs("submitit")
def test_the_real_submitit_writes_them_into_its_batch_file(
    taken: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its AutoExecutor refuses what it does not know; sbatch is played by a script that keeps the file."""
    library = importlib.import_module("submitit")
    for name, said in {"sbatch": f'cp "$1" {tmp_path}/taken; echo Submitted batch job 12', "srun": "exit 1"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{said}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    executor = library.AutoExecutor(folder=tmp_path / "log", cluster="slurm")
    executor.update_parameters(timeout_min=60, **taken)
    assert executor.submit(sum, [1, 2]).job_id == "12"
    batch = (tmp_path / "taken").read_text(encoding="utf-8").splitlines()
    asked = taken["slurm_additional_parameters"]
    wanted = [f"#SBATCH --{name}={value}" for name, value in asked.items()]
    assert [line for line in batch if line in wanted or "--signal" in line] == [*wanted, "#SBATCH --signal=USR2@120"]
    assert not any(line.startswith("srun") for line in batch)


@needs("submitit")
def test_without_slurm_the_real_submitit_runs_as_before(taken: dict[str, Any], tmp_path: Path) -> None:
    library = importlib.import_module("submitit")
    executor = library.AutoExecutor(folder=tmp_path / "log", cluster="local")
    executor.update_parameters(timeout_min=5, **taken)
    assert executor.submit(sum, [1, 2]).result() == 3
