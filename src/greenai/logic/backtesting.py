"""What a policy would have saved: every arrival slot of a period, re-planned each slot, beside run-now and an oracle.

A forecast matrix `seen` is made once per zone (`forecast_matrix`, causal: row t
knows nothing after slot t) and every scenario and arrival is played on it at
once (`backtesting_kernel`). Grams are those of 1 kW of constant load on the
measured series. "Oracle" is the cheapest plan of whole slots with the whole
future known: no policy can save more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenai.errors import InputError
from greenai.logic import backtesting_baselines as baselines
from greenai.logic import backtesting_kernel as kernel
from greenai.logic import backtesting_resume as resuming
from greenai.model.series import FloatArray

BLOCK_DAYS = 7
DRAWS = 400
DAY = 24
NOTHING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A kind of job: slots of work, slots of slack, whether it may be interrupted, and the slots of work a resume costs.

    With a resume cost one slot of slack is kept free, in which lost time is made up.
    """

    length: int
    slack: int
    interruptible: bool = False
    resume_slots: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.resume_slots <= 1:
            raise InputError("a resume cannot cost more than one slot of the series, nor less than nothing")

    @property
    def span(self) -> int:
        """Slots from arrival to deadline."""
        return self.length + self.slack

    @property
    def pays(self) -> bool:
        """Whether resumes cost anything."""
        return self.interruptible and self.resume_slots > 0

    @property
    def planned(self) -> Scenario:
        """As policies and oracle plan it: without the slot kept free for lost time."""
        return replace(self, slack=max(self.slack - 1, 0)) if self.pays else self


SIX = (
    Scenario(length=1, slack=24),
    Scenario(length=4, slack=24),
    Scenario(length=12, slack=24),
    Scenario(length=4, slack=48),
    Scenario(length=12, slack=24, interruptible=True),
    Scenario(length=24, slack=48, interruptible=True),
)
"""The scenarios of the published table, in hours."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """A zone's period to be played: `actual` (T,) from the first arrival on, `seen` (T, m) what was forecast at each slot.

    `before` (b,) is the measured past of the first arrival, for policies that look
    back; `slot_h` the slot's length; arrivals are the first `arrivals` slots, as
    far as the period covers their deadlines. `wanted` (arrivals,) says at which of
    them a job comes, None: at all. Kernels play all at once and need not care; who
    is asked arrival by arrival is asked about those only.
    """

    zone: str
    actual: FloatArray
    seen: FloatArray
    before: FloatArray
    arrivals: int
    forecaster: str
    slot_h: float = 1.0
    wanted: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Played:
    """What came of each arrival, shape (arrivals,): grams per kW, slots of delay of the end, and whether it was late."""

    costs_g_per_kw: FloatArray
    delay_slots: NDArray[np.int64]
    late: NDArray[np.bool_]


Play = Callable[[Ground, Scenario, int], Played]


def arrivals_of(ground: Ground, scenario: Scenario) -> int:
    """How many arrivals have their deadline within the period; raises InputError when none has."""
    count = min(ground.arrivals, len(ground.actual) - scenario.span)
    if count < 1:
        raise InputError(f"the period of {ground.zone} is shorter than a job of {scenario.span} slots with its slack")
    if ground.seen.shape[1] < scenario.span:
        raise InputError(f"forecasts of {ground.seen.shape[1]} slots cannot plan {scenario.span} slots")
    return count


def rolling(ground: Ground, scenario: Scenario, arrivals: int) -> Played:
    """Re-planned each slot: start if the best start is now; interruptible: run unless enough better slots are ahead."""
    spec = {"length": scenario.length, "slack": scenario.slack, "arrivals": arrivals}
    if scenario.pays:
        return of_runs(ground, resuming.rolling(ground.seen, **spec, cost_slots=scenario.resume_slots), scenario)
    if scenario.interruptible:
        return of_runs(ground, kernel.interruptible_runs(ground.seen, **spec), scenario)
    return of_starts(ground, kernel.contiguous_starts(ground.seen, **spec), scenario)


def once(ground: Ground, scenario: Scenario, arrivals: int) -> Played:
    """Planned at arrival and kept: "Let's Wait Awhile", GAIA's lowest window."""
    seen = ground.seen[:arrivals, : scenario.span]
    if scenario.pays:
        return of_runs(ground, resuming.planned(seen, scenario.length, scenario.resume_slots), scenario)
    if scenario.interruptible:
        return of_runs(ground, baselines.lowest_slots(seen, scenario.length), scenario)
    return of_starts(ground, kernel.window_sums(seen, scenario.length).argmin(axis=1), scenario)


def lowest_slot(ground: Ground, scenario: Scenario, arrivals: int) -> Played:
    """GAIA's lowest slot: begin in the slot forecast lowest, whatever the hours after it are."""
    return of_starts(ground, ground.seen[:arrivals, : scenario.slack + 1].argmin(axis=1), scenario)


def carbon_time(ground: Ground, scenario: Scenario, arrivals: int) -> Played:
    """GAIA's carbon-time: the start with the most forecast saving per slot of completion time."""
    return of_starts(ground, baselines.worth_the_wait(ground.seen[:arrivals, : scenario.span], scenario.length), scenario)


def cats_window(ground: Ground, scenario: Scenario, arrivals: int) -> Played:
    """As CATS: the window with the least area under lines that join the forecast's values as points; never interrupted."""
    points = ground.seen[:arrivals, : scenario.span + 1]
    # Nothing is said of the end of the last slot if the forecast ends there: its value is taken to stay.
    points = np.pad(points, ((0, 0), (0, scenario.span + 1 - points.shape[1])), mode="edge")
    areas = (points[:, 1:] + points[:, :-1]) / 2
    return of_starts(ground, kernel.window_sums(areas, scenario.length).argmin(axis=1), scenario)


def threshold(limit_g_per_kwh: float) -> Play:
    """Run while the measured value is below a fixed limit, and at the last moment."""

    def play(ground: Ground, scenario: Scenario, arrivals: int) -> Played:
        return signalled(ground, scenario, arrivals, ground.actual < limit_g_per_kwh)

    return play


def past_percentile(ground: Ground, scenario: Scenario, arrivals: int) -> Played:
    """Run while the measured value is at or below the 30th percentile of the week before, and at the last moment."""
    week = round(7 * DAY / ground.slot_h)
    return signalled(ground, scenario, arrivals, baselines.below_past_percentile(ground.actual, ground.before, week))


def coming_percentile(ground: Ground, scenario: Scenario, arrivals: int) -> Played:
    """Ecovisor's and GAIA's rule: run while now is at or below the 30th percentile of the forecast next day."""
    day = ground.seen[:, : round(DAY / ground.slot_h)]
    return signalled(ground, scenario, arrivals, day[:, 0] <= np.percentile(day, 30, axis=1))


def run_now(ground: Ground, scenario: Scenario, arrivals: int) -> Played:
    """At once, without a break."""
    return of_starts(ground, np.zeros(arrivals, dtype=np.int64), scenario)


POLICIES: Mapping[str, Play] = MappingProxyType(
    {
        "rolling": rolling,
        "once": once,
        "run-now": run_now,
        "threshold-200": threshold(200.0),
        "percentile-past-week": past_percentile,
        "percentile-next-day": coming_percentile,
        "lowest-slot": lowest_slot,
        "cats": cats_window,
        "lets-wait-awhile": once,
        "gaia-lowest-window": once,
        "gaia-carbon-time": carbon_time,
    }
)
"""Every policy by name; those of the literature under the names they are known by. `threshold-N` is known for any N."""


def play_named(name: str) -> Play | None:
    """How a policy known here is played; None for another name."""
    limit = name.removeprefix("threshold-")
    return threshold(float(limit)) if limit != name and limit.isdecimal() else POLICIES.get(name)


def signalled(ground: Ground, scenario: Scenario, arrivals: int, go: NDArray[np.bool_]) -> Played:
    """Run where `go` says so and where the deadline forces it; contiguous jobs start at the first such slot."""
    if scenario.interruptible:
        return of_runs(ground, baselines.runs_on_signal(go, scenario.length, scenario.slack)[:arrivals], scenario)
    return of_starts(ground, baselines.first_signal(go, scenario.slack)[:arrivals], scenario)


def of_starts(ground: Ground, starts: NDArray[np.int64], scenario: Scenario) -> Played:
    """One run from each start."""
    costs = kernel.contiguous_costs(ground.actual, starts, length=scenario.length)
    return Played(costs_g_per_kw=costs * ground.slot_h, delay_slots=starts, late=starts > scenario.slack)


def of_runs(ground: Ground, runs: NDArray[np.bool_], scenario: Scenario) -> Played:
    """The slots run, resumes paid in the slot that resumes; a job that has not all its work done by the deadline is late."""
    last = runs.shape[1] - runs[:, ::-1].argmax(axis=1)
    costs = kernel.run_costs(ground.actual, resuming.weights(runs, scenario.resume_slots)) * ground.slot_h
    return Played(costs_g_per_kw=costs, delay_slots=last - scenario.length, late=runs.sum(axis=1) != scenario.length)


def backtest(ground: Ground, scenario: Scenario, policy: str, play: Play | None = None) -> dict[str, Any]:
    """One row of the contract (schemas/backtest.schema.json); `play` for a policy not known here, else InputError is raised."""
    known = play or play_named(policy)
    if known is None:
        raise InputError(f"no policy {policy!r} to test", hint=f"known: {', '.join(POLICIES)}")
    return row_of(ground, scenario, policy, known(ground, scenario.planned, arrivals_of(ground, scenario)))


def row_of(ground: Ground, scenario: Scenario, policy: str, played: Played) -> dict[str, Any]:
    """The row of what was played: means over arrivals, savings as shares of run-now's grams."""
    count = len(played.costs_g_per_kw)
    now_g = run_now(ground, scenario, count).costs_g_per_kw
    best_g = _oracle_g_per_kw(ground, scenario.planned, count)
    saving, oracle = (share_saved(now_g, grams) for grams in (played.costs_g_per_kw, best_g))
    low, high = interval(now_g, played.costs_g_per_kw, round(DAY / ground.slot_h))
    hours = scenario.length * ground.slot_h
    return {
        "zone": ground.zone,
        "policy": policy,
        "forecaster": ground.forecaster,
        "duration_h": hours,
        "slack_h": scenario.slack * ground.slot_h,
        "interruptible": scenario.interruptible,
        "arrivals": count,
        "run_now_g_per_kwh": float(now_g.mean()) / hours,
        "policy_g_per_kwh": float(played.costs_g_per_kw.mean()) / hours,
        "oracle_g_per_kwh": float(best_g.mean()) / hours,
        "saving": saving,
        "oracle_saving": oracle,
        "fraction_of_oracle": saving / oracle if oracle > 0 else None,
        "saving_low": low,
        "saving_high": high,
        "mean_delay_h": float(played.delay_slots.mean()) * ground.slot_h,
        "deadline_misses": int(played.late.sum()),
    }


def _oracle_g_per_kw(ground: Ground, scenario: Scenario, count: int) -> FloatArray:
    """The least grams of each arrival with the whole future known, resumes paid."""
    if scenario.pays:
        later = np.lib.stride_tricks.sliding_window_view(ground.actual, scenario.span)[:count]
        return of_runs(ground, resuming.planned(later, scenario.length, scenario.resume_slots), scenario).costs_g_per_kw
    spec = {"length": scenario.length, "slack": scenario.slack}
    return kernel.oracle_costs(ground.actual, **spec, interruptible=scenario.interruptible)[:count] * ground.slot_h


def share_saved(now_g: FloatArray, grams: FloatArray) -> float:
    """1 - sum of grams / sum of run-now's; nothing but rounding is nothing."""
    share = 1 - float(grams.sum() / now_g.sum())
    return share if abs(share) > NOTHING else 0.0


def interval(now_g: FloatArray, policy_g: FloatArray, slots_per_day: int) -> tuple[float, float]:
    """The 95 % interval of the saving over days: moving blocks of a week, drawn with replacement, always the same draws.

    Savings of neighbouring arrivals are nearly the same number: days, not slots, are the sample. Of less than four
    weeks blocks are a quarter, so that there are blocks to choose from; a single day has no interval but its saving.
    """
    edges = np.arange(0, len(now_g), slots_per_day)
    by_day = np.stack([np.add.reduceat(grams, edges) for grams in (now_g, policy_g)])
    days = by_day.shape[1]
    block = min(BLOCK_DAYS, max(days // 4, 1))
    draws = np.random.default_rng(20261124).integers(0, days - block + 1, size=(DRAWS, -(-days // block)))
    picked = by_day[:, draws[:, :, None] + np.arange(block)].sum(axis=(2, 3))
    low, high = np.quantile(1 - picked[1] / picked[0], (0.025, 0.975))
    return float(low), float(high)
