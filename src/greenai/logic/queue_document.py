"""Queued jobs and the steps of their lives as JSON types. Environments are left out: they may hold secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from greenai.model.plan import Window
from greenai.model.queue import (
    STATUS_NAMES,
    Ended,
    Entry,
    JobEvent,
    Moved,
    Paused,
    Retimed,
    Running,
    Status,
    Submission,
    Submitted,
    Waiting,
    Wished,
)
from greenai.model.units import iso_utc


def windows_of(status: Status) -> tuple[Window, ...]:
    """When a job is to run, as far as that is planned."""
    return getattr(status, "windows", ())


def start_of(status: Status) -> datetime | None:
    """When it started, or will; None where that is not known."""
    if isinstance(status, Running):
        return status.started_at
    windows = windows_of(status)
    return windows[0].start_at if isinstance(status, Waiting | Paused) and windows else None


def job_document(entry: Entry) -> dict[str, Any]:
    """One job as it stands; its schema is greenai/schemas/job.schema.json."""
    status, start_at = entry.status, start_of(entry.status)
    ended = status if isinstance(status, Ended) else None
    return {
        **_submitted(entry.submission),
        "status": STATUS_NAMES[type(status)],
        "outcome": ended.outcome if ended else None,
        "exit_code": ended.exit_code if ended else None,
        "changed_at": iso_utc(entry.changed_at),
        "start_at": iso_utc(start_at) if start_at else None,
        "ended_at": iso_utc(ended.ended_at) if ended else None,
        "windows": [{"start_at": iso_utc(one.start_at), "end_at": iso_utc(one.end_at)} for one in windows_of(status)],
        "wish": entry.wish,
        "duration_s": entry.duration.total_seconds(),
        "duration_source": entry.duration_source,
        "worked_s": entry.worked.total_seconds(),
        "progress_share": entry.progress_share,
        "failures": entry.failures,
        "resumes": entry.resumes,
        "run_ids": list(entry.run_ids),
    }


def _submitted(submission: Submission) -> dict[str, Any]:
    """What was handed over, and does not change."""
    job, limits = submission.job, submission.job.constraints
    return {
        "job_id": job.id,
        "name": submission.name,
        "command": list(job.command),
        "cwd": submission.cwd,
        "executor": submission.executor,
        "zone": job.zone,
        "policy": job.policy,
        "submitted_at": iso_utc(job.submitted_at),
        "deadline_at": iso_utc(limits.deadline_at),
        "interruptible": limits.interruptible,
        "power_w": job.power_w,
        "resume_cost_s": limits.resume_cost.total_seconds(),
        "resume_cost_source": submission.pause_cost_source,
        "demands": dict(submission.demands),
        "priority": submission.priority,
        "retries": submission.retries,
        "after": list(submission.after),
        "array_index": submission.array_index,
        "labels": dict(job.labels),
    }


def event_document(event: JobEvent) -> dict[str, Any]:
    """One step; its schema is greenai/schemas/job_event.schema.json."""
    kinds = {Submitted: "submitted", Moved: "moved", Wished: "wished", Retimed: "retimed"}
    change = event.change
    start_at = start_of(change.status) if isinstance(change, Moved) else None
    return {
        "job_id": event.job_id,
        "version": event.version,
        "at": iso_utc(event.at),
        "kind": kinds[type(change)],
        "status": STATUS_NAMES[type(change.status)] if isinstance(change, Moved) else None,
        "start_at": iso_utc(start_at) if start_at else None,
        "wish": change.wish if isinstance(change, Wished) else None,
        "progress_share": change.progress_share if isinstance(change, Retimed) else None,
        "reason": event.reason,
    }
