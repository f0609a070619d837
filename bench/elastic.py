"""Elastic plans beside fixed sizes at the same deadline, on real half-hours; CarbonScaler's figures for comparison.

    python bench/elastic.py [--step-h 13] [--json FILE]

A job of 24 h (with one worker) arrives every --step-h hours of 2020 and must be done within 24, 36 or 48 h; the future is
known. Carbon-agnostic: one worker at once. Suspend-resume: one worker in the greenest time before the deadline, free resumes.
Elastic: our policy, up to eight workers, power in proportion to the workers; scaling is free. Savings: 1 - sum of emissions /
sum of emissions of the other. CarbonScaler (SIGMETRICS 2024) reports 51 % against agnostic and 37 % against suspend-resume,
on other traces, curves and deadlines: its figures are a yardstick, not a target met or missed.
Reads ../shared/data/halfhourly_2020; 15-minute values are averaged. Time is processor time of one plan of 48 h.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from packing import DATA, HOUR, read

from greenai.logic.elastic import elastic
from greenai.logic.placing import asap
from greenai.model.job import Constraints
from greenai.model.scaling import ScalingCurve
from greenai.model.series import IntensitySeries

CURVES = {
    "linear": {1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0},
    "good": {1: 1.0, 2: 1.9, 4: 3.4, 8: 5.6},
    "poor": {1: 1.0, 2: 1.6, 4: 2.4, 8: 3.2},
}
"""Throughput by workers: what all-reduce training shows in one machine, and across a slow network."""
WORK = 24 * HOUR
ONE = ScalingCurve.of({1: 1.0})


def costs(series: IntensitySeries, curve: ScalingCurve, room: timedelta, step: timedelta) -> dict[str, list[float]]:
    """Grams per kW of one worker at each arrival, and milliseconds of each elastic plan."""
    taken: dict[str, list[float]] = {"agnostic": [], "suspend": [], "elastic": [], "ms": []}
    at = series.start_at
    while at + room <= series.end_at:
        part = series.between(at, at + room)
        job = {"earliest_at": at, "deadline_at": at + room, "duration": WORK}
        begun_s = time.process_time()
        plan = elastic(part, Constraints(**job, scaling=curve), at)
        taken["ms"].append((time.process_time() - begun_s) * 1e3)
        taken["elastic"].append(plan.cost_g_per_kw)
        taken["suspend"].append(elastic(part, Constraints(**job, scaling=ONE), at).cost_g_per_kw)
        taken["agnostic"].append(asap(part, Constraints(**job), at).cost_g_per_kw)
        at += step
    return taken


def row(zone: str, series: IntensitySeries, curve: str, room_h: int, step_h: int) -> dict[str, Any]:
    """Savings in percent against both."""
    taken = costs(series, ScalingCurve.of(CURVES[curve]), room_h * HOUR, step_h * HOUR)
    total = {name: sum(values) for name, values in taken.items()}
    return {
        "zone": zone,
        "curve": curve,
        "done within h": room_h,
        "arrivals": len(taken["ms"]),
        "against agnostic %": round(100 * (1 - total["elastic"] / total["agnostic"]), 1),
        "against suspend-resume %": round(100 * (1 - total["elastic"] / total["suspend"]), 1),
        "ms a plan": round(statistics.median(taken["ms"]), 2),
    }


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step-h", type=int, default=13)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("this benchmark needs ../shared/data/halfhourly_2020")
    rows = [
        row(zone, series, curve, room_h, options.step_h)
        for zone in ("GB", "DE", "FR")
        for series in (read(zone),)
        for curve in CURVES
        for room_h in (24, 36, 48)
    ]
    print(f"| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}")
    for line in rows:
        print(f"| {' | '.join(str(value) for value in line.values())} |")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
