"""Events and entries of the queue as JSON: the lines of its log, the columns of its database. Exact both ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from greenai.errors import EvidenceDamaged
from greenai.model.job import Constraints, Job
from greenai.model.plan import Window
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
    Task,
    Waiting,
    Wished,
)
from greenai.model.units import iso_utc, parse_iso_utc

Document = dict[str, Any]

_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
"""Made once: json.dumps makes one for each text that is not written in its own style."""


def event_line(event: JobEvent) -> bytes:
    """One event as one line, newline included."""
    document = {
        "job_id": event.job_id,
        "version": event.version,
        "at": iso_utc(event.at),
        "reason": event.reason,
        **change_document(event.change),
    }
    return _json(document).encode() + b"\n"


def event_from_line(line: bytes) -> JobEvent:
    """The event on one line, newline included or not.

    Raises:
        EvidenceDamaged: the line holds none.
    """
    try:
        document = json.loads(line)
        return JobEvent(
            job_id=document["job_id"],
            version=document["version"],
            at=parse_iso_utc(document["at"]),
            reason=document["reason"],
            change=_change(document),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise EvidenceDamaged(f"not an event of a job: {error}") from None


def change_document(change: Change) -> Document:
    """What an event changes, under the name of its kind."""
    if isinstance(change, Submitted):
        return {"submitted": submission_document(change.submission)}
    if isinstance(change, Moved):
        return {"moved": status_document(change.status)}
    if isinstance(change, Wished):
        return {"wished": change.wish}
    told = {"duration_s": _seconds(change.duration), "progress_share": change.progress_share, "source": change.source}
    return {"retimed": told}


def _change(document: Mapping[str, Any]) -> Change:
    if "submitted" in document:
        return Submitted(submission=submission_from(document["submitted"]))
    if "moved" in document:
        return Moved(status=status_from(document["moved"]))
    if "wished" in document:
        return Wished(wish=document["wished"])
    told = document["retimed"]
    return Retimed(duration=_span(told["duration_s"]), progress_share=told["progress_share"], source=told["source"])


# Status --------------------------------------------------------------------------------------------------------------


def status_document(status: Status) -> Document:
    """A status by its name, with what belongs to it."""
    named: Document = {"status": STATUS_NAMES[type(status)]}
    match status:
        case Waiting():
            return {**named, "windows": _pairs(status.windows)}
        case Running():
            return {**named, **_leg(status)}
        case Pausing():
            return {**named, **_leg(status), "asked_at": iso_utc(status.asked_at), "way": status.way}
        case Paused():
            return {**named, **_paused(status)}
        case Ended():
            return {**named, "outcome": status.outcome, "ended_at": iso_utc(status.ended_at), "exit_code": status.exit_code}
    return named


def _leg(status: Running | Pausing) -> Document:
    return {
        "run_id": status.run_id,
        "started_at": iso_utc(status.started_at),
        "windows": _pairs(status.windows),
        "handle": status.handle,
    }


def _paused(status: Paused) -> Document:
    return {
        "since_at": iso_utc(status.since_at),
        "windows": _pairs(status.windows),
        "by_user": status.by_user,
        "run_id": status.run_id,
        "started_at": _moment_text(status.started_at),
        "handle": status.handle,
    }


def status_from(document: Mapping[str, Any]) -> Status:
    """The status of a document; raises KeyError, ValueError or TypeError for what is none."""
    parse = _PARSERS.get(document["status"])
    if parse is None:
        raise ValueError(f"{document['status']!r} is no status")
    return parse(document)


def _leg_from(document: Mapping[str, Any]) -> Document:
    return {
        "run_id": document["run_id"],
        "started_at": parse_iso_utc(document["started_at"]),
        "windows": _windows(document["windows"]),
        "handle": document["handle"],
    }


def _paused_from(document: Mapping[str, Any]) -> Paused:
    return Paused(
        since_at=parse_iso_utc(document["since_at"]),
        windows=_windows(document["windows"]),
        by_user=document["by_user"],
        run_id=document["run_id"],
        started_at=_moment(document["started_at"]),
        handle=document["handle"],
    )


_PARSERS: Mapping[str, Callable[[Mapping[str, Any]], Status]] = MappingProxyType(
    {
        "held": lambda _: Held(),
        "queued": lambda _: Queued(),
        "waiting": lambda document: Waiting(windows=_windows(document["windows"])),
        "running": lambda document: Running(**_leg_from(document)),
        "pausing": lambda document: Pausing(
            **_leg_from(document), asked_at=parse_iso_utc(document["asked_at"]), way=document.get("way", "auto")
        ),
        "paused": _paused_from,
        "ended": lambda document: Ended(
            outcome=document["outcome"], ended_at=parse_iso_utc(document["ended_at"]), exit_code=document["exit_code"]
        ),
    }
)


# Submission ----------------------------------------------------------------------------------------------------------


def submission_document(submission: Submission) -> Document:
    """All that was handed over."""
    return {
        "job": _job_document(submission.job),
        "name": submission.name,
        "demands": dict(submission.demands),
        "priority": submission.priority,
        "retries": submission.retries,
        "after": list(submission.after),
        "array_index": submission.array_index,
        "environment": dict(submission.environment),
        "cwd": submission.cwd,
        "executor": submission.executor,
        "pause_way": submission.pause_way,
        "grace_s": _seconds(submission.grace),
        "duration_source": submission.duration_source,
        "pause_cost_source": submission.pause_cost_source,
        "share_of": submission.share_of,
    }


def submission_from(document: Mapping[str, Any]) -> Submission:
    """The submission of a document; raises KeyError, ValueError or TypeError for what is none."""
    same = ("name", "priority", "retries", "array_index", "cwd", "executor", "pause_way", "duration_source", "share_of")
    return Submission(
        job=_job(document["job"]),
        demands=MappingProxyType(dict(document["demands"])),
        after=tuple(document["after"]),
        environment=MappingProxyType(dict(document["environment"])),
        grace=_span(document["grace_s"]),
        pause_cost_source=document.get("pause_cost_source", ""),
        **{name: document[name] for name in same},
    )


def _job_document(job: Job) -> Document:
    limits = job.constraints
    return {
        "id": job.id,
        "command": list(job.command),
        "policy": job.policy,
        "zone": job.zone,
        "submitted_at": iso_utc(job.submitted_at),
        "power_w": job.power_w,
        "labels": dict(job.labels),
        "earliest_at": iso_utc(limits.earliest_at),
        "deadline_at": iso_utc(limits.deadline_at),
        "duration_s": _seconds(limits.duration),
        "min_chunk_s": _seconds(limits.min_chunk),
        "resume_cost_s": _seconds(limits.resume_cost),
        **{name: getattr(limits, name) for name in _LIMITS},
    }


_LIMITS = ("interruptible", "max_segments", "max_g_per_kwh", "percentile", "min_saving")
"""Limits that are JSON as they are."""


def _job(document: Mapping[str, Any]) -> Job:
    return Job(
        id=document["id"],
        command=tuple(document["command"]),
        policy=document["policy"],
        zone=document["zone"],
        submitted_at=parse_iso_utc(document["submitted_at"]),
        power_w=document["power_w"],
        labels=MappingProxyType(dict(document["labels"])),
        constraints=Constraints(
            earliest_at=parse_iso_utc(document["earliest_at"]),
            deadline_at=parse_iso_utc(document["deadline_at"]),
            duration=_span(document["duration_s"]),
            min_chunk=_span(document["min_chunk_s"]),
            resume_cost=_span(document["resume_cost_s"]),
            **{name: document[name] for name in _LIMITS},
        ),
    )


# Entry ---------------------------------------------------------------------------------------------------------------


def entry_document(entry: Entry) -> Document:
    """What is known of a job beside its submission."""
    return {
        **status_document(entry.status),
        "version": entry.version,
        "wish": entry.wish,
        "run_ids": list(entry.run_ids),
        "failures": entry.failures,
        "resumes": entry.resumes,
        "worked_s": _seconds(entry.worked),
        "duration_s": _seconds(entry.duration),
        "duration_source": entry.duration_source,
        "progress_share": entry.progress_share,
        "changed_at": iso_utc(entry.changed_at),
    }


def entry_from(document: Mapping[str, Any], submission: Submission) -> Entry:
    """The job of a document and its submission; raises KeyError, ValueError or TypeError for what is none."""
    same = ("version", "wish", "failures", "resumes", "duration_source", "progress_share")
    return Entry(
        submission=submission,
        status=status_from(document),
        run_ids=tuple(document["run_ids"]),
        worked=_span(document["worked_s"]),
        duration=_span(document["duration_s"]),
        changed_at=parse_iso_utc(document["changed_at"]),
        **{name: document[name] for name in same},
    )


# Task ----------------------------------------------------------------------------------------------------------------


def task_document(task: Task) -> Document:
    """A leg as JSON; its environment may hold secrets: written to private files only."""
    same = ("run_id", "job_id", "cwd", "zone", "resumes", "pause_way", "name")
    return {
        **{name: getattr(task, name) for name in same},
        "command": list(task.command),
        "environment": dict(task.environment),
        "runnable_at": iso_utc(task.runnable_at),
        "latest_start_at": _moment_text(task.latest_start_at),
        "decision": None if task.decision is None else dict(task.decision),
        "labels": dict(task.labels),
        "demands": dict(task.demands),
        "grace_s": _seconds(task.grace),
        "duration_s": _seconds(task.duration),
    }


def task_from(document: Mapping[str, Any]) -> Task:
    """The leg of a document; raises KeyError, ValueError or TypeError for what is none."""
    same = ("run_id", "job_id", "cwd", "zone", "resumes", "pause_way", "name")
    return Task(
        command=tuple(document["command"]),
        environment=MappingProxyType(dict(document["environment"])),
        runnable_at=parse_iso_utc(document["runnable_at"]),
        latest_start_at=_moment(document["latest_start_at"]),
        decision=document["decision"],
        labels=MappingProxyType(dict(document["labels"])),
        demands=MappingProxyType(dict(document["demands"])),
        grace=_span(document["grace_s"]),
        duration=_span(document["duration_s"]),
        **{name: document[name] for name in same},
    )


def _pairs(windows: Sequence[Window]) -> list[list[str]]:
    return [[iso_utc(window.start_at), iso_utc(window.end_at)] for window in windows]


def _windows(pairs: Sequence[Sequence[str]]) -> tuple[Window, ...]:
    return tuple(Window(start_at=parse_iso_utc(start), end_at=parse_iso_utc(end)) for start, end in pairs)


def _seconds(span: timedelta) -> float:
    return span.total_seconds()


def _span(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _moment_text(moment: datetime | None) -> str | None:
    return None if moment is None else iso_utc(moment)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse_iso_utc(text)
