"""A sweep and a long training through the daemon's own loop, in virtual time, on the real half-hours of 2020.

    python bench/queue_sweep.py [--sweeps 24] [--trainings 6] [--zones GB DE] [--json FILE]

Sweep: 21 runs of 1.5 h at 1 kW on 2 GPUs arrive together, a third each due 24, 48 and 96 h after they would have ended at
once, at moments spread over the year. They are submitted to a queue and run by `run_ticks`: what is saved is what the runs
drew where they really ran, beside the same queue begun at once. "perfect": the forecast is what comes. "own": greenai's own
(`lpr`, by the path that a user's history file takes: fitted each day on the half hours measured by then, never on what
follows); the data begin with the year, so that a sweep in spring knows 60 days and one at its end a year. "own, once": the
packer alone on the first of these forecasts, never planned again. "bound": the linear programme over all starts, knowing what
comes: no schedule saves more. "worst" is the least saving of one sweep; "180 days known" are
those that arrive when at least so many days were measured.
Training: 24 h of work, 48 h of slack, one GPU: in one piece, and in pieces where each resume costs 5 min of work done again;
saving beside a run at once, the resumes paid.
Joint plan: jobs of 30 to 175 min, three priorities, 1 or 2 GPUs and 1 to 8 of 8 cores a GPU, on slots of 5 minutes.
Reads ../shared/data/halfhourly_2020; 15-minute values are averaged. Seconds are processor seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np

from greenai.engine.daemon import run_ticks
from greenai.engine.doors import Capacity, QueueDoors
from greenai.engine.foresee import foresee
from greenai.engine.foresight import Foresight
from greenai.engine.read import Sources
from greenai.engine.tick import Memory
from greenai.logic.packing import pack
from greenai.logic.placing import greenest, interruptible
from greenai.logic.queueing import Queue, place
from greenai.model.fleet import FleetJob
from greenai.model.intensity import Provider, Query, Request
from greenai.model.job import Constraints, Job
from greenai.model.queue import Ended, Submission
from greenai.model.series import IntensitySeries
from greenai.ports import Clock
from greenai.testing.clock import VirtualClock
from greenai.testing.fakes import FakeDoor
from greenai.testing.jobs import Behaviour, FakeJobExecutor
from greenai.testing.queue import MemoryQueue

sys.path.insert(0, str(Path(__file__).parent))
from packing import HOUR, SLOT, YEAR, least_sweep_g, read

RUNS, GPUS, RUN = 21, 2, timedelta(hours=1.5)
SLACKS_H = (24, 48, 96)
TRAINING, TRAINING_SLACK, RESUME_COST = timedelta(hours=24), timedelta(hours=48), timedelta(minutes=5)
TEACH_H = 60 * 24
WELL_KNOWN = timedelta(days=180)

Foretell = Callable[[Clock], Sources]
"""What a queue is told of the time ahead, at the moments of its clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the runs of one queue drew, in grams at 1 kW each, and how many were late."""

    grams: float
    late: int
    legs: int


def perfect(whole: IntensitySeries) -> Foretell:
    """What will be measured, from the present half hour to the end of what is asked."""

    def expect(query: Query) -> IntensitySeries:
        return whole.between(query.start_at, max(query.end_at, query.start_at + SLOT))

    provider = Provider(
        name="bench", title="bench", live=True, covers=lambda _: True,
        requests=lambda *_: [Request(url="https://grid.invalid/")], parse=lambda _, query: expect(query),
    )  # fmt: skip
    return lambda clock: Sources(providers=(provider,), door=FakeDoor(clock, {"https://": "x"}))


def own(whole: IntensitySeries) -> Foretell:
    """greenai's own forecast from a history file; the engine cuts it at the present moment."""
    file = Request(url="https://past.invalid/")
    foresight = Foresight(forecaster="lpr", file=file, asks=False, read_file=lambda _payload, _zone: (whole,))
    return lambda clock: Sources(providers=(), door=FakeDoor(clock, {"https://": "x"}), foresight=replace(foresight, kept={}))


def live(drafts: list[Submission], works: list[Behaviour], whole: IntensitySeries, foretell: Foretell, at: datetime) -> Outcome:
    """Submit, run the daemon's loop until nothing is left, and add up what was drawn."""
    clock, runs, queue = VirtualClock(at), count(1), MemoryQueue()
    capacity = Capacity(amounts={"gpus": float(GPUS)})
    executor = FakeJobExecutor(clock, amounts=capacity.amounts)
    doors = QueueDoors(
        clock=clock,
        sources=foretell(clock),
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


def limits_of(at: datetime) -> list[tuple[datetime, datetime]]:
    """When each run of a sweep would end at once, and its deadline, so long after that as its tier says (as in packing.py)."""
    ends = [at + (place // GPUS + 1) * RUN for place in range(RUNS)]
    return [(end_at, end_at + timedelta(hours=SLACKS_H[place % 3])) for place, end_at in enumerate(ends)]


def once(limits: list[tuple[datetime, datetime]], foretell: Foretell, whole: IntensitySeries, at: datetime) -> float:
    """Grams of a sweep packed on the forecast at its arrival and left there."""
    until_at = max(deadline_at for _, deadline_at in limits)
    query = Query(zone=whole.zone, start_at=at, end_at=until_at, now_at=at, purpose="forecast")
    known = foresee(query, sources=foretell(VirtualClock(at))).series
    assert known is not None
    jobs = fleet(limits, at)
    packing = pack(jobs, {whole.zone: known.between(at, min(until_at, known.end_at))}, {whole.zone: GPUS})
    assert not packing.unplaced
    windows = [window for allotment in packing.allotments for window in allotment.windows]
    return sum(whole.integral_g_per_kw(window.start_at, window.end_at) for window in windows)


def fleet(limits: list[tuple[datetime, datetime]], at: datetime) -> list[FleetJob]:
    return [
        FleetJob(id=str(place), duration=RUN, earliest_at=at, deadline_at=deadline_at)
        for place, (_, deadline_at) in enumerate(limits)
    ]


def sweep(whole: IntensitySeries, at: datetime) -> dict[str, Any]:
    """One sweep in grams: begun at once, by each forecast, and the least there is; who was late, and the seconds it took."""
    limits = limits_of(at)
    told = {"perfect": perfect(whole), "own": own(whole)}
    row: dict[str, Any] = {"at_once": sum(whole.integral_g_per_kw(end_at - RUN, end_at) for end_at, _ in limits), "late": {}}
    for name, foretell in told.items():
        begun_s = time.process_time()
        drafts = [draft(at, RUN, deadline_at - at - RUN, whole.zone) for _, deadline_at in limits]
        done = live(drafts, [Behaviour(work=RUN)] * RUNS, whole, foretell, at)
        row[name], row["late"][name], row[f"{name} s"] = done.grams, done.late, time.process_time() - begun_s
    row["own, once"] = once(limits, told["own"], whole, at)
    row["bound"] = least_sweep_g(fleet(limits, at), whole.between(at, max(due_at for _, due_at in limits)), GPUS)
    return row


def sweeps(zone: str, number: int) -> list[dict[str, Any]]:
    """All forecasts over the same arrivals."""
    whole = read(zone)
    at_all = arrivals(whole, number, 140 * HOUR)
    done = [sweep(whole, at) for at in at_all]
    knows = [row for row, at in zip(done, at_all, strict=True) if at - YEAR >= WELL_KNOWN]
    rows = [summed(zone, name, done, "all") for name in ("perfect", "own", "own, once", "bound")]
    return rows + [summed(zone, name, knows, f"{WELL_KNOWN.days} days known") for name in ("perfect", "own") if knows]


def summed(zone: str, forecast: str, done: list[dict[str, Any]], which: str) -> dict[str, Any]:
    savings = [1 - each[forecast] / each["at_once"] for each in done]
    live_s = [each[f"{forecast} s"] for each in done if f"{forecast} s" in each]
    return {
        "zone": zone,
        "forecast": forecast,
        "which": which,
        "sweeps": len(done),
        "saving_percent": round(100 * (1 - sum(each[forecast] for each in done) / sum(each["at_once"] for each in done)), 1),
        "median_percent": round(100 * float(np.median(savings)), 1),
        "worst_percent": round(100 * min(savings), 1),
        "late": sum(each["late"][forecast] for each in done) if forecast in done[0]["late"] else None,
        "cpu_s_a_sweep": round(sum(live_s) / len(done), 1) if live_s else None,
    }


def trainings(zone: str, number: int) -> list[dict[str, Any]]:
    """In one piece and in pieces, with both forecasts."""
    whole = read(zone)
    told = {"perfect": perfect(whole), "own": own(whole)}
    kinds: dict[str, dict[str, Any]] = {"one piece": {}, "pieces": {"interruptible": True, "resume_cost": RESUME_COST}}
    rows = []
    for (forecast, foretell), (name, limits) in product(told.items(), kinds.items()):
        savings, legs, late = [], 0, 0
        for at in arrivals(whole, number, 120 * HOUR):
            work = Behaviour(work=TRAINING, resume_cost=RESUME_COST)
            done = live([draft(at, TRAINING, TRAINING_SLACK, zone, **limits)], [work], whole, foretell, at)
            late, legs = late + done.late, legs + done.legs
            savings.append(1 - done.grams / whole.integral_g_per_kw(at, at + TRAINING))
        mean = round(100 * float(np.mean(savings)), 1)
        row = {"zone": zone, "forecast": forecast, "training": name, "trainings": number, "mean_saving_percent": mean}
        rows.append({**row, "legs": round(legs / number, 1), "late": late})
    return rows


def crowded(number: int, gpus: int, slack_h: float, whole: IntensitySeries) -> dict[str, Any]:
    """One joint plan of jobs that all differ, on slots of 5 minutes."""
    rng, at = np.random.default_rng(7), YEAR + timedelta(days=200)
    drafts = []
    for place_ in range(number):
        duration = timedelta(minutes=5 * int(rng.integers(6, 36)))
        made = draft(at, duration, timedelta(hours=slack_h * float(rng.uniform(0.5, 1))), whole.zone)
        needs = {"gpus": float(rng.integers(1, 3)), "cpus": float(rng.integers(1, 9))}
        drafts.append(replace(made, demands=needs, priority=place_ % 3))
    entries = MemoryQueue().enqueue(drafts, at)
    known = {whole.zone: whole.between(at, at + timedelta(days=8))}
    queue = Queue(movable=entries, series_by_zone=known, capacity=Capacity(amounts={"gpus": float(gpus), "cpus": 8.0 * gpus}))
    begun_s = time.process_time()
    found = place(queue, at, policy={"greenest": greenest}.__getitem__)
    took_s = time.process_time() - begun_s
    late = sum(placement.late for placement in found.values())
    return {"jobs": number, "gpus": gpus, "slack_h": f"{slack_h / 2:g} to {slack_h:g}", "late": late, "cpu_s": round(took_s, 2)}


CROWDS = ((10, 2, 12), (20, 4, 12), (20, 8, 12), (50, 4, 12), (50, 12, 12), (50, 4, 150), (100, 12, 24))


def main() -> None:
    """Print one line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweeps", type=int, default=24)
    parser.add_argument("--trainings", type=int, default=6)
    parser.add_argument("--zones", nargs="+", default=["GB", "DE"])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    tables = {
        f"Sweeps of {RUNS} runs x 1.5 h on {GPUS} GPUs, through the daemon": [
            row for zone in asked.zones for row in sweeps(zone, asked.sweeps)
        ],
        "A training of 24 h with 48 h of slack": [row for zone in asked.zones for row in trainings(zone, asked.trainings)],
        "One joint plan, nothing standing yet": [crowded(*crowd, read(asked.zones[0])) for crowd in CROWDS],
    }
    for title, rows in tables.items():
        print(f"\n**{title}**\n\n| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}")
        print("\n".join(f"| {' | '.join(str(value) for value in row.values())} |" for row in rows))
    if asked.json:
        asked.json.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
