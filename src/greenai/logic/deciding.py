"""Run now, wait, or too late: from a job and what is known of the grid to a Decision, with its reason.

`decide` asks a policy for a plan and weighs it against running at once:

- A plan that saves less than `min_saving` of the emissions of a run started at
  once is not worth waiting for: the job runs now and the reason says so. Plans
  that resume pay for the work done twice. `asap`, `threshold` and `percentile`
  are rules the user stated, not searches for the least: their start stands.
- A flat series saves nothing, so it never makes a job wait.
- With nothing known of a run started at once (no series, or one that ends before
  that run would) there is nothing to compare with: the job runs now.
- A latest start that has passed while the deadline has not is a "miss": the
  decision's window shows the run as it would be if it started now, too late.
  A job that never fitted raises NoFeasibleWindow, whose hint says what would fit.

"At once" is `earliest_at` where that is still to come.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from greenai.logic.alternatives import alternatives
from greenai.logic.plan_document import decision_document
from greenai.logic.reasons import miss_reason, notes, reason, unknown_reason
from greenai.logic.starts import hours_of, require_time
from greenai.logic.weighing import Weighing, weigh
from greenai.model.job import Constraints, Job
from greenai.model.plan import Action, Decision, Plan, Window
from greenai.model.series import IntensitySeries
from greenai.model.units import as_utc

__all__ = ["Policy", "decide", "decision_document"]

Policy = Callable[[IntensitySeries, Constraints, datetime], Plan]
"""`(series, constraints, now_at) -> Plan`; raises NoFeasibleWindow or InputError. Entry points: greenai.policies."""


def decide(job: Job, series: IntensitySeries | None, policy: Policy, now_at: datetime) -> Decision:
    """What to do with the job at `now_at`, given the intensities to expect.

    Raises:
        NoFeasibleWindow: the job fits nowhere between its limits; the hint says what would fit.
        InputError: the policy lacks a limit it needs, or planned outside the job's limits.
    """
    now_at = as_utc(now_at, name="now_at")
    limits = job.constraints
    soonest_at = max(now_at, limits.earliest_at)
    if limits.earliest_at <= limits.latest_start_at < now_at < limits.deadline_at:
        return _unweighed(job, now_at, now_at, action="miss", why=miss_reason(limits, now_at))
    require_time(limits, soonest_at)
    if series is None or not series.covers(soonest_at, soonest_at + limits.duration):
        return _unweighed(
            job, now_at, soonest_at, action=_action(soonest_at, now_at), why=unknown_reason(job.zone, series, limits)
        )
    return _weighed(weigh(job, series, policy(series, limits, now_at), now_at))


def _action(start_at: datetime, now_at: datetime) -> Action:
    return "wait" if start_at > now_at else "run"


def _unweighed(job: Job, now_at: datetime, start_at: datetime, *, action: Action, why: str) -> Decision:
    return Decision(
        job_id=job.id,
        made_at=now_at,
        zone=job.zone,
        policy=job.policy,
        action=action,
        windows=(Window(start_at=start_at, end_at=start_at + job.constraints.duration),),
        at_once_g_per_kwh=None,
        expected_g_per_kwh=None,
        worst_g_per_kwh=None,
        expected_saving=0.0,
        alternatives=(),
        reason=why,
        workers=_at_reference(job),
    )


def _weighed(weighing: Weighing) -> Decision:
    job, chosen = weighing.job, weighing.chosen
    return Decision(
        job_id=job.id,
        made_at=weighing.now_at,
        zone=job.zone,
        policy=job.policy,
        action=_action(chosen.windows[0].start_at, weighing.now_at),
        windows=chosen.windows,
        at_once_g_per_kwh=weighing.at_once.expected_g_per_kwh,
        expected_g_per_kwh=chosen.expected_g_per_kwh,
        worst_g_per_kwh=float(weighing.profile.costs_g_per_kw.max()) / hours_of(job.constraints.duration),
        expected_saving=weighing.saving(chosen.cost_g_per_kw) if chosen.windows != weighing.at_once.windows else 0.0,
        alternatives=alternatives(weighing),
        reason=reason(weighing),
        notes=notes(weighing),
        workers=chosen.workers or _at_reference(job),
    )


def _at_reference(job: Job) -> tuple[int, ...]:
    """The workers of one run of constant size, where the job can be scaled."""
    scaling = job.constraints.scaling
    return (scaling.reference_workers,) if scaling else ()
