"""Plans per second, and regret, of greenai and of CATS 1.2.1, the two taken in turn in one run.

    python bench/planner.py --cats-python PATH/TO/cats-venv/bin/python [--rounds 9] [--json FILE]

Without --cats-python CATS is used if it can be imported here, else greenai stands alone. Its environment:
    python -m venv /tmp/cats && /tmp/cats/bin/pip install -r bench/requirements-peers.txt

What is timed: one plan = the search of one job's greenest uninterrupted start over every start whose run the forecast
covers, forecast already in memory. greenai: `Constraints(...)` and `greenest(...)`; batched: `greenest_starts(...)` on
all jobs at once. CATS: `WindowedForecast(...)`, `wf[0]` and `min(wf)`, as its command line does. Regret: what the chosen
start emits over the least there is, both searched between now and CATS's last candidate, priced on the half-hour means
as published, the least found by trying every minute. Real half-hours are read from ../shared/data/halfhourly_2020
where it is there, else a synthetic year is drawn, and the table says so.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

DATA = Path(__file__).parents[1] / ".." / "shared" / "data" / "halfhourly_2020"
ZONES = ("GB", "FR", "DE")
T0 = datetime(2020, 1, 1, tzinfo=UTC)
SLOT = 30
"""Minutes in a slot."""
CATS = "CATS 1.2.1"
LENGTHS = {"10 to 29 min": (10, 29), "30 min to 2 h": (30, 120), "2 to 8 h": (121, 480), "8 to 24 h": (481, 1440)}
"""Run times in minutes."""


@dataclass(frozen=True, slots=True)
class Task:
    """A job: minutes from the first slot's start to now, and its run time in minutes."""

    now: int
    length: int


# --- CATS, in its own environment: JSON lines in and out; this part must import nothing but the standard library and CATS


def serve_cats() -> None:
    """Answer {values, tasks, window in minutes or null} with {seconds, starts, candidates}; seconds of the planning alone."""
    from cats.forecast import PointEstimate, WindowedForecast

    for line in sys.stdin:
        request = json.loads(line)
        points = [PointEstimate(value, T0 + timedelta(minutes=SLOT * i)) for i, value in enumerate(request["values"])]
        tasks = [(T0 + timedelta(minutes=now), length) for now, length in request["tasks"]]
        chosen = []
        begun_s = time.perf_counter()
        for now_at, length in tasks:
            forecast = WindowedForecast(points, length, start=now_at, max_window_minutes=request["window"])
            _at_once, best = forecast[0], min(forecast)
            chosen.append((best.start, len(forecast)))
        seconds = time.perf_counter() - begun_s
        starts = [(start - T0) / timedelta(minutes=1) for start, _ in chosen]
        answer = {"seconds": seconds, "starts": starts, "candidates": [count for _, count in chosen]}
        print(json.dumps(answer), flush=True)


class Cats:
    """CATS in its own process."""

    def __init__(self, python: str, stack: ExitStack) -> None:
        command = [python, str(Path(__file__)), "--serve-cats"]
        self._process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        stack.callback(self._pipe(self._process.stdin).close)

    @staticmethod
    def _pipe(stream: IO[str] | None) -> IO[str]:
        if stream is None:
            raise SystemExit("the CATS process has no pipe")
        return stream

    def plan(self, values: Sequence[float], tasks: Sequence[Task], window: int | None = None) -> dict[str, Any]:
        """Its answer to these tasks; `window` is the longest wait in minutes."""
        request = {"values": list(values), "tasks": [(task.now, task.length) for task in tasks], "window": window}
        stream = self._pipe(self._process.stdin)
        stream.write(json.dumps(request) + "\n")
        stream.flush()
        line = self._pipe(self._process.stdout).readline()
        if not line:
            raise SystemExit("CATS ended without an answer; is it installed in the environment of --cats-python?")
        answer: dict[str, Any] = json.loads(line)
        return answer


# --- greenai


def series_of(values: Sequence[float]) -> Any:
    """The values as greenai's series."""
    import numpy as np

    from greenai.model.series import IntensitySeries, Source

    source = Source(provider="bench", url="", fetched_at=T0, payload_sha256="")
    return IntensitySeries(start_at=T0, step=timedelta(minutes=SLOT), values=np.array(values), zone="XX", source=source)


def plan_singly(series: Any, tasks: Sequence[Task], last: Sequence[int] | None = None) -> tuple[float, list[float]]:
    """Seconds, and the start of each task in minutes; `last` is the latest start of each, by default what the series covers."""
    from greenai.logic.placing import greenest
    from greenai.model.job import Constraints

    asked = [
        (T0 + timedelta(minutes=task.now), timedelta(minutes=task.length), T0 + timedelta(minutes=latest + task.length))
        for task, latest in zip(tasks, last or [len(series) * SLOT - task.length for task in tasks], strict=True)
    ]
    plans = []
    begun_s = time.perf_counter()
    for now_at, duration, deadline_at in asked:
        plans.append(greenest(series, Constraints(earliest_at=now_at, deadline_at=deadline_at, duration=duration), now_at))
    seconds = time.perf_counter() - begun_s
    return seconds, [(plan.windows[0].start_at - T0) / timedelta(minutes=1) for plan in plans]


def plan_batched(series: Any, tasks: Sequence[Task]) -> float:
    """Seconds of planning all tasks at once."""
    import numpy as np

    from greenai.logic.placing import greenest_starts

    now_s, length_s = (np.array([getattr(task, name) * 60.0 for task in tasks]) for name in ("now", "length"))
    begun_s = time.perf_counter()
    greenest_starts(series, now_s, np.inf, length_s)
    return time.perf_counter() - begun_s


# --- data and tasks


def half_hours(path: Path) -> list[float]:
    """Half-hour means of a series file; an hour's value serves both its halves."""
    by_slot: dict[int, list[float]] = {}
    with path.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            start_at = datetime.fromisoformat(row["start_utc"])
            slot = (start_at - datetime(2019, 1, 1, tzinfo=UTC)) // timedelta(minutes=SLOT)
            by_slot.setdefault(slot, []).append(float(row["g_per_kwh"]))
    values: list[float] = []
    for slot in range(min(by_slot), max(by_slot) + 1):
        values.append(statistics.fmean(by_slot[slot]) if slot in by_slot else values[-1])
    return values


def years() -> tuple[str, dict[str, list[float]]]:
    """Where the half-hours come from, and a year of them by zone."""
    if all((DATA / f"{zone}.csv").exists() for zone in ZONES):
        return "real half-hours of 2020", {zone: half_hours(DATA / f"{zone}.csv") for zone in ZONES}
    from math import cos, pi

    rng, level, values = random.Random(1), 0.0, []
    for i in range(17_520):
        level = 0.98 * level + rng.gauss(0, 8)
        values.append(max(5.0, 200 + 60 * cos(2 * pi * i / 48) + level))
    return "a SYNTHETIC year (no ../shared/data/halfhourly_2020 here)", {"synthetic": values}


def tasks_for(rng: random.Random, how_many: int, lengths: tuple[int, int]) -> list[Task]:
    """Jobs that arrive inside the first slot."""
    return [Task(now=rng.randrange(SLOT), length=rng.randint(*lengths)) for _ in range(how_many)]


# --- tables


def speed(year: Sequence[float], cats: Cats | None, rounds: int) -> list[dict[str, Any]]:
    """Plans per second at 96 and 384 slots; each round takes every planner once."""
    rows = []
    for slots in (96, 384):
        planners = planners_of(year[:slots], cats)
        taken = [{name: planner() for name, planner in planners.items()} for _ in range(rounds + 2)][2:]
        seconds = {name: [turn[name] for turn in taken] for name in planners}
        rows += [speed_row(slots, name, times, seconds.get(CATS)) for name, times in seconds.items()]
    return rows


def planners_of(values: Sequence[float], cats: Cats | None) -> dict[str, Callable[[], float]]:
    """Seconds per plan, by planner; one by one all plan the same 40 jobs."""
    rng, series = random.Random(2), series_of(values)
    few, many = tasks_for(rng, 40, (10, 480)), tasks_for(rng, 10_000, (10, 480))
    planners: dict[str, Callable[[], float]] = {
        "greenai, one by one": lambda: plan_singly(series, few)[0] / len(few),
        "greenai, batched": lambda: plan_batched(series, many) / len(many),
    }
    if cats:
        planners[CATS] = lambda: cats.plan(values, few)["seconds"] / len(few)
    return planners


def speed_row(slots: int, name: str, times: Sequence[float], cats_times: Sequence[float] | None) -> dict[str, Any]:
    """Median and quartiles over the rounds; the ratio is the median of the rounds' ratios."""
    low, middle, high = statistics.quantiles(times, n=4)
    ratios = [theirs / ours for ours, theirs in zip(times, cats_times or [], strict=bool(cats_times))]
    return {
        "slots": slots,
        "planner": name,
        "plans_per_second": round(1 / middle),
        "us_per_plan": round(middle * 1e6, 2),
        "quartiles_us": f"{low * 1e6:.3g} to {high * 1e6:.3g}",
        "times_CATS": round(statistics.median(ratios), 1) if ratios else None,
    }


def regret(data: Mapping[str, Sequence[float]], cats: Cats | None, how_many: int) -> list[dict[str, Any]]:
    """Regret in percent by slack and run time, over random 48 h forecasts of every zone."""
    rng, rows = random.Random(3), []
    for window in (6 * 60, None):
        for label, lengths in LENGTHS.items():
            losses: dict[str, list[float]] = {"greenai": [], CATS: []}
            for zone in data:
                for _ in range(how_many):
                    first = rng.randrange(len(data[zone]) - 96)
                    (task,) = tasks_for(rng, 1, lengths)
                    for name, loss in losses_of(data[zone][first : first + 96], task, window, cats).items():
                        losses[name].append(loss)
            slack = f"{window // 60} h" if window else "all of it"
            rows += [regret_row(slack, label, name, values) for name, values in losses.items() if values]
    return rows


def losses_of(values: Sequence[float], task: Task, window: int | None, cats: Cats | None) -> dict[str, float]:
    """Regret of each planner on one job, in percent, over the starts up to CATS's last candidate."""
    import numpy as np

    last = min(len(values) * SLOT - task.length, task.now + (window or len(values) * SLOT))
    answer = cats.plan(values, [task], window) if cats else None
    if answer:
        last = min(last, task.now + (answer["candidates"][0] - 1) * SLOT)
    sums = np.concatenate(([0.0], np.cumsum(np.repeat(values, SLOT))))
    costs = sums[task.now + task.length : last + task.length + 1] - sums[task.now : last + 1]
    series = series_of(values)
    starts = {"greenai": plan_singly(series, [task], [last])[1][0]}
    if answer:
        starts[CATS] = answer["starts"][0]
    paid = {name: series.mean_g_per_kwh(*span(start, task.length)) * task.length for name, start in starts.items()}
    return {name: (cost / float(costs.min()) - 1) * 100 for name, cost in paid.items()}


def span(start: float, length: int) -> tuple[datetime, datetime]:
    """A run in minutes as two moments."""
    start_at = T0 + timedelta(minutes=start)
    return start_at, start_at + timedelta(minutes=length)


def regret_row(slack: str, label: str, name: str, losses: Sequence[float]) -> dict[str, Any]:
    """Mean, tail and worst; what lies below the noise of floats is 0."""
    losses = [loss if abs(loss) > 1e-7 else 0.0 for loss in losses]
    return {
        "slack": slack,
        "run_time": label,
        "planner": name,
        "plans": len(losses),
        "mean_regret_percent": float(f"{statistics.fmean(losses):.3g}"),
        "p95_percent": float(f"{statistics.quantiles(losses, n=20)[-1]:.3g}"),
        "worst_percent": float(f"{max(losses):.3g}"),
    }


def segments(year: Sequence[float], rounds: int) -> list[dict[str, Any]]:
    """Milliseconds of one interruptible plan, now inside a slot, resumes of six minutes, chunks of an hour."""
    from greenai.logic.placing import interruptible
    from greenai.model.job import Constraints

    rows = []
    for slots, hours in ((96, 4), (96, 12), (336, 12), (336, 24), (336, 48)):
        times = []
        for turn in range(rounds):
            series = series_of(year[turn * 1000 : turn * 1000 + slots])
            now_at = T0 + timedelta(minutes=7)
            job = Constraints(
                earliest_at=now_at,
                deadline_at=series.end_at,
                duration=timedelta(hours=hours),
                resume_cost=timedelta(minutes=6),
                min_chunk=timedelta(hours=1),
            )
            begun_s = time.perf_counter()
            interruptible(series, job, now_at)
            times.append((time.perf_counter() - begun_s) * 1e3)
        row = {"slots": slots, "work_h": hours, "median_ms": round(statistics.median(times), 2)}
        rows.append({**row, "slowest_ms": round(max(times), 2), "weeks": rounds})
    return rows


def machine_line() -> str:
    """What it ran on."""
    import numpy as np

    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    cpu = next((line.split(":", 1)[1].strip() for line in cpuinfo.splitlines() if "model name" in line), platform.machine())
    load = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    return f"{cpu}, {os.cpu_count()} cores (load {load}), Python {platform.python_version()}, numpy {np.__version__}"


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A Markdown table."""
    lines = [[name.replace("_", " ") for name in rows[0]], ["---"] * len(rows[0])]
    lines += [
        ["-" if value is None else f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()]
        for row in rows
    ]
    print(f"\n### {title}\n")
    print("\n".join(f"| {' | '.join(line)} |" for line in lines))


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cats-python", help="the Python of an environment that has CATS")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=300, help="jobs per zone and run time in the regret table")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    parser.add_argument("--serve-cats", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_cats:
        serve_cats()
        return
    source, data = years()
    python = options.cats_python or (sys.executable if find_spec("cats") else None)
    with ExitStack() as stack:
        cats = Cats(python, stack) if python else None
        tables = {
            "One window: plans per second": speed(next(iter(data.values())), cats, options.rounds),
            f"One window: regret on {source}, 48 h ahead": regret(data, cats, options.jobs),
            "Segments: one interruptible plan": segments(next(iter(data.values())), options.rounds),
        }
    print(machine_line() if python else f"{machine_line()}; CATS is not here (see --cats-python)")
    for title, rows in tables.items():
        show(title, rows)
    if options.json:
        options.json.write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
