"""One tick over ten thousand waiting jobs when a new forecast has come, and one when nothing has.

    python bench/queue_tick.py [--jobs 10000] [--json FILE]

Jobs of 1 to 4 h with slack from 12 to 72 h on 400 GPUs, on a made-up week of half hours: arrays (12 kinds of jobs), and jobs
that all differ in when they are due. The queue is the durable one, in a temporary directory; launches cost nothing here but
what the tick does for them. Seconds of a clock on the wall, and in brackets of the processor: a busy machine stretches the
first. `plan alone` is the joint plan that is part of the tick.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from greenai.adapters.store.queue import DurableQueue
from greenai.engine.doors import Capacity, QueueDoors
from greenai.engine.read import Sources
from greenai.engine.tick import Memory, tick
from greenai.logic.placing import greenest
from greenai.logic.queueing import Queue, place
from greenai.model.intensity import Provider, Query, Request
from greenai.model.job import Constraints, Job
from greenai.model.queue import Alive, RunState, Submission, Task
from greenai.model.series import IntensitySeries, Source
from greenai.testing.clock import VirtualClock
from greenai.testing.fakes import FakeDoor

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR, SLOT = timedelta(hours=1), timedelta(minutes=30)
GPUS = 400.0


class Engine:
    """Starts what it is told to start, in no time."""

    name = "local"

    def launch(self, task: Task) -> str:
        return task.run_id

    def look(self, run_id: str, handle: str) -> RunState:
        return Alive(handle=run_id)

    def pause(self, run_id: str, handle: str, way: str = "auto") -> None:
        raise AssertionError("nothing here gives way")

    resume = stop = pause


def expected(query: Query, issue: int) -> IntensitySeries:
    """Days with a clean noon, each forecast a little different."""
    rng = np.random.default_rng(issue)
    hours = np.arange(7 * 48) / 2
    values = 220 - 90 * np.cos((hours - 1) / 24 * 2 * np.pi) + rng.normal(0, 6, len(hours)).cumsum().clip(-70, 70)
    source = Source(provider="bench", url="", fetched_at=NOON, payload_sha256=str(issue))
    return IntensitySeries(start_at=NOON, step=SLOT, values=values, zone=query.zone, source=source)


def drafts(number: int, *, alike: bool) -> list[Submission]:
    """Jobs of one GPU."""
    rng = np.random.default_rng(7)
    made = []
    for place_ in range(number):
        kind = place_ * 12 // number
        hours = 1 + kind % 4 if alike else float(rng.integers(2, 9)) / 2
        slack = (24, 48, 72)[kind % 3] if alike else float(rng.uniform(12, 72))
        duration = hours * HOUR
        limits = Constraints(earliest_at=NOON, deadline_at=NOON + duration + (slack + 48) * HOUR, duration=duration)
        job = Job(id="", command=("train", str(place_)), zone="GB", submitted_at=NOON, constraints=limits)
        made.append(Submission(job=job, cwd="/", demands={"gpus": 1.0}))
    return made


def measured(number: int, home: Path, *, alike: bool) -> dict[str, Any]:
    """Ticks until all is planned, then one on a new forecast, then one with no news."""
    clock, issue, runs = VirtualClock(NOON), count(), count()
    provider = Provider(
        name="bench", title="bench", live=True, covers=lambda _: True,
        requests=lambda *_: [Request(url="https://grid.invalid/")], parse=lambda _, query: expected(query, next(issue)),
    )  # fmt: skip
    queue = DurableQueue(home)
    queue.enqueue(drafts(number, alike=alike), NOON)
    doors = QueueDoors(
        clock=clock,
        sources=Sources(providers=(provider,), door=FakeDoor(clock, {"https://": "x"})),
        queue=queue,
        executors={"local": Engine()},
        capacity=Capacity(amounts={"gpus": GPUS}),
        policy=lambda _: greenest,
        new_run_id=lambda _: str(next(runs)),
        holder="bench",
        rest=clock.advance,
    )
    memory = Memory()
    settled(clock, doors, memory)
    started = tick_on_news(clock, doors, memory, queue)
    settled(clock, doors, memory)
    full = tick_on_news(clock, doors, memory, queue)
    settled(clock, doors, memory)
    quiet, _ = timed(lambda: tick(clock.now(), doors, memory))
    movable = [entry for entry in queue.unfinished() if not entry.takes_room]
    staying = [entry for entry in queue.unfinished() if entry.takes_room]
    grids = {"GB": expected(Query(zone="GB", start_at=NOON, end_at=NOON, now_at=NOON, purpose="forecast"), 99)}
    problem = Queue(movable=movable, staying=staying, series_by_zone=grids, capacity=doors.capacity)
    planning, placements = timed(lambda: place(problem, clock.now(), policy=doors.policy))
    return {"jobs": "arrays" if alike else "all different", "waiting": len(movable),
            "late": sum(placement.late for placement in placements.values()), **started,
            **{f"{name}, again": value for name, value in full.items()}, "no news": quiet, "plan alone": planning}  # fmt: skip


def settled(clock: VirtualClock, doors: QueueDoors, memory: Memory) -> None:
    """Ticks until all is written."""
    while tick(clock.now(), doors, memory).wake_at - clock.now() < 2 * timedelta(seconds=1):
        pass


def tick_on_news(clock: VirtualClock, doors: QueueDoors, memory: Memory, queue: DurableQueue) -> dict[str, Any]:
    """A tick half an hour later, on another forecast; what it launched and wrote."""
    clock.advance(timedelta(minutes=30))
    before = queue.mark()
    took, done = timed(lambda: tick(clock.now(), doors, memory))
    return {"new forecast": took, "launched": len(done.launched), "bytes written": queue.mark() - before}


def timed(do: Callable[[], Any]) -> tuple[str, Any]:
    """Wall and processor seconds, and what came of it."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    found = do()
    return f"{time.perf_counter() - wall_s:.2f} s ({time.process_time() - cpu_s:.2f} s)", found


def main() -> None:
    """Print one line for each kind of queue."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows = []
    for alike in (True, False):
        with tempfile.TemporaryDirectory() as home:
            rows.append(measured(asked.jobs, Path(home), alike=alike))
        print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
