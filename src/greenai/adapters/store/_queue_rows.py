"""Jobs as rows of the queue's database. What many jobs have in common is stored once, and read once.

A row has what is a job's own in columns. The rest of what was handed over, the same
for the jobs of an array and for most that one user hands over, is a document of
`common`; a status is a document too, and waiting jobs share theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

from greenai.model.job import Constraints, Job
from greenai.model.queue import STATUS_NAMES, Entry, Paused, Running, Status, Submission, Waiting
from greenai.model.queue_lines import status_document, status_from, submission_document, submission_from
from greenai.model.units import iso_utc, parse_iso_utc

Row = Mapping[str, Any]
Fields = tuple[tuple[str, Any], ...]
Record = TypeVar("Record")

_parse = json.JSONDecoder().raw_decode
_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_NO_TIME = "1970-01-01T00:00:00Z"
_OWN: Row = {"array_index": None, "name": ""}
_JOBS_OWN: Row = {"id": "", "command": [], **dict.fromkeys(("submitted_at", "earliest_at", "deadline_at"), _NO_TIME)}
"""What stands in `common` where each job has its own: it stays a document of a submission."""


def row_of(entry: Entry) -> dict[str, Any]:
    """What changes with each event."""
    status = entry.status
    return {
        "id": entry.id,
        "status": STATUS_NAMES[type(status)],
        "over": int(entry.is_over),
        "start_at": _start_text(status),
        "changed_at": iso_utc(entry.changed_at),
        "version": entry.version,
        "standing": _json(status_document(status)),
        "wish": entry.wish,
        "run_ids": _json(entry.run_ids),
        "failures": entry.failures,
        "resumes": entry.resumes,
        "worked_s": entry.worked.total_seconds(),
        "duration_s": entry.duration.total_seconds(),
        "duration_source": entry.duration_source,
        "progress_share": entry.progress_share,
    }


def new_row_of(entry: Entry) -> dict[str, Any]:
    """The same, with what never changes."""
    submission = entry.submission
    job, limits = submission.job, submission.job.constraints
    labels = (f"{key}={value}" for key, value in job.labels.items())
    return {
        **row_of(entry),
        "number": int(entry.id.partition("_")[0]),
        "array_index": submission.array_index,
        "name": submission.name,
        "command": _json(job.command),
        "submitted_at": iso_utc(job.submitted_at),
        "earliest_at": iso_utc(limits.earliest_at),
        "deadline_at": iso_utc(limits.deadline_at),
        "words": " ".join((entry.id, submission.name, *job.command, *labels)),
        "common": common_of(submission),
    }


def common_of(submission: Submission) -> str:
    """What is left of a submission without the job's own."""
    document = submission_document(submission)
    return _json({**document, **_OWN, "job": {**document["job"], **_JOBS_OWN}})


def entry_of(row: Sequence[Any], submission: Submission | None) -> Entry:
    """The job of a row as the query `jobs` gives it; its submission is read only where it is not known.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: the row is damaged.
    """
    (standing, version, wish, run_ids, failures, resumes, worked_s, duration_s, source, progress_share, changed_at) = row[8:]
    return Entry(
        submission=submission or _submission(row),
        status=_status(standing),
        version=version,
        wish=wish,
        run_ids=_words(run_ids),
        failures=failures,
        resumes=resumes,
        worked=_span(worked_s),
        duration=_span(duration_s),
        duration_source=source,
        progress_share=progress_share,
        changed_at=parse_iso_utc(changed_at),
    )


def _submission(row: Sequence[Any]) -> Submission:
    job_id, array_index, name, command, submitted_at, earliest_at, deadline_at, common = row[:8]
    of_submission, of_job, _ = _shared(common)
    limits = _limits(common, earliest_at, deadline_at)
    job = _made(Job, of_job, id=job_id, command=_words(command), submitted_at=parse_iso_utc(submitted_at), constraints=limits)
    return _made(Submission, of_submission, job=job, array_index=array_index, name=name)


def _made(kind: type[Record], same: Fields, **own: object) -> Record:
    """A record of fields that many share and of its own.

    Not by its constructor, which takes twice as long: what that checks is in `same`, and was checked when that was read.
    """
    record = object.__new__(kind)
    for name, value in (*same, *own.items()):
        object.__setattr__(record, name, value)
    return record


@lru_cache(maxsize=1024)
def _shared(common: str) -> tuple[Fields, Fields, Fields]:
    """What is in `common`, field by field: of the submission, its job, its limits."""
    found = submission_from(json.loads(common))
    return (
        _fields_of(found, {"job", "array_index", "name"}),
        _fields_of(found.job, {"id", "command", "submitted_at", "constraints"}),
        _fields_of(found.job.constraints, {"earliest_at", "deadline_at"}),
    )


def _fields_of(record: Submission | Job | Constraints, but: set[str]) -> Fields:
    return tuple((field.name, getattr(record, field.name)) for field in fields(record) if field.name not in but)


@lru_cache(maxsize=1024)
def _limits(common: str, earliest_at: str, deadline_at: str) -> Constraints:
    limits = dict(_shared(common)[2])
    return Constraints(earliest_at=parse_iso_utc(earliest_at), deadline_at=parse_iso_utc(deadline_at), **limits)


@lru_cache(maxsize=4096)
def _status(standing: str) -> Status:
    return status_from(json.loads(standing))


@lru_cache(maxsize=1024)
def _span(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _words(array: str) -> tuple[str, ...]:
    if array == "[]":
        return ()
    words, end = _parse(array)
    if end != len(array):
        raise ValueError(f"{array!r} is no array")
    return tuple(words)


def _start_text(status: Status) -> str | None:
    if isinstance(status, Running):
        return iso_utc(status.started_at)
    return iso_utc(status.windows[0].start_at) if isinstance(status, Waiting | Paused) and status.windows else None
