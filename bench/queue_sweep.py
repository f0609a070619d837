"""A sweep and a long training through the daemon's own loop, in virtual time, on the real half-hours of 2020.

    python bench/queue_sweep.py [--sweeps 16] [--trainings 20] [--zones GB DE] [--json FILE]

Sweep: 21 runs of 1.5 h at 1 kW on 2 GPUs arrive together, a third each due 24, 48 and 96 h after they would have ended at
once, at moments spread over the year. They are submitted to a queue and run by `run_ticks`: what is saved is what the runs
drew where they really ran, beside the same queue begun at once. Forecast: perfect, or greenai's own (`lpr`, fitted on the
hourly means of what had been measured by then, every 4 weeks; it sees 72 h; the first 60 days only teach).
Training: 24 h of work, 48 h of slack, one GPU: in one piece, and in pieces where each resume costs 5 min of work done again;
saving beside a run at once, the resumes paid. Reads ../shared/data/halfhourly_2020; 15-minute values are averaged.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from greenai.engine.daemon import run_ticks
from greenai.engine.doors import Capacity, QueueDoors
from greenai.engine.read import Sources
from greenai.engine.tick import Memory
from greenai.logic.forecasting_lpr import rolling, rows_of
from greenai.logic.forecasting_profile import log_of
from greenai.logic.placing import greenest, interruptible
from greenai.model.intensity import Provider, Query, Request
from greenai.model.job import Constraints, Job
from greenai.model.queue import Ended, Submission
from greenai.model.series import FloatArray, IntensitySeries
from greenai.testing.clock import VirtualClock
from greenai.testing.fakes import FakeDoor
from greenai.testing.jobs import Behaviour, FakeJobExecutor
from greenai.testing.queue import MemoryQueue

sys.path.insert(0, str(Path(__file__).parent))
from packing import HOUR, SLOT, YEAR, read
from packing import series as series_of

RUNS, GPUS, RUN = 21, 2, timedelta(hours=1.5)
SLACKS_H = (24, 48, 96)
TRAINING, TRAINING_SLACK, RESUME_COST = timedelta(hours=24), timedelta(hours=48), timedelta(minutes=5)
LEADS, TEACH_H, REFIT_H = 72, 60 * 24, 28 * 24

Expect = Callable[[Query], IntensitySeries]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the runs of one queue drew, in grams at 1 kW each, and how many were late."""

    grams: float
    late: int
    legs: int


def perfect(whole: IntensitySeries) -> Expect:
    """What will be measured, from the present half hour to the end of what is asked."""
    return lambda query: whole.between(query.start_at, max(query.end_at, query.start_at + SLOT))


def own(whole: IntensitySeries) -> Expect:
    """greenai's own forecast, made anew each hour from hourly means; the present hour as measured."""
    actual = whole.values[: len(whole) // 2 * 2].reshape(-1, 2).mean(axis=1)
    first_hour = int(YEAR.timestamp() // 3600)
    rows = rows_of(log_of(actual), np.ones(len(actual), bool), first_hour=first_hour, leads=LEADS)
    seen: FloatArray = np.exp(np.clip(rolling(rows, list(range(TEACH_H, len(actual), REFIT_H)), len(actual)), 0, 8))

    def expect(query: Query) -> IntensitySeries:
        hour = (query.start_at - YEAR) // HOUR
        values = np.repeat(seen[hour - TEACH_H], 2)
        values[:2] = actual[hour]
        made = series_of(values, SLOT, whole.zone)
        source = type(made.source)(provider="bench", url="", fetched_at=YEAR, payload_sha256=str(hour))
        return IntensitySeries(start_at=YEAR + hour * HOUR, step=SLOT, values=values, zone=whole.zone, source=source)

    return expect


def live(drafts: list[Submission], works: list[Behaviour], whole: IntensitySeries, expect: Expect, at: datetime) -> Outcome:
    """Submit, run the daemon's loop until nothing is left, and add up what was drawn."""
    clock, runs, queue = VirtualClock(at), count(1), MemoryQueue()
    capacity = Capacity(amounts={"gpus": float(GPUS)})
    executor = FakeJobExecutor(clock, amounts=capacity.amounts)
    provider = Provider(
        name="bench", title="bench", live=True, covers=lambda _: True,
        requests=lambda *_: [Request(url="https://grid.invalid/")], parse=lambda _, query: expect(query),
    )  # fmt: skip
    doors = QueueDoors(
        clock=clock,
        sources=Sources(providers=(provider,), door=FakeDoor(clock, {"https://": "x"})),
        queue=queue,
        executors={"local": executor},
        capacity=capacity,
        policy={"greenest": greenest, "interruptible": interruptible}.__getitem__,
        new_run_id=lambda _: str(next(runs)),
        holder="bench",
        rest=clock.advance,
    )
    entries = queue.enqueue(drafts, at)
    executor.behaviours.update({entry.id: work for entry, work in zip(entries, works, strict=True)})
    run_ticks(doors, Memory(), stop=lambda: not queue.unfinished(), every=timedelta(minutes=5))
    grams, late, legs = 0.0, 0, 0
    for entry in queue.entries([entry.id for entry in entries]):
        assert isinstance(entry.status, Ended)
        assert entry.status.outcome == "completed"
        late += entry.status.ended_at > entry.submission.job.constraints.deadline_at
        spans = executor.spans(entry.id)
        legs += len(spans)
        grams += sum(whole.integral_g_per_kw(start_at, end_at) for start_at, end_at in spans)
    return Outcome(grams=grams, late=late, legs=legs)


def draft(at: datetime, duration: timedelta, slack: timedelta, zone: str, **limits: Any) -> Submission:
    """A job of one GPU at 1 kW."""
    policy = "interruptible" if limits.get("interruptible") else "greenest"
    job = Job(
        id="", command=("train",), zone=zone, submitted_at=at, power_w=1000.0, policy=policy,
        constraints=Constraints(earliest_at=at, deadline_at=at + duration + slack, duration=duration, **limits),
    )  # fmt: skip
    return Submission(job=job, cwd="/", demands={"gpus": 1.0})


def arrivals(whole: IntensitySeries, number: int, reach: timedelta) -> list[datetime]:
    """Hours spread evenly over what the data cover, after the days that only teach; at every hour of the day."""
    first_at = YEAR + TEACH_H * HOUR
    hours = int((whole.end_at - reach - first_at) / HOUR)
    return [first_at + (hours * place // number) * HOUR for place in range(number)]


def sweeps(zone: str, number: int) -> list[dict[str, Any]]:
    """Both forecasts over the same arrivals."""
    whole = read(zone)
    rows = []
    for name, expect in (("perfect", perfect(whole)), ("own (lpr)", own(whole))):
        begun_s = time.process_time()
        total_g = at_once_g = late = 0.0
        at_all = arrivals(whole, number, 140 * HOUR)
        for at in at_all:
            # Each ends so long after it would have ended had the queue begun at once, as in bench/packing.py.
            ends = [at + (place // GPUS + 1) * RUN for place in range(RUNS)]
            slacks = [timedelta(hours=SLACKS_H[place % 3]) for place in range(RUNS)]
            drafts = [draft(at, RUN, end + slack - at - RUN, zone) for end, slack in zip(ends, slacks, strict=True)]
            done = live(drafts, [Behaviour(work=RUN)] * RUNS, whole, expect, at)
            total_g += done.grams
            late += done.late
            at_once_g += sum(whole.integral_g_per_kw(end - RUN, end) for end in ends)
        seconds = time.process_time() - begun_s
        rows.append(
            {
                "zone": zone,
                "forecast": name,
                "sweeps": number,
                "saving": 1 - total_g / at_once_g,
                "late_per_sweep": late / number,
                "cpu_s_per_sweep": seconds / number,
            }
        )
    return rows


def trainings(zone: str, number: int) -> list[dict[str, Any]]:
    """In one piece and in pieces, with a perfect forecast."""
    whole = read(zone)
    rows = []
    for name, limits in (("one piece", {}), ("in pieces", {"interruptible": True, "resume_cost": RESUME_COST})):
        savings, legs = [], 0
        for at in arrivals(whole, number, 120 * HOUR):
            work = Behaviour(work=TRAINING, resume_cost=RESUME_COST)
            done = live([draft(at, TRAINING, TRAINING_SLACK, zone, **limits)], [work], whole, perfect(whole), at)
            assert not done.late
            legs += done.legs
            savings.append(1 - done.grams / whole.integral_g_per_kw(at, at + TRAINING))
        rows.append({"zone": zone, "training": name, "mean_saving": float(np.mean(savings)), "legs": legs / number})
    return rows


def main() -> None:
    """Print one line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=16)
    parser.add_argument("--trainings", type=int, default=20)
    parser.add_argument("--zones", nargs="+", default=["GB", "DE"])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    results = [row for zone in asked.zones for row in (*sweeps(zone, asked.sweeps), *trainings(zone, asked.trainings))]
    for row in results:
        print("  ".join(f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()))
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
