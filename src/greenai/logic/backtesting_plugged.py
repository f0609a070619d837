"""Policies of other packages, played as greenai's own are: asked in every slot, with the forecast and the past of that slot.

A policy `(series, constraints, now_at) -> Plan` is given a series of the measured
slot of now and the forecast of those after it, up to the deadline; one that has a
parameter `past` is given the `Past` too. Neither holds a later measured value, and
a plan that begins before now raises LookAhead, as asking for later values does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from greenai.logic.backtesting import Ground, Play, Played, Scenario, of_runs, of_starts
from greenai.logic.backtesting_replay import LookAhead, Past
from greenai.model.job import Constraints
from greenai.model.plan import Plan
from greenai.model.series import IntensitySeries
from greenai.model.units import iso_utc

Policy = Callable[..., Plan]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A policy, the measured series it is played on, the slot of it in which the period begins; whether it reads the past."""

    policy: Policy
    whole: IntensitySeries
    begin: int
    reads_past: bool

    def moment(self, slot: int) -> datetime:
        """The beginning of a slot of the period."""
        return self.whole.start_at + (self.begin + slot) * self.whole.step

    def plan(self, ground: Ground, slot: int, left: Scenario) -> Plan:
        """What it plans in a slot for the work and the slack that are left; raises LookAhead for a plan in the past."""
        now_at, step = self.moment(slot), self.whole.step
        limits = Constraints(
            earliest_at=now_at,
            deadline_at=now_at + left.span * step,
            duration=left.length * step,
            interruptible=left.interruptible,
            resume_cost=left.resume_slots * step,
        )
        forecast = replace(self.whole, start_at=now_at, values=ground.seen[slot, : left.span].copy())
        more = {"past": Past(whole=self.whole, now_at=now_at)} if self.reads_past else {}
        plan = self.policy(forecast, limits, now_at, **more)
        if plan.windows[0].start_at < now_at:
            raise LookAhead(f"at {iso_utc(now_at)} it planned to begin at {iso_utc(plan.windows[0].start_at)}")
        return plan


def plugged(policy: Policy, whole: IntensitySeries, begin: int, *, once: bool = False) -> Play:
    """A policy to be played on the part of `whole` from slot `begin` on; `once`: planned at arrival and kept."""
    reads_past = "past" in inspect.signature(policy).parameters
    asking = Asking(policy=policy, whole=whole, begin=begin, reads_past=reads_past)

    def play(ground: Ground, scenario: Scenario, arrivals: int) -> Played:
        if once:
            return _kept(asking, ground, scenario, arrivals)
        runs = np.arange(scenario.span) < np.full((arrivals, 1), scenario.length)
        for arrival in _wanted(ground, arrivals):
            runs[arrival] = _replanned(asking, ground, scenario, arrival)
        if scenario.interruptible:
            return of_runs(ground, runs, scenario)
        return of_starts(ground, runs.argmax(axis=1), scenario)

    return play


def _wanted(ground: Ground, arrivals: int) -> list[int]:
    """The arrivals about which the policy is asked; what is said of the others nobody reads."""
    return list(range(arrivals)) if ground.wanted is None else np.flatnonzero(ground.wanted[:arrivals]).tolist()


def _replanned(asking: Asking, ground: Ground, scenario: Scenario, arrival: int) -> list[bool]:
    """Whether one job runs in each slot: once begun to its end, or, in pieces, where the plan of the slot begins in it."""
    left, runs = scenario, list[bool]()
    for slot in range(scenario.span):
        run = left.length > 0 and (
            left.slack == 0
            or (bool(runs) and runs[-1] and not left.interruptible)
            or asking.plan(ground, arrival + slot, left).windows[0].start_at < asking.moment(arrival + slot + 1)
        )
        left = replace(left, length=left.length - 1) if run else replace(left, slack=max(left.slack - 1, 0))
        runs.append(run)
    return runs


def _kept(asking: Asking, ground: Ground, scenario: Scenario, arrivals: int) -> Played:
    """Plans made at arrival, their windows priced as measured; resume costs are in the windows."""
    costs, delays, late = np.zeros(arrivals), np.zeros(arrivals, np.int64), np.zeros(arrivals, np.bool_)
    for arrival in _wanted(ground, arrivals):
        windows = asking.plan(ground, arrival, scenario).windows
        costs[arrival] = sum(asking.whole.integral_g_per_kw(w.start_at, w.end_at) for w in windows)
        end = windows[-1].end_at - asking.moment(arrival)
        delays[arrival] = -(-end // asking.whole.step) - scenario.length
        late[arrival] = end > scenario.span * asking.whole.step + timedelta(microseconds=1)
    return Played(costs_g_per_kw=costs, delay_slots=delays, late=late)
