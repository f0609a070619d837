"""The one sentence that says why, in plain words; times in UTC."""

from __future__ import annotations

from datetime import datetime

from greenai.logic.placing import NEVER_BELOW
from greenai.logic.starts import MINUTE, TIE_RATIO
from greenai.logic.weighing import Weighing
from greenai.logic.wording import g_per_kwh, percent, span_words, when
from greenai.model.job import Constraints
from greenai.model.series import IntensitySeries
from greenai.model.units import ceil_to


def reason(weighing: Weighing) -> str:
    """Why the chosen plan was chosen."""
    if weighing.chosen is not weighing.plan:
        return _not_worth_it(weighing)
    if weighing.chosen.windows == weighing.at_once.windows:
        return _at_once(weighing)
    return _later(weighing)


def _not_worth_it(weighing: Weighing) -> str:
    saving, least = weighing.saving(weighing.plan.cost_g_per_kw), weighing.job.constraints.min_saving
    saved = f"{percent(saving)} saved" if saving > 0 else "nothing saved"
    below = f", below the minimum of {percent(least)}" if least else ""
    return f"not worth waiting: {saved} by {_delay(weighing)}{below}"


def _delay(weighing: Weighing) -> str:
    windows, soonest_at = weighing.plan.windows, weighing.span.first_at
    if len(windows) > 1:
        return f"running in {len(windows)} segments until {when(windows[-1].end_at)}"
    return f"waiting {span_words(windows[0].start_at - soonest_at)}"


def _at_once(weighing: Weighing) -> str:
    limits, intensity = weighing.job.constraints, g_per_kwh(weighing.at_once.expected_g_per_kwh)
    start = "now" if weighing.span.first_at == weighing.now_at else when(weighing.span.first_at)
    if limits.scaling is None and not weighing.has_slack:
        return f"{start} is the only start known to fit before {when(limits.deadline_at)}: {intensity}"
    if _is_flat(weighing.series):
        source = weighing.series.source.provider
        return f"the {source} series is flat at {intensity}: it can account for a run, it cannot justify a shift"
    if weighing.job.policy == "asap":
        return f"policy asap: {start} is the first start that is allowed, at {intensity}"
    if NEVER_BELOW not in weighing.plan.note and _has_limit(weighing):
        return f"{start} is already below {_limit(weighing)}: {intensity}"
    return _greenest_at_once(weighing, start, intensity)


def _is_flat(series: IntensitySeries) -> bool:
    """Whether the series says the same of all its time: one slot of a series that varies is not flat."""
    return bool(series.values.max() <= series.values.min() * (1 + TIE_RATIO))


def _greenest_at_once(weighing: Weighing, start: str, intensity: str) -> str:
    """No start is greener than the first: none costs less, or all cost the same."""
    if weighing.job.constraints.scaling is not None:
        return f"{_workers(_reference(weighing))} from {start} on, without a change, is the greenest: {intensity}"
    if weighing.is_flat:
        return f"every start before the limit costs the same, so {start}: {intensity}"
    return f"{start} is the greenest start before the limit: {intensity}"


def _later(weighing: Weighing) -> str:
    windows = weighing.plan.windows
    gain = (
        f"{g_per_kwh(weighing.plan.expected_g_per_kwh, unit=False)} instead of {g_per_kwh(weighing.at_once.expected_g_per_kwh)}"
    )
    saved = percent(weighing.saving(weighing.plan.cost_g_per_kw))
    start = when(windows[0].start_at)
    if weighing.plan.workers:
        return _scaled(weighing, saved)
    if len(windows) > 1:
        return f"running in {len(windows)} segments from {start} to {when(windows[-1].end_at)} saves {saved}: {gain}"
    if _has_limit(weighing):
        if NEVER_BELOW in weighing.plan.note:
            return f"{NEVER_BELOW} {_limit(weighing)} before the limit; the greenest start is {start}: {gain}"
        return f"the first start below {_limit(weighing)} is {start}: {gain}"
    return f"waiting {span_words(windows[0].start_at - weighing.span.first_at)} until {start} saves {saved}: {gain}"


def _scaled(weighing: Weighing, saved: str) -> str:
    """A plan with workers: their range, and what a constant size at once would have been."""
    least, most = min(weighing.plan.workers), max(weighing.plan.workers)
    counts = f"{least} to {most} workers" if least < most else _workers(most)
    windows, at_once = weighing.plan.windows, _workers(_reference(weighing))
    spans = "one window" if len(windows) == 1 else f"{len(windows)} windows"
    span = f"from {when(windows[0].start_at)} to {when(windows[-1].end_at)}"
    return f"running {counts} in {spans} {span} saves {saved} of the emissions of {at_once} at once"


def _reference(weighing: Weighing) -> int:
    scaling = weighing.job.constraints.scaling
    return scaling.reference_workers if scaling else 1


def _workers(count: int) -> str:
    return f"{count} worker" + "s" * (count > 1)


def _has_limit(weighing: Weighing) -> bool:
    """Whether the policy goes by a limit; a plan that was made before is told of without one where the job has none."""
    policy, limits = weighing.job.policy, weighing.job.constraints
    return policy == "percentile" or (policy == "threshold" and limits.max_g_per_kwh is not None)


def _limit(weighing: Weighing) -> str:
    limits = weighing.job.constraints
    if weighing.job.policy == "percentile":
        return f"percentile {limits.percentile:g} of what is expected"
    return f"{limits.max_g_per_kwh:g} g/kWh"


def unknown_reason(zone: str, series: IntensitySeries | None, limits: Constraints) -> str:
    """Why no start can be preferred."""
    if series is None:
        return f"nothing is known of the grid of {zone}: no start can be preferred"
    covered = f"{when(series.start_at)} to {when(series.end_at)}"
    return (
        f"the {series.source.provider} series covers {covered}, not a run of {span_words(limits.duration)} "
        f"started at once: no start can be preferred"
    )


def miss_reason(limits: Constraints, now_at: datetime) -> str:
    """Why it is too late, and what to change."""
    end_at = ceil_to(now_at + limits.duration, MINUTE)
    return (
        f"the latest start was {when(limits.latest_start_at)}, {span_words(now_at - limits.latest_start_at)} ago: "
        f"a run started now would end {when(end_at)}; allow that, "
        f"or shorten the run to {span_words(limits.deadline_at - now_at)}"
    )


def notes(weighing: Weighing) -> tuple[str, ...]:
    """What to keep in mind about the answer."""
    flat = _is_flat(weighing.series)
    modelled = "one mean for every hour" if flat else "what such days are usually like, not a forecast of these"
    kinds = {"modelled": f"modelled: {modelled}", "observed": "observed values: the plan knows what a forecast could not"}
    return tuple(filter(None, (kinds.get(weighing.series.kind), weighing.chosen.note)))
