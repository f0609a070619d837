"""What was told stays true as far as it can: of equal jobs, each keeps the time that it was given while the plan has it.

A joint plan says when jobs of a kind run, and which of them runs when is all the
same to it: planned anew, it may deal the same times out in another order. Each
time that a user is told another moment is an event that stays for ever, so equal
jobs exchange their places until as many as can have the time they were told.
When one place comes free early, the job that would have run last moves up, and
all others stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice

from greenai.logic.queue_times import left_at, may_start_at
from greenai.logic.queueing import Placement
from greenai.model.plan import Window
from greenai.model.queue import Entry, Queued, Waiting

SLIGHT = timedelta(minutes=30)
SLIGHT_SHARE = 0.05
"""A start that moves by less than a half hour, or than a twentieth of the time until then, is told when it comes nearer.

In a long line each job that takes longer than expected moves all behind it: were each of them told each time, the log would
grow with the square of the line. So it grows with its logarithm.
"""

LOOKED_AT = 8
"""So many holders of a time are asked to give it up: they may have limits that those who want it have not."""

DUE = "due"
"""The time of whoever may start at once: it has not moved, time has."""


def as_told(jobs: Iterable[Entry], placements: Mapping[str, Placement], now_at: datetime) -> Mapping[str, Placement]:
    """The same plan for all kinds of jobs, in which as many as can keep the time they were told."""
    kinds: dict[object, list[Entry]] = {}
    for entry in jobs:
        placement = placements[entry.id]
        if (
            not placement.late
            and isinstance(entry.status, Queued | Waiting)
            and _told(entry, now_at) != _time(placement.windows, now_at)
        ):
            kinds.setdefault(_kind(entry, now_at), []).append(entry)
    found = dict(placements)
    for alike in kinds.values():
        _exchange(alike, found, now_at)
    return found


def is_slight(told: tuple[Window, ...], placement: Placement, *, deadline_at: datetime, now_at: datetime) -> bool:
    """Whether a plan differs from what was told by so little that this is told when the time has come nearer."""
    if len(told) != len(placement.windows) or placement.late != (told[-1].end_at > deadline_at):
        return False
    ahead = min(told[0].start_at, placement.windows[0].start_at) - now_at
    least = max(SLIGHT, SLIGHT_SHARE * ahead)
    moved = (abs(new.start_at - old.start_at) for old, new in zip(told, placement.windows, strict=True))
    return ahead > timedelta(0) and max(moved) < least


def _exchange(alike: list[Entry], found: dict[str, Placement], now_at: datetime) -> None:
    """Let equal jobs, none of which has the time it was told, swap places until no swap gives one its own."""
    holders: dict[object, dict[str, Entry]] = {}
    for entry in alike:
        holders.setdefault(_time(found[entry.id].windows, now_at), {})[entry.id] = entry
    for entry in alike:
        told, left = _told(entry, now_at), _time(found[entry.id].windows, now_at)
        other = None if told == left else _who_gives_way(entry, holders.get(told, {}), found, now_at)
        if other is None:
            continue
        found[entry.id], found[other.id] = found[other.id], found[entry.id]
        holders[left].pop(entry.id)
        holders[told].pop(other.id)
        if _told(other, now_at) != left:
            holders[left][other.id] = other


def _who_gives_way(entry: Entry, holders: dict[str, Entry], found: Mapping[str, Placement], now_at: datetime) -> Entry | None:
    """Somebody who has the time that was told to this one, and may have its place."""
    for other in islice(reversed(holders.values()), LOOKED_AT):
        if _may_have(other, found[entry.id], now_at) and _may_have(entry, found[other.id], now_at):
            return other
    return None


def _told(entry: Entry, now_at: datetime) -> object:
    """The time a job was told; none for a new one."""
    return _time(entry.status.windows if isinstance(entry.status, Waiting) else (), now_at)


def _time(windows: tuple[Window, ...], now_at: datetime) -> object:
    return DUE if len(windows) == 1 and windows[0].start_at <= now_at else windows


def _kind(entry: Entry, now_at: datetime) -> object:
    """What jobs have in common that may have each other's places."""
    submission, limits = entry.submission, entry.submission.job.constraints
    return (
        submission.job.zone,
        submission.job.policy,
        submission.job.power_w,
        submission.executor,
        submission.priority,
        submission.share_of,
        tuple(sorted(submission.demands.items())),
        (limits.interruptible, limits.min_chunk, limits.resume_cost, limits.max_segments),
        left_at(entry, now_at),
    )


def _may_have(entry: Entry, placement: Placement, now_at: datetime) -> bool:
    """Whether a place lies within what a job may have."""
    first, last = placement.windows[0], placement.windows[-1]
    return first.start_at >= may_start_at(entry, now_at) and last.end_at <= entry.submission.job.constraints.deadline_at
