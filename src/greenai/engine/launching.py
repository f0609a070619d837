"""What is due now: who gives way, who starts, and in which order where not all find room.

Each step is written before it is done, and may be done again without harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache

from greenai.engine.book import Book
from greenai.engine.doors import QueueDoors
from greenai.engine.follow import ask_to_pause, waits_for_room
from greenai.engine.lease import Lease
from greenai.errors import GreenaiError, InputError
from greenai.logic.deciding import decide, decision_document
from greenai.logic.queue_legs import leg_run_id
from greenai.logic.queue_room import Room
from greenai.logic.queue_times import latest_start_at, left_at, rest_of
from greenai.logic.wording import when
from greenai.model.intensity import Reading
from greenai.model.job import Constraints, Job
from greenai.model.plan import Decision, Plan, Window
from greenai.model.queue import Ended, Entry, Paused, Pausing, Running, Task, Waiting
from greenai.model.series import IntensitySeries
from greenai.model.units import SECONDS_PER_HOUR
from greenai.ports import HoldingExecutor

HASTE = timedelta(minutes=1)
"""Who must start within this goes before all who need not."""


def give_way(book: Book, doors: QueueDoors) -> None:
    """Ask those that run to pause whose plan goes on later than now."""
    for entry in book:
        status = entry.status
        if isinstance(status, Running) and status.handle and _goes_on_later(status, book.now_at):
            reason = f"asked to pause until {when(status.windows[0].start_at)}"
            # The windows of a pausing job are those from its leg on: the first is the one it leaves.
            leaving = replace(status, windows=(Window(start_at=status.started_at, end_at=_after(status, book)), *status.windows))
            ask_to_pause(book, doors, entry, leaving, reason=reason, stands=status.windows[0].start_at - book.now_at)
    asked = [entry.id for entry in book if isinstance(entry.status, Pausing) and entry.status.asked_at == book.now_at]
    refused = book.write()
    for job_id in asked:
        status = book[job_id].status
        if job_id not in refused and isinstance(status, Pausing):
            _pause(doors, book[job_id], status)


def _goes_on_later(status: Running, now_at: datetime) -> bool:
    """Whether its plan does not go on now; a clock that was set back is no reason to pause."""
    return bool(status.windows) and status.windows[0].start_at > max(now_at, status.started_at)


def _after(status: Running, book: Book) -> datetime:
    """Now, but after its start even if the clock was set back."""
    return max(book.now_at, status.started_at + timedelta.resolution)


def _pause(doors: QueueDoors, entry: Entry, status: Pausing) -> None:
    executor = doors.executors.get(entry.submission.executor)
    if executor is None:
        return
    try:
        executor.pause(status.run_id, status.handle, status.way)
    except GreenaiError as error:
        doors.warn(f"job {entry.id} could not be asked to pause yet: {error}")


def start_due(
    book: Book,
    doors: QueueDoors,
    readings: Mapping[str, Reading],
    *,
    lease: Lease,
    free: frozenset[str],
    unbegun: frozenset[str],
    used: Mapping[str, float],
) -> tuple[str, ...]:
    """Start what is due, as far as there is room: written first, then done; the jobs that were started.

    `free` are the jobs that wait for no other; `unbegun` those whose launch never
    became a run; `used` says how much each user or label had of the machine lately.
    """
    due = [entry for entry in book if entry.id in free and _is_due(entry, book.now_at)]
    due.sort(key=lambda entry: _order(entry, book.now_at, used))
    chosen = _with_room(due, book, doors)
    thawed = frozenset(entry.id for entry in chosen if isinstance(entry.status, Paused) and entry.status.run_id)
    for entry in chosen:
        book.move(entry.id, running_from(entry, book.now_at, _new_run_id(entry, book.now_at, doors)), "its time has come")
    refused = book.write()
    started = tuple(entry.id for entry in chosen if entry.id not in refused)
    unsure = sorted({entry.id for entry in book if _is_unlaunched(entry)} | unbegun)
    for job_id in dict.fromkeys((*started, *unsure)):
        if not lease.keep():
            # Whoever has it now finds them written down, and launches them.
            break
        if job_id in thawed:
            _thaw(doors, book[job_id])
        else:
            _start(book, doors, readings, job_id=job_id)
    book.write()
    return started


def _is_due(entry: Entry, now_at: datetime) -> bool:
    status = entry.status
    if not isinstance(status, Waiting | Paused) or not waits_for_room(entry):
        return False
    return bool(status.windows) and status.windows[0].start_at <= now_at


def _order(entry: Entry, now_at: datetime, used: Mapping[str, float]) -> tuple[object, ...]:
    """Who goes first: whoever must, then whoever is more important, then whoever had least, then whoever was planned first."""
    must_at = latest_start_at(entry, now_at)
    in_haste = must_at <= now_at + HASTE
    status = entry.status
    start_at = status.windows[0].start_at if isinstance(status, Waiting | Paused) else now_at
    least = used.get(entry.submission.share_of, 0.0)
    return not in_haste, -entry.submission.priority, least, start_at, must_at


def _with_room(due: Sequence[Entry], book: Book, doors: QueueDoors) -> list[Entry]:
    """Those that find room, in order. Whoever passes one that finds none may not make it wait longer."""
    room = Room(doors.capacity, [entry for entry in book if entry.takes_room], book.now_at)
    chosen = []
    for entry in due:
        if room.take(entry):
            chosen.append(entry)
        else:
            room.keep_for(entry)
    return chosen


def running_from(entry: Entry, now_at: datetime, run_id: str) -> Running:
    """The status of a job that starts, thaws or goes on now; its first window begins now."""
    status = entry.status
    windows = status.windows if isinstance(status, Waiting | Paused) else ()
    first_end_at = max(windows[0].end_at, now_at + timedelta.resolution) if windows[1:] else now_at + left_at(entry, now_at)
    windows = (Window(start_at=now_at, end_at=first_end_at), *windows[1:])
    if isinstance(status, Paused) and status.run_id:
        return Running(run_id=status.run_id, started_at=now_at, windows=windows, handle=status.handle)
    return Running(run_id=run_id, started_at=now_at, windows=windows)


def _new_run_id(entry: Entry, now_at: datetime, doors: QueueDoors) -> str:
    """A new one; where its engine may hold the leg already, the one under which it does."""
    holds = isinstance(doors.executors.get(entry.submission.executor), HoldingExecutor)
    return leg_run_id(entry) if holds else doors.new_run_id(now_at)


def _is_unlaunched(entry: Entry) -> bool:
    """Whether a launch was written down and nobody knows whether it was made."""
    return isinstance(entry.status, Running) and not entry.status.handle


def _start(book: Book, doors: QueueDoors, readings: Mapping[str, Reading], *, job_id: str) -> None:
    """Launch; what can never start fails at once, what may start later is tried again at the next tick."""
    entry = book[job_id]
    status = entry.status
    executor = doors.executors.get(entry.submission.executor)
    if executor is None or not isinstance(status, Running):
        return
    try:
        handle = executor.launch(task_of(entry, status, readings))
    except InputError as error:
        hint = f" ({error.hint})" if error.hint else ""
        book.move(job_id, Ended(outcome="failed", ended_at=book.now_at), f"could not be started: {error}{hint}")
    except GreenaiError as error:
        doors.warn(f"job {entry.id} could not be started yet: {error}")
    else:
        if handle != status.handle:
            book.move(job_id, replace(status, handle=handle), "launched")


def _thaw(doors: QueueDoors, entry: Entry) -> None:
    """Let a frozen job go on; one that could not be told so is told by the next tick, which finds it frozen."""
    executor, status = doors.executors.get(entry.submission.executor), entry.status
    if executor is None or not isinstance(status, Running):
        return
    try:
        executor.resume(status.run_id, status.handle)
    except GreenaiError as error:
        doors.warn(f"job {entry.id} could not go on yet: {error}")


def task_of(entry: Entry, status: Running, readings: Mapping[str, Reading]) -> Task:
    """One leg, with all that is needed to run and to account for it."""
    submission, limits = entry.submission, entry.submission.job.constraints
    return Task(
        run_id=status.run_id,
        job_id=entry.id,
        command=submission.job.command,
        cwd=submission.cwd,
        zone=submission.job.zone,
        environment=submission.environment,
        # Had the job started at once, this leg would have run after what was worked before.
        runnable_at=max(limits.earliest_at, submission.job.submitted_at) + entry.worked,
        latest_start_at=limits.latest_start_at + entry.worked,
        decision=_decision(entry, status, readings.get(submission.job.zone)),
        labels=submission.job.labels,
        demands=submission.demands,
        resumes=entry.resumes,
        pause_way=submission.pause_way,
        grace=submission.grace,
        duration=left_at(entry, status.started_at),
        name=submission.name,
    )


def _decision(entry: Entry, status: Running, reading: Reading | None) -> Mapping[str, object] | None:
    """Why it runs now, as a decision that can be replayed; None where nothing is known of the grid."""
    if reading is None or reading.series is None:
        return None
    job = rest_of(entry, status.started_at)
    limits = replace(job.constraints, min_saving=0.0)
    try:
        decision = _decided(job.zone, job.policy, limits, reading.series, windows=status.windows, now_at=status.started_at)
    except GreenaiError:
        # A forecast that ends before the job does: there is nothing to weigh.
        return None
    return decision_document(replace(decision, job_id=entry.id), reading)


@lru_cache(maxsize=64)
def _decided(
    zone: str, policy: str, limits: Constraints, series: IntensitySeries, *, windows: tuple[Window, ...], now_at: datetime
) -> Decision:
    """The decision for any job with these limits: of those that start at once, many are equal. Raises GreenaiError."""
    job = Job(id="", command=(), constraints=limits, policy=policy, zone=zone, submitted_at=now_at)
    plan = _plan_of(windows, series)
    return decide(job, series, lambda *_: plan, now_at)


def _plan_of(windows: Sequence[Window], series: IntensitySeries) -> Plan:
    cost_g_per_kw = sum(series.integral_g_per_kw(window.start_at, window.end_at) for window in windows)
    hours = sum(window.duration.total_seconds() for window in windows) / SECONDS_PER_HOUR
    return Plan(windows=tuple(windows), expected_g_per_kwh=cost_g_per_kw / hours, cost_g_per_kw=cost_g_per_kw)
