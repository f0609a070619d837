"""What pausing costs, learned from jobs that were paused, and which way of it is the cheaper.

A job that saves and leaves runs longer: by the time from the request to its end,
and by what its next leg needs to be as far as the last one was. A frozen job runs
no longer, but draws power while it stands. Both are put in one measure, the time
for which the running job would use the same energy: that is what the planner
charges for each pause (`Constraints.resume_cost`).

Moments are those of ticks, so that a time is known to a minute at worst.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from greenai.logic.spreading import spans_of, without
from greenai.logic.wording import span_words
from greenai.model.energy import EnergyTrace
from greenai.model.learned import PauseCost, PauseSeen
from greenai.model.plan import Window, total_of
from greenai.model.queue import Entry, JobEvent, Paused, PauseWay, Pausing, Running, after

USUAL_PAUSE = timedelta(hours=1)
"""How long a frozen job is taken to stand where no pause was seen."""


def pauses_of(events: Sequence[JobEvent]) -> PauseSeen:
    """What one job's life shows of its pauses; raises InputError for events that are no life."""
    entries = _entries(events)
    steps = tuple(pairwise(entries))
    return PauseSeen(
        saves=tuple(_saves(steps)),
        returns=tuple(_returns(entries)),
        pauses=tuple(_stood(steps)),
    )


def _entries(events: Sequence[JobEvent]) -> tuple[Entry, ...]:
    """The job after each event."""
    found: list[Entry] = []
    for event in events:
        found.append(after(found[-1] if found else None, event))
    return tuple(found)


def _saves(steps: Iterable[tuple[Entry, Entry]]) -> Iterator[timedelta]:
    """From each request to the end of the leg that answered it."""
    for before, now in steps:
        if isinstance(before.status, Pausing) and isinstance(now.status, Paused) and not now.status.run_id:
            yield max(timedelta(0), now.status.since_at - before.status.asked_at)


def _stood(steps: Iterable[tuple[Entry, Entry]]) -> Iterator[timedelta]:
    for before, now in steps:
        if isinstance(before.status, Paused) and isinstance(now.status, Running):
            yield max(timedelta(0), now.changed_at - before.status.since_at)


def _returns(entries: Sequence[Entry]) -> Iterator[timedelta]:
    """Of each leg that resumed from a checkpoint: until it was seen further than the one before, less what was new."""
    left: Entry | None = None
    started_at: datetime | None = None
    for before, now in pairwise(entries):
        if isinstance(now.status, Paused) and not now.status.run_id:
            left, started_at = now, None
        elif left is not None and isinstance(now.status, Running) and isinstance(before.status, Paused):
            started_at = now.status.started_at
        elif left is not None and started_at is not None and _is_further(now, left):
            yield max(timedelta(0), now.changed_at - started_at - _new_work(now, left))
            left = None


def _is_further(now: Entry, left: Entry) -> bool:
    return (now.progress_share or 0.0) > (left.progress_share or 1.0)


def _new_work(now: Entry, left: Entry) -> timedelta:
    """What the progress beyond the last leg's takes, at the pace of the legs before."""
    before_share = left.progress_share or 1.0
    return left.worked / before_share * ((now.progress_share or 0.0) - before_share)


def held_w(trace: EnergyTrace, frozen: Sequence[Window]) -> float | None:
    """Mean power while a run stood frozen; None where nothing was metered then.

    Args:
        trace: the metered run.
        frozen: the spans in which it stood, in order.
    """
    stood_s = total_of(tuple(frozen)).total_seconds()
    if not trace.intervals or not trace.meters or stood_s <= 0:
        return None
    spans = spans_of(trace)
    held_j = math.fsum(spans.job_j) - math.fsum(without(spans, frozen).job_j)
    return max(0.0, held_j) / stood_s


def together(seen: Iterable[PauseSeen]) -> PauseSeen:
    """All that was seen of several jobs."""
    everything = tuple(seen)
    return PauseSeen(
        saves=tuple(span for one in everything for span in one.saves),
        returns=tuple(span for one in everything for span in one.returns),
        pauses=tuple(span for one in everything for span in one.pauses),
        held_w=tuple(power_w for one in everything for power_w in one.held_w),
    )


def cheaper_way(seen: PauseSeen, power_w: float | None) -> PauseCost | None:
    """The way to pause that cost less, with its cost; None where neither was measured.

    Args:
        seen: what was seen of the pauses of jobs of this kin.
        power_w: what the job draws while it runs; without it freezing cannot be priced.
    """
    ways = [cost for cost in (_checkpoint(seen), _freeze(seen, power_w)) if cost is not None]
    return min(ways, key=lambda cost: cost.cost, default=None)


def way_now(seen: PauseSeen, power_w: float | None, *, stands: timedelta | None) -> tuple[PauseWay, str]:
    """How a job that may pause in any way is to do it now, and why, in words: frozen only where that costs less.

    Nothing is said, and it is asked to save if it can, unless both ways were
    measured: a program that was frozen so far may have learned to save.

    Args:
        seen: what was seen of the pauses of jobs of this kin, this one's own among them.
        power_w: what the job draws while it runs.
        stands: how long it is going to stand; None where nobody knows: then as long as others did.
    """
    save, freeze = _checkpoint(seen), _freeze(seen, power_w, stands)
    if save is None or freeze is None:
        return "auto", ""
    saving, freezing = span_words(save.cost), span_words(freeze.cost)
    if freeze.cost < save.cost:
        return "freeze", f"to freeze, which costs {freezing} of its run, where saving costs {saving}"
    return "auto", f"to save if it can, which costs {saving} of its run, where freezing costs {freezing}"


def _checkpoint(seen: PauseSeen) -> PauseCost | None:
    """The time to save and the time back; where no leg said its progress, the time to save alone, and it is said."""
    if not seen.saves:
        return None
    save, back = _middle(seen.saves), _middle(seen.returns) if seen.returns else None
    said = f"{span_words(back)} to be back where it was" if back is not None else "the time to be back is not known"
    source = f"{span_words(save)} to save, {said}: median of {_pauses(len(seen.saves))}"
    return PauseCost(way="checkpoint", cost=save + (back or timedelta(0)), source=source)


def _freeze(seen: PauseSeen, power_w: float | None, stands: timedelta | None = None) -> PauseCost | None:
    if not seen.held_w or not power_w:
        return None
    stands = stands or (_middle(seen.pauses) if seen.pauses else USUAL_PAUSE)
    drawn_w = median(seen.held_w)
    drawn = f"{drawn_w:.0f} W while frozen for {span_words(stands)}, {power_w:.0f} W while it runs"
    source = f"{drawn}: median of {_pauses(len(seen.held_w))}"
    return PauseCost(way="freeze", cost=stands * (drawn_w / power_w), source=source)


def _middle(spans: Sequence[timedelta]) -> timedelta:
    return timedelta(seconds=median(span.total_seconds() for span in spans))


def _pauses(number: int) -> str:
    return f"{number} pause{'s' if number != 1 else ''}"
