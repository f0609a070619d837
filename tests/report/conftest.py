"""A ledger without trainings: evidence documents of known numbers."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cli.conftest import cli, corner

__all__ = ["cli", "corner"]

for needed in ("jinja2", "matplotlib", "scipy"):
    pytest.importorskip(needed, reason="the extra [report] is not installed")


def document(phase: str, pair: int, joules: float, *, loss: float = 0.3, floor: float = 0.0, **changes: Any) -> dict[str, Any]:
    """Evidence of one run of an experiment: 200 g/kWh, a meter good to -10 and +20 %."""
    kwh = joules / 3.6e6
    labels = {
        "phase": phase,
        "pair_id": str(pair),
        "experiment": "E1",
        "quality_metric_name": "MAE",
        "quality_metric_value": repr(loss),
        "noise_floor_j": repr(floor),
        **changes.pop("labels", {}),
    }
    return {
        "run_id": f"{phase}-{pair}",
        "sha256": f"{pair}{phase}".encode().hex().ljust(64, "0"),
        "exit_code": 0,
        "started_at": "2026-11-24T09:00:00Z",
        "ended_at": "2026-11-24T09:00:10Z",
        "it_kwh": kwh,
        "facility_kwh": kwh,
        "operational_g": kwh * 200,
        "ranges": {"facility_kwh": [0.9 * kwh, 1.2 * kwh], "operational_g": [0.8 * kwh * 200, 1.3 * kwh * 200]},
        "quality": {"energy": "modelled", "intensity": "forecast"},
        "inputs": {"labels": labels, "machine": {"os": "Linux"}},
        **changes,
    }


def pairs(baseline: list[float], optimized: list[float], **changes: Any) -> list[dict[str, Any]]:
    """Evidence of an experiment: joules by pair."""
    numbered = enumerate(zip(baseline, optimized, strict=True), start=1)
    return [
        one for n, (b, o) in numbered for one in (document("baseline", n, b, **changes), document("optimized", n, o, **changes))
    ]
