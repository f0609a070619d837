"""The queue: what was handed over, how far it has come, and how it may go on.

A job's life is a list of events; what is known of it now (`Entry`) is their fold
and nothing else, so that a lost database is rebuilt from the log of events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from greenai.errors import InputError
from greenai.model.job import Job
from greenai.model.plan import Window

Outcome = Literal["completed", "failed", "cancelled", "lost"]
"""How a job ended: exit code 0; another code; stopped by the user; its process vanished and nobody saw the end."""

PauseWay = Literal["auto", "checkpoint", "freeze"]
"""How a job gives way: it saves and leaves (exit code 75), it is stopped where it stands, or what works."""

Wish = Literal["", "cancel", "pause"]
"""What the user asked of a job that runs, until it is done."""

PAUSED_EXIT_CODE = 75
"""EX_TEMPFAIL of sysexits.h: "paused, resume me" (facts: free in our table, requeued by Slurm's RequeueExit)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Kept back by the user until it is released."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """Not planned: new, or waiting for other jobs or for room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Planned: it runs in these windows, the first of them to come."""

    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Saved before the launch; `handle` is empty until the launch is known to have happened.

    `windows` are those of the plan from this leg on: a job that can pause gives way at the end of the first.
    """

    run_id: str
    started_at: datetime
    windows: tuple[Window, ...] = ()
    handle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pausing:
    """Asked to give way, in a way chosen then, and not yet seen to have done so: it still takes its room."""

    run_id: str
    started_at: datetime
    asked_at: datetime
    windows: tuple[Window, ...] = ()
    handle: str = ""
    way: PauseWay = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """Given way until the first of `windows`; none: not planned yet. `by_user`: until the user resumes it.

    `run_id` is that of a frozen process, which goes on in the same leg and keeps
    its memory; empty for a job that saved and left.
    """

    since_at: datetime
    windows: tuple[Window, ...] = ()
    by_user: bool = False
    run_id: str = ""
    started_at: datetime | None = None
    handle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Over. `exit_code` is None where nobody saw the end or nothing was run."""

    outcome: Outcome
    ended_at: datetime
    exit_code: int | None = None


Status = Held | Queued | Waiting | Running | Pausing | Paused | Ended

LEGAL: Mapping[type[Status], tuple[type[Status], ...]] = MappingProxyType(
    {
        Held: (Queued, Ended),
        Queued: (Held, Waiting, Running, Ended),
        Waiting: (Waiting, Held, Queued, Running, Ended),
        Running: (Running, Pausing, Paused, Queued, Ended),
        Pausing: (Running, Paused, Queued, Ended),
        Paused: (Paused, Running, Queued, Ended),
        Ended: (Queued,),
    }
)
"""What may follow what. From running back to queued is a retry; from ended, the user's `jobs retry`."""

STATUS_NAMES: Mapping[type[Status], str] = MappingProxyType(
    {
        Held: "held",
        Queued: "queued",
        Waiting: "waiting",
        Running: "running",
        Pausing: "pausing",
        Paused: "paused",
        Ended: "ended",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What was handed over, unchanged for ever. `job.id` names it: "12", or "12_3" for the third of an array.

    `demands` maps a resource of the machine (gpus, cpus, memory_gb) to how much of
    it the job takes while it runs. `after` names jobs, or whole arrays, that must
    have completed first. `duration_source` says what the length of the job rests
    on ("given", or "0.9 quantile of 12 runs of this command"), `pause_cost_source`
    what its resume cost does where that was learned. `environment` is added to that of
    whoever launches; `cwd` is absolute. `share_of` is whom its use is counted to.
    """

    job: Job
    name: str = ""
    demands: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"cpus": 1.0}))
    priority: int = 0
    retries: int = 0
    after: tuple[str, ...] = ()
    array_index: int | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cwd: str
    executor: str = "local"
    pause_way: PauseWay = "auto"
    grace: timedelta = timedelta(seconds=60)
    duration_source: str = "given"
    pause_cost_source: str = ""
    share_of: str = ""

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise InputError(f"a job is retried 0 times or more, not {self.retries}")
        if self.grace < timedelta(0):
            raise InputError(f"the grace cannot be negative, not {self.grace}")
        for name, amount in self.demands.items():
            if not 0 <= amount < float("inf"):
                raise InputError(f"a job takes 0 or more of {name}, not {amount}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The first event of every job."""

    submission: Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Another status."""

    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Wished:
    """The user asks something of a job that runs; "" takes it back."""

    wish: Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Retimed:
    """Its length is known better now: how much of the work is done (0 to 1), and how long all of it takes."""

    duration: timedelta
    progress_share: float | None = None
    source: str


Change = Submitted | Moved | Wished | Retimed


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """One step of a job's life. `version` counts them from 1: an event fits only right after the one before it."""

    job_id: str
    version: int
    at: datetime
    change: Change
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A job as it stands after `version` events.

    `run_ids` are its legs in order, the present one last; `failures` counts the
    legs that failed or were lost, `resumes` those that went on after a pause.
    `worked` is the time run in finished legs since the last start from nothing.
    `duration` is the length as known now, the whole of it.
    """

    submission: Submission
    status: Status = Queued()
    version: int = 1
    wish: Wish = ""
    run_ids: tuple[str, ...] = ()
    failures: int = 0
    resumes: int = 0
    worked: timedelta = timedelta(0)
    duration: timedelta
    duration_source: str
    progress_share: float | None = None
    changed_at: datetime

    @property
    def id(self) -> str:
        """The job's."""
        return self.submission.job.id

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return isinstance(self.status, Ended)

    @property
    def takes_room(self) -> bool:
        """Whether it holds its demand of the machine now. A frozen job keeps its memory, which is not counted here."""
        return isinstance(self.status, Running | Pausing)

    @property
    def left(self) -> timedelta:
        """How much of its length is still to run; never less than nothing."""
        by_time = self.duration - self.worked
        if self.progress_share is not None:
            by_time = min(by_time, self.duration * (1 - self.progress_share))
        return max(timedelta(0), by_time)


def after(entry: Entry | None, event: JobEvent) -> Entry:
    """The job after one more event; None before its first.

    Raises:
        InputError: the event does not follow: another version, a second submission, or an illegal step.
    """
    if isinstance(event.change, Submitted):
        return _first(entry, event, event.change.submission)
    if entry is None or event.version != entry.version + 1:
        raise InputError(f"event {event.version} of job {event.job_id} does not follow {entry.version if entry else 'nothing'}")
    entry = replace(entry, version=event.version, changed_at=event.at)
    if isinstance(event.change, Moved):
        return _moved(entry, event.change.status, event.at)
    if isinstance(event.change, Wished):
        return replace(entry, wish=event.change.wish)
    told = event.change
    return replace(entry, duration=told.duration, progress_share=told.progress_share, duration_source=told.source)


def _first(entry: Entry | None, event: JobEvent, submission: Submission) -> Entry:
    if entry is not None or event.version != 1:
        raise InputError(f"job {event.job_id} was submitted before")
    return Entry(
        submission=submission,
        duration=submission.job.constraints.duration,
        duration_source=submission.duration_source,
        changed_at=event.at,
    )


def _moved(entry: Entry, status: Status, at: datetime) -> Entry:
    if type(status) not in LEGAL[type(entry.status)]:
        raise InputError(
            f"job {entry.id} is {STATUS_NAMES[type(entry.status)]} and cannot become {STATUS_NAMES[type(status)]} from there"
        )
    if isinstance(status, Running) and _held_run(entry.status) not in {"", status.run_id}:
        raise InputError(f"job {entry.id} runs as {_held_run(entry.status)}: it cannot run as {status.run_id} too")
    return replace(_counted(entry, status, at), status=status)


def _held_run(status: Status) -> str:
    """The run that a job is in the middle of; empty for none."""
    return status.run_id if isinstance(status, Running | Pausing | Paused) else ""


def _counted(entry: Entry, status: Status, at: datetime) -> Entry:
    """The counters after a step: legs, resumes, failures, time worked, and a wish that came true."""
    before = entry.status
    if isinstance(status, Running) and status.run_id not in entry.run_ids:
        resumed = isinstance(before, Paused)
        return replace(entry, run_ids=(*entry.run_ids, status.run_id), resumes=entry.resumes + resumed)
    if isinstance(status, Running) and isinstance(before, Paused):
        return replace(entry, resumes=entry.resumes + 1)
    if isinstance(before, Running | Pausing):
        return _left_off(entry, status, _stopped_at(status, at) - before.started_at)
    if isinstance(before, Paused) and before.run_id and isinstance(status, Queued):
        return _left_off(entry, status, timedelta(0))
    if isinstance(before, Ended) or isinstance(status, Ended):
        return replace(entry, wish="", failures=0 if isinstance(before, Ended) else entry.failures)
    return entry


def _stopped_at(status: Status, at: datetime) -> datetime:
    """When a leg ended: it is seen a little later."""
    known_at = status.since_at if isinstance(status, Paused) else status.ended_at if isinstance(status, Ended) else at
    return min(known_at, at)


def _left_off(entry: Entry, status: Status, ran: timedelta) -> Entry:
    """After a leg: paused keeps the work, a retry begins again from nothing, unless it left checkpoints of its own."""
    if isinstance(status, Paused):
        return replace(entry, worked=entry.worked + max(timedelta(0), ran), wish="")
    if isinstance(status, Queued):
        return replace(entry, worked=timedelta(0), progress_share=None, failures=entry.failures + 1, wish="")
    if isinstance(status, Ended):
        return replace(entry, worked=entry.worked + max(timedelta(0), ran), wish="")
    return entry


# What an executor knows of a run ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One leg of a job, as given to an executor: all that is needed to run and to account for it.

    `runnable_at` is the moment this leg would have started had the job run at
    once; `decision` the plan's JSON document, None where nothing was planned.
    """

    run_id: str
    job_id: str
    command: tuple[str, ...]
    cwd: str
    zone: str
    environment: Mapping[str, str]
    runnable_at: datetime
    latest_start_at: datetime | None = None
    decision: Mapping[str, object] | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    demands: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    resumes: int = 0
    pause_way: PauseWay = "auto"
    grace: timedelta = timedelta(seconds=60)
    duration: timedelta
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unstarted:
    """Nothing was launched for this run yet, or what was launched never began: launching (again) is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """It runs, or stands frozen. `in_line`: its engine has not begun it.

    `progress_share` is how much of the work is done, 0 to 1: as the program said
    itself, or where `is_read` as its output was understood, which may be wrong.
    """

    handle: str
    progress_share: float | None = None
    is_read: bool = False
    frozen: bool = False
    in_line: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """It ended and its exit code is known; 75 is a pause. `note` says what had to be done to it, if anything."""

    exit_code: int
    ended_at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """It began, is not there any more, and nobody saw it end."""

    reason: str


RunState = Unstarted | Alive | Exited | Gone
