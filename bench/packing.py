"""Many jobs under capacity: a sweep on real half-hours, and 2,000 jobs beside a linear programme's bound.

    python bench/packing.py [--step-h 13] [--jobs 2000] [--json FILE]

Sweep: 21 runs of 1.5 h at 1 kW on 2 GPUs arrive together, a third each due 24, 48 and 96 h after they would have ended at
once; perfect forecast; an arrival every --step-h hours of 2020 whose 97.5 h the data cover. Saving: 1 - sum of emissions /
sum of emissions when the queue starts at once. Its bound is the LP over all starts, in which a run may start in fractions:
no schedule of whole runs does better. Reads ../shared/data/halfhourly_2020; 15-minute values are averaged.
Many jobs: 1 to 4 h, slack 12, 24 or 48 h, on 336 hours of GB 2020. The bound is the LP in which every job may be cut and
moved in fractions (HiGHS, needs scipy): no schedule, whole or cut, does better. Seconds are processor seconds of `pack`.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from greenai.logic.packing import pack
from greenai.model.fleet import FleetJob
from greenai.model.series import IntensitySeries, Source

DATA = Path(__file__).parents[1] / ".." / "shared" / "data" / "halfhourly_2020"
HOUR = timedelta(hours=1)
SLOT = timedelta(minutes=30)
YEAR = datetime(2020, 1, 1, tzinfo=UTC)


def read(zone: str) -> IntensitySeries:
    """Half-hour means from 2020 on."""
    slots: dict[datetime, list[float]] = defaultdict(list)
    with (DATA / f"{zone}.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["start_utc"])
            slots[at.replace(minute=at.minute // 30 * 30)].append(float(row["g_per_kwh"]))
    values, at, last = [], YEAR, 0.0
    end = max(slots)
    while at <= end:
        last = float(np.mean(slots[at])) if at in slots else last
        values.append(last)
        at += SLOT
    return series(values, SLOT, zone)


def series(values: Any, step: timedelta, zone: str) -> IntensitySeries:
    source = Source(provider="bench", url="", fetched_at=YEAR, payload_sha256="0" * 64)
    return IntensitySeries(start_at=YEAR, step=step, values=np.array(values), zone=zone, source=source)


def sweep(zone: str, step_h: int) -> dict[str, Any]:
    whole = read(zone)
    packed_g = at_once_g = bound_g = 0.0
    late = sweeps = 0
    at = YEAR
    while at + 98 * HOUR <= min(whole.end_at, YEAR + timedelta(days=366)):
        jobs = [
            FleetJob(id=f"{k}", duration=1.5 * HOUR, earliest_at=at, deadline_at=at + (1.5 + (24, 48, 96)[k % 3]) * HOUR)
            for k in range(21)
        ]
        known = whole.between(at, at + 98 * HOUR)
        packing = pack(jobs, {zone: known}, {zone: 2})
        bound_g += least_sweep_g(jobs, known, 2) if find_spec("scipy") else 0.0
        packed_g, at_once_g = packed_g + packing.expected_g, at_once_g + (packing.at_once_g or 0)
        late, sweeps = late + len(packing.unplaced), sweeps + 1
        at += step_h * HOUR
    row = {"zone": zone, "sweeps": sweeps, "saving_percent": round(100 * (1 - packed_g / at_once_g), 2)}
    bound = round(100 * (1 - bound_g / at_once_g), 2) if bound_g else None
    return row | {"bound_percent": bound, "late": late}


def many(n: int, capacity: int, *, cut: bool) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    values = read("GB").values[: 2 * 336].reshape(-1, 2).mean(axis=1)
    jobs = []
    for k in range(n):
        hours, first = int(rng.integers(1, 5)), int(rng.integers(0, 330))
        end = first + hours + int(rng.choice([12, 24, 48]))
        first, end = max(first - max(end - 336, 0), 0), min(end, 336)
        limits = {"duration": hours * HOUR, "earliest_at": YEAR + first * HOUR, "deadline_at": YEAR + end * HOUR}
        jobs.append(FleetJob(id=str(k), interruptible=cut, **limits))
    start_s = time.process_time()
    packing = pack(jobs, {"GB": series(values, HOUR, "GB")}, {"GB": capacity})
    took_s = time.process_time() - start_s
    row = {
        "jobs": n,
        "slots": 336,
        "kind": "may be cut" if cut else "in one piece",
        "capacity": capacity,
        "cpu_s": round(took_s, 2),
    }
    saving = packing.expected_saving
    row |= {"saving_percent": round(100 * saving, 2) if saving is not None else None, "unplaced": len(packing.unplaced)}
    bound = least_g(jobs, values, capacity) if find_spec("scipy") and packing.at_once_g else None
    share = (packing.at_once_g - packing.expected_g) / (packing.at_once_g - bound) if bound and packing.at_once_g else None
    return row | {"share_of_lp_saving": round(share, 4) if share is not None else None}


def least_g(jobs: list[FleetJob], values: np.ndarray, capacity: int) -> float:
    """The LP's bound: each job spread over its window, at most one unit of it an hour."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_matrix

    spans = [((j.earliest_at - YEAR) // HOUR, (j.deadline_at - YEAR) // HOUR) for j in jobs]
    slots = np.concatenate([np.arange(a, b) for a, b in spans])
    owner = np.repeat(np.arange(len(jobs)), [b - a for a, b in spans])
    columns, ones = np.arange(len(slots)), np.ones(len(slots))
    answer = linprog(
        values[slots],
        A_ub=csr_matrix((ones, (slots, columns)), shape=(len(values), len(slots))),
        b_ub=np.full(len(values), capacity),
        A_eq=csr_matrix((ones, (owner, columns)), shape=(len(jobs), len(slots))),
        b_eq=[j.duration / HOUR for j in jobs],
        bounds=(0, 1),
        method="highs",
    )
    return float(answer.fun)


def least_sweep_g(jobs: list[FleetJob], known: IntensitySeries, capacity: int) -> float:
    """The LP over all starts of runs in one piece; runs with the same limits are one variable."""
    from scipy.optimize import linprog

    spans = [
        ((j.earliest_at - known.start_at) // SLOT, (j.deadline_at - known.start_at) // SLOT, j.duration // SLOT) for j in jobs
    ]
    kinds = sorted(set(spans))
    starts = [(kind, t) for kind, (first, end, length) in enumerate(kinds) for t in range(first, end - length + 1)]
    sums = np.concatenate(([0.0], np.cumsum(known.values)))
    held, owner = np.zeros((len(known), len(starts))), np.zeros((len(kinds), len(starts)))
    for column, (kind, t) in enumerate(starts):
        held[t : t + kinds[kind][2], column] = owner[kind, column] = 1
    costs = np.array([sums[t + kinds[kind][2]] - sums[t] for kind, t in starts]) * (SLOT / HOUR)
    counts = [spans.count(kind) for kind in kinds]
    answer = linprog(costs, A_ub=held, b_ub=np.full(len(known), capacity), A_eq=owner, b_eq=counts, method="highs")
    return float(answer.fun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--step-h", type=int, default=13)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    tables = {
        "Sweep of 21 runs x 1.5 h on 2 GPUs": [sweep(zone, asked.step_h) for zone in ("GB", "DE", "FR")],
        "Many jobs": [many(asked.jobs, c * asked.jobs // 2000, cut=cut) for cut in (True, False) for c in (20, 24, 40)],
    }
    for title, rows in tables.items():
        print(f"\n**{title}**\n\n| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}")
        print("\n".join(f"| {' | '.join(str(value) for value in row.values())} |" for row in rows))
    if asked.json:
        asked.json.write_text(json.dumps(tables, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
