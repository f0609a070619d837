"""Queued jobs in words: their status, and the story of a life."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise

from rich.text import Text

from greenai.cli import words
from greenai.cli.screen import BAD, CALM, GOOD, WARN
from greenai.logic.queue_document import start_of
from greenai.model.queue import (
    STATUS_NAMES,
    Change,
    Ended,
    Entry,
    Held,
    JobEvent,
    Moved,
    Paused,
    Pausing,
    Queued,
    Retimed,
    Running,
    Status,
    Submission,
    Submitted,
    Waiting,
    Wished,
)

NO_DAEMON = "no daemon runs: start one with greenai daemon"
STYLES = {"completed": GOOD, "failed": BAD, "lost": BAD, "cancelled": WARN, "running": GOOD, "held": WARN, "waiting": ""}
UNITS = {"cpus": "CPU core", "gpus": "GPU", "memory_gb": "GB"}
NOW = timedelta(minutes=1)
"""What starts within this is planned for now."""

A_WEEK = timedelta(days=6)
"""Within this a weekday says which day is meant."""

WISHES = {"cancel": "the user wants it ended", "pause": "the user wants it paused", "": "the user took that back"}
OUTCOMES = {"completed": "ended well", "cancelled": "cancelled", "lost": "lost: nobody saw its end"}


def status_word(status: Status) -> str:
    """Held, queued, waiting, running, pausing, paused; of what is over, how it ended."""
    return status.outcome if isinstance(status, Ended) else STATUS_NAMES[type(status)]


def status_text(status: Status) -> Text:
    """The same, coloured."""
    word = status_word(status)
    return Text(word, style=STYLES.get(word, CALM))


def command_of(submission: Submission, limit: int | None = None) -> str:
    """The command as a shell would take it, on one line, cut to `limit` characters."""
    return _one_line(shlex.join(submission.job.command), limit)


def called(submission: Submission, limit: int | None = None) -> str:
    """Its name, or where it has none its command."""
    return _one_line(submission.name, limit) or command_of(submission, limit)


def _one_line(text: str, limit: int | None) -> str:
    """What a terminal shows on one line and does not obey."""
    line = "".join(letter if letter.isprintable() else "�" for letter in " ".join(text.split()))
    return line if limit is None or len(line) <= limit else f"{line[: max(1, limit - 1)]}…"


def moment(at: datetime, seen_at: datetime, zone: tzinfo) -> str:
    """A time as seen from another: with its date where the weekday alone would be misread."""
    return words.clock_time(at, zone) if abs(at - seen_at) < A_WEEK else words.day_time(at, zone)


def when(entry: Entry, zone: tzinfo, now_at: datetime) -> str:
    """The time that matters now: start, next start, or end."""
    status, start_at = entry.status, start_of(entry.status)
    match status:
        case Running() | Pausing():
            done = f", {words.share(entry.progress_share)} done" if entry.progress_share is not None else ""
            return f"since {moment(status.started_at, now_at, zone)}{done}"
        case Ended():
            return moment(status.ended_at, now_at, zone)
        case Paused(by_user=True):
            return "until you resume it"
        case Queued() if entry.submission.after:
            return f"after {', '.join(entry.submission.after)}"
    return moment(start_at, now_at, zone) if start_at else ""


def length(entry: Entry) -> str:
    """How long it ran, or takes."""
    if entry.is_over:
        return words.about(entry.worked) if entry.worked else ""
    return words.about(entry.duration)


def counts_line(counts: Mapping[str, int]) -> str:
    """How many jobs there are of each status: 2 running, 3 waiting, 40 ended."""
    return ", ".join(f"{count:,} {status}" for status, count in counts.items() if count) or "no jobs"


def amounts_words(amounts: Mapping[str, float]) -> str:
    """How much of each resource: 2 GPUs, 16 CPU cores, 64 GB."""
    return ", ".join(f"{amount:.4g} {_unit(name, amount)}" for name, amount in amounts.items()) or "no room"


def _unit(name: str, amount: float) -> str:
    """Of how many one speaks: 1 GPU, 2 GPUs."""
    unit = UNITS.get(name, name)
    return unit if amount == 1 or unit == "GB" else f"{unit}s"


def style_of(change: Change) -> str:
    """The colour of a step: that of the status it leads to."""
    return STYLES.get(status_word(change.status), "") if isinstance(change, Moved) else CALM


# A life --------------------------------------------------------------------------------------------------------------


def life(events: Sequence[JobEvent], zone: tzinfo) -> Iterator[tuple[JobEvent, str]]:
    """Each step of a job's life in words; steps that say nothing new are left out."""
    before: Status | None = None
    told = _without_repeats(events)
    for event in told:
        text = step(event, before, zone)
        if isinstance(event.change, Moved):
            before = event.change.status
        if text:
            yield event, text


def _without_repeats(events: Sequence[JobEvent]) -> list[JobEvent]:
    """Of several changes of a job's length in a row the last alone."""
    kept = [one for one, other in pairwise(events) if not (isinstance(one.change, Retimed) and isinstance(other.change, Retimed))]
    return [*kept, *events[-1:]]


def step(event: JobEvent, before: Status | None, zone: tzinfo) -> str:
    """One step in words, after the status before it; empty for one that says nothing new."""
    change: Change = event.change
    match change:
        case Submitted(submission=submission):
            return _submitted(submission, event.at, zone)
        case Wished(wish=wish):
            return WISHES[wish]
        case Retimed():
            return _retimed(change)
    return _moved(change.status, before, event, zone)


def _submitted(submission: Submission, at: datetime, zone: tzinfo) -> str:
    limits = submission.job.constraints
    due = moment(limits.deadline_at, at, zone)
    return f"submitted: takes {words.about(limits.duration)}, to be done by {due}"


def _retimed(change: Retimed) -> str:
    done = f"{words.share(change.progress_share)} done, " if change.progress_share is not None else ""
    return f"{done}takes {words.about(change.duration)} in all ({change.source})"


def _moved(status: Status, before: Status | None, event: JobEvent, zone: tzinfo) -> str:
    reason = event.reason
    match status:
        case Waiting():
            verb = "moved to" if isinstance(before, Waiting) else "planned for"
            return _with_reason(f"{verb} {_starts(status, event.at, zone)}", reason)
        case Running():
            return _started(status, before, reason)
        case Paused() if isinstance(before, Paused) and status.windows:
            return _with_reason(f"to go on {_starts(status, event.at, zone)}", reason)
        case Ended():
            return _ended(status, reason)
        case Held() | Queued() | Pausing() | Paused():
            return reason or STATUS_NAMES[type(status)]


def _starts(status: Waiting | Paused, at: datetime, zone: tzinfo) -> str:
    """The next start, seen from `at`."""
    start_at = start_of(status)
    if start_at is None:
        return "when there is room"
    time = moment(start_at, at, zone) if start_at - at > NOW else "now"
    return f"{time}, in {len(status.windows)} pieces" if len(status.windows) > 1 else time


def _started(status: Running, before: Status | None, reason: str) -> str:
    """Started, or resumed; that its process is known now is no news."""
    if isinstance(before, Running) and before.run_id == status.run_id:
        return ""
    return _with_reason("resumed" if isinstance(before, Paused) else "started", reason)


def _ended(status: Ended, reason: str) -> str:
    if status.outcome == "failed" and not reason:
        return f"failed with exit code {status.exit_code}"
    return reason or OUTCOMES[status.outcome]


def _with_reason(text: str, reason: str) -> str:
    return text if not reason or reason == text else f"{text}: {reason}"
