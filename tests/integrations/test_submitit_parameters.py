"""The parameters of a plan for submitit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import greenai
from greenai.integrations import submitit


@pytest.mark.parametrize(("clean_at", "waits"), [(6, True), (0, False)])
def test_a_plan_becomes_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_at: int, waits: bool) -> None:
    monkeypatch.setenv("GREENAI_HOME", str(tmp_path / "home"))
    start_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = [f"{start_at + timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ},{100 if n >= clean_at else 300}" for n in range(48)]
    series = tmp_path / "series.csv"
    series.write_text("\n".join(["start_utc,g_per_kwh", *rows]) + "\n", encoding="utf-8")
    plan = greenai.plan(duration="1h", finish_by="24h", series=series, zone="GB")
    found = submitit.parameters(plan)
    begin = found["slurm_additional_parameters"].get("begin")
    assert begin == (f"uts{int(plan.decision.start_at.timestamp())}" if waits else None)
    assert (found["slurm_signal_delay_s"], found["slurm_use_srun"]) == (120, False)
