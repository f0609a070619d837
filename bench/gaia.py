"""The policies of GAIA (Hanafy et al., ASPLOS 2024) on its jobs: do they come in the published order?

    python bench/gaia.py [--zones AU-VIC GB] [--json FILE]

Reads ../shared/data where it is there: GAIA's own 1,000 jobs of the Alibaba PAI trace (workload_pai_1k.csv), and our hourly
series. GAIA played them on South Australia from hour 7000 of its third year, a trace that is not there: the neighbours
AU-VIC and AU-NSW and fourteen other grids stand in its place, from hour 7000 of 2022. So the order can be compared, the figures
cannot. As in GAIA: the truth is the forecast; jobs up to 2 h may wait 6 h, longer ones 24 h; grams are weighted by
CPUs; lowest window and carbon-time know only the mean length of the job's class, tried at whole hours from arrival;
threshold is Ecovisor's 30th percentile of the next 24 h; Wait Awhile takes the lowest slots of the true length. Time
is counted in steps of five minutes (GAIA: five seconds): jobs are 300 s or longer.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from greenai.logic.backtesting_baselines import lowest_slots, runs_on_signal
from greenai.logic.backtesting_kernel import window_sums
from greenai.model.series import FloatArray

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
STEP_S, PER_HOUR, DAY = 300, 12, 24 * 12
FIRST_H, PERIOD_H = 7000, 720
YEAR_H = 8760
SHORT_S = 7200
TITLE = "GAIA's policies: carbon as a share of run-now's"
PUBLISHED = {"lowest slot": 0.780, "carbon-time": 0.725, "lowest window": 0.684, "threshold": 0.639, "wait awhile": 0.608}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job in steps: its arrival, its length, how long it may wait, the mean length of its class; and its CPUs."""

    arrival: int
    length: int
    slack: int
    typical: int
    cpus: int


def jobs() -> list[Job]:
    """GAIA's jobs."""
    arrival, length, cpus = np.genfromtxt(DATA / "workload_pai_1k.csv", delimiter=",", skip_header=1).T
    short = length < SHORT_S
    typical = np.where(short, length[short].mean(), length[~short].mean())
    slack = np.where(short, 6 * PER_HOUR, 24 * PER_HOUR)
    table = (arrival // STEP_S, np.maximum(np.rint(length / STEP_S), 1), slack, np.rint(typical / STEP_S), cpus)
    names = ("arrival", "length", "slack", "typical", "cpus")
    return [Job(**dict(zip(names, map(int, row), strict=True))) for row in np.array(table).T]


def at_hours(seen: FloatArray, job: Job, choose: Callable[[FloatArray, int], int]) -> int:
    """The start a rule chooses among those at whole hours from arrival, knowing the typical length only."""
    steps = np.concatenate(([0.0], np.cumsum(seen)))
    starts = np.arange(0, job.slack + 1, PER_HOUR)
    return int(starts[choose(steps[starts + job.typical] - steps[starts], job.typical)])


def lowest_slot(seen: FloatArray, job: Job) -> int:
    """The start in the lowest step."""
    return int(seen[: job.slack + 1].argmin())


def lowest_window(seen: FloatArray, job: Job) -> int:
    """The start of the window with the least carbon."""
    return at_hours(seen, job, lambda costs, _length: int(costs.argmin()))


def carbon_time(seen: FloatArray, job: Job) -> int:
    """The start with the most saving per completion time."""

    def choose(costs: FloatArray, length: int) -> int:
        return int(((costs[0] - costs) / (np.arange(len(costs)) * PER_HOUR + length)).argmax())

    return at_hours(seen, job, choose)


STARTS = {"lowest slot": lowest_slot, "carbon-time": carbon_time, "lowest window": lowest_window}


def grams(actual: FloatArray, job: Job) -> dict[str, float]:
    """Grams per kW and step of one job by policy, run-now's too."""
    seen = actual[job.arrival :]
    sums = window_sums(seen[: job.length + job.slack], job.length)
    found = {"run-now": sums.item(0)} | {name: sums.item(choose(seen, job)) for name, choose in STARTS.items()}
    span = seen[: job.length + job.slack]
    below = span < np.quantile(seen[:DAY], 0.3)
    found["threshold"] = float(span[runs_on_signal(below, job.length, job.slack)[0]].sum())
    found["wait awhile"] = float(span[lowest_slots(span[None], job.length)[0]].sum())
    return found


def zone_row(zone: str, work: list[Job]) -> dict[str, Any]:
    """Each policy's carbon as a share of run-now's, and whether the order is the published one."""
    hourly = np.genfromtxt(DATA / "hourly" / f"{zone}.csv", delimiter=",", skip_header=1, usecols=(1,))
    begin = YEAR_H + FIRST_H
    actual = np.repeat(hourly[begin : begin + PERIOD_H], PER_HOUR)
    totals = dict.fromkeys(("run-now", *PUBLISHED), 0.0)
    for job in work:
        for name, cost in grams(actual, job).items():
            totals[name] += cost * job.cpus
    shares = {name: totals[name] / totals["run-now"] for name in PUBLISHED}
    return line_of(zone, shares)


def overall(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The mean over grids, then each of them."""
    means = {name: float(np.mean([line[name] for line in lines])) for name in PUBLISHED}
    return [line_of(f"mean of {len(lines)}", means), *lines]


def line_of(zone: str, shares: Mapping[str, float]) -> dict[str, Any]:
    """Shares, and whether their order is the published one."""
    order = sorted(shares, key=lambda name: -shares[name])
    return {
        "zone": zone,
        **{name: round(share, 3) for name, share in shares.items()},
        "published_order": order == list(PUBLISHED),
    }


def main() -> None:
    """Play, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zones", nargs="*")
    parser.add_argument("--json", type=Path, help="write the table here too")
    options = parser.parse_args()
    lines: list[dict[str, Any]] = [{"what": "no data beside the checkout, not run"}]
    if DATA.exists():
        work = jobs()
        zones = options.zones or sorted(path.stem for path in (DATA / "hourly").glob("*.csv"))
        published = {"zone": "AU-SA, as published", **PUBLISHED, "published_order": True}
        lines = [published, *overall([zone_row(zone, work) for zone in zones])]
    print(*lines, sep="\n")
    if options.json:
        options.json.write_text(json.dumps({TITLE: lines}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
