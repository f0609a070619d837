"""How long a queued job has run, how long it still runs, and when it may."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from greenai.model.job import Job
from greenai.model.plan import Window
from greenai.model.queue import Entry, Paused, Pausing, Queued, Running, Waiting

LONGEST_BACK_OFF = timedelta(hours=1)
LEAST_LEFT = timedelta(seconds=1)
"""A job that is not over has at least this left."""

NOTHING = timedelta(0)

TOLERANCE = timedelta(minutes=2)
"""A plan that is this much too long or too short still stands: ticks come a little late."""


def back_off(failures: int) -> timedelta:
    """How long to wait before the next try: 1, 2, 4 ... minutes, an hour at most; nothing before the first."""
    return min(timedelta(minutes=2 ** min(failures - 1, 10)), LONGEST_BACK_OFF) if failures > 0 else NOTHING


def spent_at(entry: Entry, now_at: datetime) -> timedelta:
    """The time its work has taken so far, this leg counted, what was lost to resumes not."""
    status = entry.status
    ran = max(NOTHING, now_at - status.started_at) if isinstance(status, Running | Pausing) else NOTHING
    return max(NOTHING, entry.worked + ran - _lost(entry))


def _lost(entry: Entry) -> timedelta:
    """What its resumes have cost; a retry begins with none."""
    return entry.resumes * entry.submission.job.constraints.resume_cost if entry.worked else NOTHING


def left_at(entry: Entry, now_at: datetime) -> timedelta:
    """How long a job still runs; with the cost of the resume if it would be run again, or is just being."""
    left = entry.duration - spent_at(entry, now_at)
    if entry.progress_share is not None:
        left = min(left, entry.duration * (1 - entry.progress_share))
    again = isinstance(entry.status, Paused) and not entry.status.run_id
    return max(LEAST_LEFT, left) + (entry.submission.job.constraints.resume_cost if again else NOTHING)


def may_start_at(entry: Entry, now_at: datetime) -> datetime:
    """Not before its earliest start, nor before its back-off after a failure is over."""
    earliest_at = max(now_at, entry.submission.job.constraints.earliest_at)
    if isinstance(entry.status, Queued):
        earliest_at = max(earliest_at, entry.changed_at + back_off(entry.failures))
    return earliest_at


def latest_start_at(entry: Entry, now_at: datetime) -> datetime:
    """The last moment at which what is left, in one piece, still ends by the deadline."""
    return entry.submission.job.constraints.deadline_at - left_at(entry, now_at)


def over_by(entry: Entry, now_at: datetime) -> datetime:
    """When a job is over at the latest, as far as is known: now, or when it is due; later only if its plan says so."""
    if entry.is_over:
        return now_at
    planned: tuple[Window, ...] = getattr(entry.status, "windows", ())
    return max(now_at, entry.submission.job.constraints.deadline_at, *(window.end_at for window in planned[-1:]))


def rest_of(entry: Entry, now_at: datetime) -> Job:
    """What is left of a job, as a job of its own. One that can no longer be in time is given the time it needs."""
    limits = entry.submission.job.constraints
    duration, earliest_at = left_at(entry, now_at), may_start_at(entry, now_at)
    deadline_at = max(limits.deadline_at, earliest_at + duration)
    rest = replace(limits, earliest_at=earliest_at, deadline_at=deadline_at, duration=duration)
    return replace(entry.submission.job, constraints=rest)


def standing_windows(entry: Entry, now_at: datetime) -> tuple[Window, ...]:
    """The rest of the plan that a job has, where it still fits: ahead, as long as what is left, and in time. Else none.

    Each window of a later leg is longer by the cost of its resume.
    """
    status = entry.status
    if not isinstance(status, Waiting | Paused | Running):
        return ()
    windows = tuple(window for window in status.windows if window.end_at > now_at)
    if not windows or windows[-1].end_at > entry.submission.job.constraints.deadline_at:
        return ()
    goes_on = isinstance(status, Running) and windows[0].start_at <= now_at
    if not goes_on and windows[0].start_at < may_start_at(entry, now_at):
        return ()
    legs = len(windows) - (goes_on or not isinstance(status, Running))
    needed = left_at(entry, now_at) + legs * entry.submission.job.constraints.resume_cost
    planned = sum((window.end_at - max(window.start_at, now_at) for window in windows), NOTHING)
    return windows if abs(planned - needed) <= TOLERANCE else ()
