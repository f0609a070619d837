"""Nouns as the API would return them, for tests of how they are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from greenai.model.intensity import ChainStep, Query, Reading
from greenai.model.job import Constraints, Job
from greenai.model.plan import Alternative, Decision, Window
from greenai.model.series import IntensitySeries, Source

NOW = datetime(2026, 11, 24, 16, 44, 15, tzinfo=UTC)
SLOT = timedelta(minutes=30)
START = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)
RUN_ID = "20261124T164415Z-1a2b3c4d"


def series(values: Any = None, *, start_at: datetime = START, step: timedelta = SLOT, **changes: Any) -> IntensitySeries:
    """A day with an evening peak and a clean night."""
    hours = np.arange(96) / 2
    given = 180 + 80 * np.cos((hours - 4) / 24 * 2 * np.pi) if values is None else np.asarray(values, dtype=float)
    source = Source(
        provider="uk", url="https://grid.example/fw48h", fetched_at=NOW - timedelta(seconds=3), payload_sha256="ab" * 32
    )
    fields: dict[str, Any] = {
        "zone": "GB",
        "scope": "direct",
        "kind": "forecast",
        "issued_at": START,
        "source": source,
        **changes,
    }
    return IntensitySeries(start_at=start_at, step=step, values=np.round(given), **fields)


def reading(*, step: ChainStep = "live", reason: str | None = None, known: bool = True, **changes: Any) -> Reading:
    """The series as the chain gives it."""
    query = Query(zone="GB", start_at=START, end_at=START + timedelta(hours=48), now_at=NOW, purpose="forecast")
    return Reading(series=series(**changes) if known else None, step=step, fallback_reason=reason, query=query)


def decision(**changes: Any) -> Decision:
    """Wait for the small hours."""
    start_at = datetime(2026, 11, 25, 8, tzinfo=UTC)
    later = start_at + timedelta(minutes=30)
    fields: dict[str, Any] = {
        "job_id": RUN_ID,
        "made_at": NOW,
        "zone": "GB",
        "policy": "greenest",
        "action": "wait",
        "windows": (Window(start_at=start_at, end_at=start_at + timedelta(hours=2)),),
        "at_once_g_per_kwh": 231.4,
        "expected_g_per_kwh": 100.9,
        "worst_g_per_kwh": 259.1,
        "expected_saving": 0.564,
        "alternatives": (
            Alternative(
                label="alternative",
                start_at=later,
                end_at=later + timedelta(hours=2),
                expected_g_per_kwh=101.6,
                expected_saving=0.561,
            ),
            Alternative(
                label="now", start_at=NOW, end_at=NOW + timedelta(hours=2), expected_g_per_kwh=231.4, expected_saving=0.0
            ),
        ),
        "reason": "waiting 15 h 15 min halves the intensity",
        **changes,
    }
    return Decision(**fields)


def run_at_once() -> Decision:
    """Waiting is not worth it."""
    return decision(
        action="run",
        windows=(Window(start_at=NOW, end_at=NOW + timedelta(hours=2)),),
        expected_g_per_kwh=231.4,
        expected_saving=0.0,
        reason="not worth waiting: 1.2 % is less than 3 %",
    )


class Answer:
    """Stands for api.PlanAnswer."""

    def __init__(self, chosen: Decision | None = None, read: Reading | None = None) -> None:
        self.decision = chosen or decision()
        self.reading = read or reading()
        limits = Constraints(earliest_at=NOW, deadline_at=NOW + timedelta(hours=24), duration=timedelta(hours=2))
        self.job = Job(id=RUN_ID, command=(), constraints=limits, zone="GB", submitted_at=NOW)

    def document(self) -> dict[str, Any]:
        """Enough to tell that it was printed."""
        return {"action": self.decision.action}


def component(**changes: Any) -> dict[str, Any]:
    """One component of an evidence document."""
    return {
        "component": "cpu",
        "machine_j": 500.0,
        "job_j": 360.0,
        "idle_j": 100.0,
        "meter": "rapl:package-0",
        "quality": "measured:counter",
        "low_j": 342.0,
        "high_j": 378.0,
        **changes,
    }


def evidence(**changes: Any) -> dict[str, Any]:
    """An evidence document as `evidence show --json` has it."""
    return {
        "run_id": RUN_ID,
        "command": ["python", "train.py"],
        "started_at": "2026-11-24T16:44:15Z",
        "ended_at": "2026-11-24T16:44:35.5Z",
        "exit_code": 0,
        "components": [component()],
        "it_kwh": 0.0001,
        "facility_kwh": 0.00012,
        "operational_g": 0.0264,
        "low_g": 0.0251,
        "high_g": 0.0277,
        "embodied_g": None,
        "water_l": None,
        "sci": {
            "value_g": None,
            "per": "run",
            "count": 1,
            "energy_kwh": 0.00012,
            "intensity_g_per_kwh": 220.0,
            "embodied_g": None,
        },
        "actual_g": 0.0264,
        "counterfactual_g": 0.0528,
        "saving_g": 0.0264,
        "saving_low_g": 0.0251,
        "saving_high_g": 0.0277,
        "random_start_g": 0.04,
        "verdict": "claimable",
        "intensity": {"provider": "uk", "zone": "GB", "kind": "observed", "basis": "average", "scope": "direct"},
        "decision": None,
        "provisional": False,
        "previous_sha256": "0" * 64,
        "sha256": "cd" * 32,
        **changes,
    }
