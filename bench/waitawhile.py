"""The tables of "Let's Wait Awhile" (Wiesner et al., Middleware 2021) made again, side by side with the published figures.

    python bench/waitawhile.py [--json FILE]

Reads ../shared/data/halfhourly_2020 where it is there: the authors' own data (ENTSO-E generation x IPCC factors), of
which they use the values at minute 0 and 30. What their paper and public simulator (github.com/dos-group/lets-wait-awhile)
say and we follow, so that the figures can be compared:

* Nightly: a job of one slot at 01:00 on 365 days (of a leap year), moved to the lowest of the 33 slots from 8 h before to
  8 h after, both included. The first night's window begins before the data and is left out, but the sum is still divided
  by 365. The column "all nights alike" leaves that night out of run-now too: .2 to .3 points less.
* ML project: 3,387 jobs of 4 to 90 h, submitted on workdays from 9:00 to 17:00, drawn by numpy's default generator with
  seed 0. Deadline: the end of run-now if that is on a workday from 9:00 to 17:00, else 9:00 of the next workday
  ("next workday"), or the next Monday or Thursday at 9:00 ("semi-weekly"). Forecast: the truth plus independent noise of
  5 % of the year's mean, the mean of ten draws (seeds 0 to 9); planned once. That is nearly an oracle: no real forecast.
* Interruptible: exactly as many of the lowest slots as the job needs. Their kernel takes all slots up to a limit, which
  overruns on ties; with noise there are none.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenai.logic.backtesting_baselines import lowest_slots
from greenai.logic.backtesting_kernel import window_sums
from greenai.model.series import FloatArray

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "halfhourly_2020"
FIRST_AT, SLOT = datetime(2020, 1, 1, tzinfo=UTC), timedelta(minutes=30)
DAY, NIGHTS, DRAWS = 48, 365, 10
NIGHTLY_AT, REACH = 2, 16
JOBS, SHORTEST_MIN, LONGEST_MIN, OPENS_MIN, CLOSES_MIN = 3387, 240, 5400, 540, 1020
NOISE, WITHIN_POINTS = 0.05, 0.15
ZONES = ("DE", "GB", "FR")
PUBLISHED_NIGHTLY = {"DE": 13.8, "GB": 10.4, "FR": 7.8}
PUBLISHED = {
    ("next workday", "contiguous"): {"DE": 5.91, "GB": 6.56, "FR": 4.77},
    ("next workday", "interruptible"): {"DE": 7.93, "GB": 9.03, "FR": 5.92},
    ("semi-weekly", "contiguous"): {"DE": 14.12, "GB": 14.83, "FR": 11.21},
    ("semi-weekly", "interruptible"): {"DE": 18.09, "GB": 19.74, "FR": 13.42},
}

Jobs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""First slot and length in slots of each job."""


def intensities(zone: str) -> FloatArray:
    """The year's values of each half hour, g/kWh; of a finer series those at its beginning, as the authors take them."""
    with (DATA / f"{zone}.csv").open(encoding="utf-8", newline="") as lines:
        read = [(datetime.fromisoformat(row["start_utc"]), float(row["g_per_kwh"])) for row in csv.DictReader(lines)]
    return np.array([value for at, value in read if at >= FIRST_AT and at.minute % 30 == 0])


def nightly(actual: FloatArray) -> tuple[float, float]:
    """Savings in per cent: as published, and with the same nights on both sides."""
    nights = np.arange(NIGHTS) * DAY + NIGHTLY_AT
    whole = nights[nights >= REACH]
    now_g, moved_g = actual[nights].sum(), sum(actual[at - REACH : at + REACH + 1].min() for at in whole)
    return 100 * float(1 - moved_g / now_g), 100 * float(1 - moved_g / actual[whole].sum())


def ml_jobs() -> Jobs:
    """The jobs of the ML project, drawn in the authors' order: jobs per workday, their starts day by day, their lengths."""
    rng = np.random.default_rng(0)
    workdays = [day for day in range(366) if (FIRST_AT + timedelta(days=day)).weekday() < 5]
    per_day = rng.multinomial(JOBS, [1 / len(workdays)] * len(workdays))
    at_min = [np.sort(rng.choice(range(OPENS_MIN, CLOSES_MIN, 30), size=count)) for count in per_day]
    starts = [day * DAY + minutes // 30 for day, minutes in zip(workdays, at_min, strict=True)]
    return np.concatenate(starts), rng.choice(range(SHORTEST_MIN, LONGEST_MIN, 30), size=JOBS) // 30


def due_at(end_at: datetime, rule: str) -> datetime:
    """When a job that run-now would end at `end_at` is due."""
    nine, late = end_at.replace(hour=9, minute=0), end_at.hour + end_at.minute / 60
    day = end_at.weekday()
    if rule == "semi-weekly":
        to_thursday = (day == 0 and late > 9) or day in (1, 2) or (day == 3 and late <= 9)
        return nine + timedelta(days=3 - day if to_thursday else -day % 7)
    if day >= 5 or late > 17:
        return nine + timedelta(days=2 if day == 5 else 1)
    return nine if late < 9 else end_at


def slacks(jobs: Jobs, rule: str) -> NDArray[np.int64]:
    """Slots each job may wait. (A Friday evening's next workday is, as the authors have it, Saturday 9:00.)"""
    ends = [FIRST_AT + int(end) * SLOT for end in jobs[0] + jobs[1]]
    return np.array([(due_at(end_at, rule) - end_at) // SLOT for end_at in ends])


def planned_g(actual: FloatArray, said: FloatArray, job: tuple[int, int, int], kind: str) -> float:
    """Grams per kW and slot of one job (first slot, length, slack) planned on what was said and priced on what came."""
    first, length, slack = job
    seen = said[None, first : first + length + slack]
    if kind == "interruptible":
        return float(actual[first : first + seen.shape[1]][lowest_slots(seen, length)[0]].sum())
    start = first + int(window_sums(seen, length).argmin())
    return float(actual[start : start + length].sum())


def project(actual: FloatArray, jobs: Jobs, rule: str, kind: str) -> float:
    """The saving of the ML project in per cent, the mean of the draws of noise."""
    whole = list(zip(*(column.tolist() for column in (*jobs, slacks(jobs, rule))), strict=True))
    now_g = sum(actual[first : first + length].sum() for first, length, _ in whole)
    spread = NOISE * actual.mean()
    drawn = (actual + np.random.default_rng(seed).normal(0, spread, len(actual)) for seed in range(DRAWS))
    drawn_g = float(np.mean([sum(planned_g(actual, said, job, kind) for job in whole) for said in drawn]))
    return 100 * (1 - drawn_g / float(now_g))


def beside(published: float, ours: float) -> dict[str, Any]:
    """Published and ours in per cent, their difference in points, and whether it is within the tolerance."""
    off = round(ours - published, 2)
    within = abs(off) <= WITHIN_POINTS
    return {"published_percent": published, "ours_percent": round(ours, 2), "difference_points": off, "within": within}


def rows() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line with the title of its table."""
    jobs = ml_jobs()
    for zone in ZONES:
        actual = intensities(zone)
        theirs, alike = nightly(actual)
        line = {"zone": zone, **beside(PUBLISHED_NIGHTLY[zone], theirs), "all_nights_alike_percent": round(alike, 2)}
        yield "Let's Wait Awhile: nightly job at 01:00, 8 h either way", line
        for (rule, kind), published in PUBLISHED.items():
            line = {"zone": zone, "deadline": rule, "job": kind, **beside(published[zone], project(actual, jobs, rule, kind))}
            yield "Let's Wait Awhile: ML project, 5 % noise", line


def main() -> None:
    """Make the tables, print them, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the tables here too")
    options = parser.parse_args()
    tables: dict[str, list[dict[str, Any]]] = {}
    if DATA.exists():
        for title, line in rows():
            tables.setdefault(title, []).append(line)
            print(line, flush=True)
    else:
        tables[""] = [{"what": "no data beside the checkout, not run"}]
        print(f"nothing to play: {DATA.name} is not beside the checkout (see bench/README.md)")
    if options.json:
        options.json.write_text(json.dumps(tables, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
