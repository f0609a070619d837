"""Jobs of the queue, read and changed. Nothing here plans or reads the grid, so that it loads in a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from greenai.config import Settings
from greenai.errors import InputError, StoreError
from greenai.logic.queue_document import job_document
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
    Running,
    Waiting,
    Wished,
)
from greenai.wiring_queue import open_queue, output_of, queue_settings, system_clock

PAGE = 30
"""Jobs that are shown where nobody says how many."""

MOST = 1_000_000
TRIES = 20
"""Somebody else may change a job at the same moment; each time it is looked at again."""

STATUSES = tuple(STATUS_NAMES.values())

Job = str | int
Decide = Callable[[Entry], tuple[Change, str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Some jobs of many: what runs first, then what will, then the ended, newest first.

    `counts` are over all jobs, by status. `has_more`: the limit left jobs out. `holder`: who runs the queue now.
    """

    jobs: tuple[Entry, ...]
    counts: Mapping[str, int]
    has_more: bool
    holder: str | None
    repairs: tuple[str, ...] = ()

    @property
    def unfinished(self) -> int:
        """How many jobs are not over."""
        return sum(count for status, count in self.counts.items() if status != "ended")

    @property
    def by_status(self) -> Mapping[str, int]:
        """How many jobs there are of each status, those of which there is none included."""
        return {status: self.counts.get(status, 0) for status in STATUSES}

    def document(self) -> dict[str, object]:
        """The page as JSON types; its schema is greenai/schemas/jobs.schema.json."""
        return {
            "jobs": [job_document(entry) for entry in self.jobs],
            "counts": self.by_status,
            "has_more": self.has_more,
            "daemon": self.holder is not None,
        }


def jobs(
    *, status: str = "", match: str = "", limit: int | None = PAGE, offset: int = 0, settings: Settings | None = None
) -> JobPage:
    """Some jobs; `match` must stand in the name, the command, the id or a label; `limit` None takes all.

    Raises:
        InputError: there is no such status.
        StoreError: the queue cannot be read.
    """
    if status and status not in STATUSES:
        raise InputError(f"there is no status {status!r}", hint=f"a job is {', '.join(STATUSES)}")
    queue = open_queue(queue_settings(settings))
    most = MOST if limit is None else limit
    found = queue.page(status=status, words=match, limit=most + 1, offset=offset)
    return JobPage(
        jobs=found[:most],
        counts=queue.counts(),
        has_more=len(found) > most,
        holder=queue.holder(system_clock().now()),
        repairs=tuple(queue.repairs),
    )


def job(job_id: Job, *, settings: Settings | None = None) -> Entry:
    """One job.

    Raises:
        UnknownJob: there is none of this id.
        InputError: it is the number of an array.
    """
    found = open_queue(queue_settings(settings)).entries([_id(job_id)])
    if len(found) > 1:
        raise InputError(
            f"{job_id} is an array of {len(found):,} jobs",
            hint=f"name one of them, for example {found[0].id}; greenai jobs list --match {job_id}_ shows them",
        )
    return found[0]


def job_events(job_id: Job, *, settings: Settings | None = None) -> tuple[JobEvent, ...]:
    """The life of one job, first event first; raises UnknownJob."""
    return open_queue(queue_settings(settings)).events(_id(job_id))


def log_path(job_id: Job, *, leg: int | None = None, settings: Settings | None = None) -> Path:
    """Where the output of a job's leg is: the last one, or the one counted from 1.

    Raises:
        InputError: the job has not run, or has no such leg.
    """
    known = queue_settings(settings)
    entry = job(job_id, settings=known)
    if not entry.run_ids:
        raise InputError(f"job {entry.id} has not run yet: it is {STATUS_NAMES[type(entry.status)]}")
    if leg is not None and not 1 <= leg <= len(entry.run_ids):
        raise InputError(f"job {entry.id} has no leg {leg}: it has run {len(entry.run_ids)} times")
    return output_of(known, entry.run_ids[-1 if leg is None else leg - 1])


def job_evidence(entry: Entry, *, settings: Settings | None = None) -> list[dict[str, Any]]:
    """The evidence of a job's legs that have ended, in order; raises StoreError."""
    from greenai.api.recording import evidence_list

    found = {document["run_id"]: document for document in evidence_list(settings=queue_settings(settings))}
    return [found[run_id] for run_id in entry.run_ids if run_id in found]


def running_holder(settings: Settings | None = None) -> str | None:
    """Who runs the queue now; None if nobody does."""
    return open_queue(queue_settings(settings)).holder(system_clock().now())


# Changing ------------------------------------------------------------------------------------------------------------


def cancel(*job_ids: Job, settings: Settings | None = None) -> tuple[Entry, ...]:
    """End jobs: those that run are asked to by the next tick. Those that are over stay as they are; the jobs afterwards."""
    return _change(job_ids, _cancelled, settings)


def hold(*job_ids: Job, settings: Settings | None = None) -> tuple[Entry, ...]:
    """Keep jobs back until they are released; raises InputError for those that have started."""
    return _change(job_ids, _held, settings)


def release(*job_ids: Job, settings: Settings | None = None) -> tuple[Entry, ...]:
    """Let held jobs be planned again; raises InputError where none of them is held."""
    return _change(job_ids, _released, settings)


def pause(*job_ids: Job, settings: Settings | None = None) -> tuple[Entry, ...]:
    """Let running jobs give way until they are resumed; the next tick asks them. Raises InputError for what does not run."""
    return _change(job_ids, _paused, settings)


def resume(*job_ids: Job, settings: Settings | None = None) -> tuple[Entry, ...]:
    """Hand paused jobs back to the plan; raises InputError for what is not paused."""
    return _change(job_ids, _resumed, settings)


def retry(*job_ids: Job, settings: Settings | None = None) -> tuple[Entry, ...]:
    """Run jobs again that failed, were lost or cancelled; raises InputError for others."""
    return _change(job_ids, _retried, settings)


def _change(job_ids: Sequence[Job], decide: Decide, settings: Settings | None) -> tuple[Entry, ...]:
    """One step for each job that can take it, all of them tried before anything is written; the jobs afterwards.

    Of an array those that cannot are passed over, unless none can.
    """
    if not job_ids:
        raise InputError("which job?", hint="greenai jobs list shows them")
    queue = open_queue(queue_settings(settings))
    wanted = pending = list(dict.fromkeys(map(_id, job_ids)))
    for _ in range(TRIES):
        # A job may be named twice, by itself and by its array.
        events = list({event.job_id: event for each in pending for event in _events(queue.entries([each]), decide)}.values())
        written = queue.append(events)
        pending = [event.job_id for event, fits in zip(events, written, strict=True) if not fits]
        if not pending:
            return tuple({entry.id: entry for entry in queue.entries(wanted)}.values())
    raise StoreError("the jobs change faster than they can be changed by you", hint="try again")


def _events(entries: Sequence[Entry], decide: Decide) -> list[JobEvent]:
    """The events of one id that was given: of one job, or of an array."""
    now_at, found, refusals = system_clock().now(), [], []
    for entry in entries:
        try:
            step = decide(entry)
        except InputError as refusal:
            refusals.append(refusal)
        else:
            found += [_event(entry, *step, now_at)] if step else []
    if len(refusals) == len(entries):
        raise refusals[0]
    return found


def _event(entry: Entry, change: Change, reason: str, now_at: datetime) -> JobEvent:
    return JobEvent(job_id=entry.id, version=entry.version + 1, at=now_at, change=change, reason=reason)


def _is_frozen(entry: Entry) -> bool:
    """Whether it is paused and its process is there."""
    return isinstance(entry.status, Paused) and entry.status.run_id != ""


def _cancelled(entry: Entry) -> tuple[Change, str] | None:
    if entry.is_over or entry.wish == "cancel":
        return None
    if isinstance(entry.status, Running | Pausing) or _is_frozen(entry):
        return Wished(wish="cancel"), "asked to end by the user"
    return Moved(status=Ended(outcome="cancelled", ended_at=system_clock().now())), "cancelled by the user"


def _held(entry: Entry) -> tuple[Change, str] | None:
    match entry.status:
        case Held():
            return None
        case Queued() | Waiting():
            return Moved(status=Held()), "held by the user"
    hint = f"greenai jobs pause {entry.id}" if isinstance(entry.status, Running) else ""
    raise InputError(f"{_as_it_is(entry)}: only what has not started can be held", hint=hint or None)


def _released(entry: Entry) -> tuple[Change, str] | None:
    if isinstance(entry.status, Held):
        return Moved(status=Queued()), "released by the user"
    raise InputError(f"{_as_it_is(entry)}: it is not held")


def _paused(entry: Entry) -> tuple[Change, str] | None:
    match entry.status:
        case Running() | Pausing():
            return None if entry.wish in {"pause", "cancel"} else (Wished(wish="pause"), "asked to pause by the user")
        case Paused(by_user=True):
            return None
        case Paused():
            return Moved(status=replace(entry.status, by_user=True, windows=())), "kept paused by the user"
    hint = f"greenai jobs hold {entry.id}" if isinstance(entry.status, Queued | Waiting) else None
    raise InputError(f"{_as_it_is(entry)}: only what runs can be paused", hint=hint)


def _resumed(entry: Entry) -> tuple[Change, str] | None:
    match entry.status:
        case Paused(by_user=True):
            return Moved(status=replace(entry.status, by_user=False)), "resumed by the user"
        case Paused():
            return None
        case Running() | Pausing() if entry.wish == "pause":
            return Wished(wish=""), "not to pause, says the user"
    hint = f"greenai jobs release {entry.id}" if isinstance(entry.status, Held) else None
    raise InputError(f"{_as_it_is(entry)}: it is not paused", hint=hint)


def _retried(entry: Entry) -> tuple[Change, str] | None:
    if isinstance(entry.status, Ended) and entry.status.outcome != "completed":
        return Moved(status=Queued()), "to be tried again, says the user"
    hint = "to run it once more, submit it again" if entry.is_over else None
    raise InputError(f"{_as_it_is(entry)}: only what failed, was lost or cancelled can be tried again", hint=hint)


def _as_it_is(entry: Entry) -> str:
    status = entry.status
    return f"job {entry.id} is {status.outcome if isinstance(status, Ended) else STATUS_NAMES[type(status)]}"


def _id(job_id: Job) -> str:
    return str(job_id).strip()
