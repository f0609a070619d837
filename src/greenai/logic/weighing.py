"""A policy's plan beside a run started at once: what it saves, and whether that is worth the wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from greenai.errors import InputError
from greenai.logic.placing import plan_at
from greenai.logic.starts import TIE_RATIO, Admissible, StartProfile, admissible, start_profile
from greenai.model.job import Job
from greenai.model.plan import Plan
from greenai.model.series import IntensitySeries
from greenai.model.units import iso_utc

RULES = frozenset({"asap", "threshold", "percentile"})
"""Policies the user states as a rule, not as a search for the least: their start stands whatever it saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """What a decision rests on. `at_once` is the run at the first admissible start, `chosen` that or the policy's plan."""

    job: Job
    now_at: datetime
    series: IntensitySeries
    span: Admissible
    profile: StartProfile
    plan: Plan
    at_once: Plan
    chosen: Plan

    @property
    def is_flat(self) -> bool:
        """Whether every admissible start costs the same."""
        costs = self.profile.costs_g_per_kw
        return bool(costs.max() <= costs.min() * (1 + TIE_RATIO))

    @property
    def has_slack(self) -> bool:
        """Whether there is more than one admissible start."""
        return self.span.first_at < self.span.last_at

    def saving(self, cost_g_per_kw: float) -> float:
        """Share of the emissions of a run at once that is saved; 0 where that run emits nothing."""
        return _saving(self.at_once, cost_g_per_kw)


def weigh(job: Job, series: IntensitySeries, plan: Plan, now_at: datetime) -> Weighing:
    """Compare; the series covers a run at the first moment the job may start. Raises InputError for an unlawful plan."""
    span = admissible(series, job.constraints, now_at)
    _require_lawful(job, plan, span)
    at_once = plan_at(series, job.constraints, span.first_at, note=span.note)
    return Weighing(
        job=job,
        now_at=now_at,
        series=series,
        span=span,
        profile=start_profile(series, span, job.constraints.duration),
        plan=plan,
        at_once=at_once,
        chosen=plan if _stands(job, plan, at_once) else at_once,
    )


def _stands(job: Job, plan: Plan, at_once: Plan) -> bool:
    if job.policy in RULES or plan.windows == at_once.windows:
        return True
    return _saving(at_once, plan.cost_g_per_kw) >= max(job.constraints.min_saving, TIE_RATIO)


def _saving(at_once: Plan, cost_g_per_kw: float) -> float:
    if at_once.cost_g_per_kw <= 0 or cost_g_per_kw == at_once.cost_g_per_kw:
        return 0.0
    return 1 - cost_g_per_kw / at_once.cost_g_per_kw


def _require_lawful(job: Job, plan: Plan, span: Admissible) -> None:
    """Policies come from plug-ins too: a plan outside the job's limits stops here."""
    windows, limits = plan.windows, job.constraints
    in_order = all(earlier.end_at <= later.start_at for earlier, later in pairwise(windows))
    if not (windows and in_order and span.first_at <= windows[0].start_at and windows[-1].end_at <= limits.deadline_at):
        spans = ", ".join(f"{iso_utc(window.start_at)} to {iso_utc(window.end_at)}" for window in windows) or "nothing"
        raise InputError(
            f"the policy {job.policy} planned {spans}, outside the job's limits ({limits.describe()})",
            hint="choose another policy with --policy, or report it to its author",
        )
