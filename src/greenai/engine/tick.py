"""One tick of the queue: follow what runs, place the rest, launch what is due.

It may be killed between any two lines. What it decided is written before it is
done, and what it does may be done again without harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from greenai.engine.book import Book
from greenai.engine.doors import QueueDoors
from greenai.engine.follow import asked_to_pause, back_off, follow
from greenai.engine.read import read_intensity
from greenai.errors import GreenaiError, InputError
from greenai.logic.deciding import decide, decision_document
from greenai.logic.queueing import Machine, Placement, job_from_now, place
from greenai.model.intensity import Query, Reading
from greenai.model.plan import Plan
from greenai.model.queue import (
    Ended,
    Entry,
    Held,
    Paused,
    Pausing,
    Queued,
    Running,
    Task,
    Waiting,
)
from greenai.model.units import floor_to

LEASE_FOR = timedelta(minutes=2)
"""A tick renews it; twice the longest wait between two ticks of a loop that lives."""

REPLAN_EVERY = timedelta(minutes=30)
"""Grid services publish each half hour."""

LONGEST_WAIT = timedelta(minutes=1)
TRY_AGAIN_AFTER = timedelta(seconds=30)


class Memory:
    """What one process remembers from tick to tick, all of which it may forget: readings, and what the last plan rested on."""

    def __init__(self) -> None:
        self.readings: dict[tuple[str, datetime], Reading] = {}
        self.planned_for: object = None
        self.placements: Mapping[str, Placement] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What a tick came to. `is_mine` False: another process runs the queue. `wake_at`: when the next is due."""

    is_mine: bool
    wake_at: datetime
    launched: tuple[str, ...] = ()
    busy: bool = False


def tick(now_at: datetime, doors: QueueDoors, memory: Memory) -> Tick:
    """Do all that is due at `now_at`; raises StoreError where the queue cannot be written."""
    if not doors.queue.lease(doors.holder, now_at, now_at + LEASE_FOR):
        return Tick(is_mine=False, wake_at=now_at + LONGEST_WAIT)
    book = Book(doors.queue, now_at)
    follow(book, doors)
    _settle_dependencies(book, doors)
    _plan(book, doors, memory)
    launched = _launch(book, doors, memory)
    busy = any(entry.takes_room for entry in book)
    return Tick(is_mine=True, wake_at=_wake(book, memory, now_at), launched=launched, busy=busy)


# Dependencies --------------------------------------------------------------------------------------------------------


def _settle_dependencies(book: Book, doors: QueueDoors) -> None:
    """Hold what can never run, because a job it comes after failed or was cancelled."""
    for entry in book:
        if isinstance(entry.status, Queued | Waiting) and entry.submission.after:
            bad = [other for other in _before(entry, doors) if _failed(other)]
            if bad:
                book.move(entry.id, Held(), f"held: job {bad[0].id}, which it comes after, did not complete")
    book.write()


def _before(entry: Entry, doors: QueueDoors) -> tuple[Entry, ...]:
    try:
        return doors.queue.entries(entry.submission.after)
    except InputError:
        return ()


def _failed(entry: Entry) -> bool:
    return isinstance(entry.status, Ended) and entry.status.outcome != "completed"


def _is_free(entry: Entry, doors: QueueDoors) -> bool:
    """Whether all that it comes after has completed."""
    before = _before(entry, doors)
    return all(isinstance(other.status, Ended) and other.status.outcome == "completed" for other in before)


# Planning ------------------------------------------------------------------------------------------------------------


def _plan(book: Book, doors: QueueDoors, memory: Memory) -> None:
    """Plan anew if anything that a plan rests on has changed, and write down what moved."""
    rests_on = _rests_on(book)
    if rests_on == memory.planned_for:
        return
    movable = [(entry, _may_start_at(entry)) for entry in book if _is_movable(entry) and _is_free(entry, doors)]
    held = [entry for entry in book if entry.takes_room and not _is_movable(entry)]
    readings = _readings(book, doors, memory)
    series = {zone: reading.series for zone, reading in readings.items()}
    machine = _machine(doors)
    memory.placements = place(movable, held, series, machine, book.now_at, policy=doors.policy)
    for entry, _ in movable:
        _note(book, entry, memory.placements[entry.id])
    book.write()
    memory.planned_for = _rests_on(book)


def _rests_on(book: Book) -> object:
    """What changes a plan: the half hour, who there is, who runs, and how long each takes."""
    jobs = frozenset((entry.id, entry.takes_room, type(entry.status) is Queued, entry.duration, entry.failures) for entry in book)
    return floor_to(book.now_at, REPLAN_EVERY), jobs


def _is_movable(entry: Entry) -> bool:
    """Whether a plan may say when it runs: what waits, what is paused by a plan, and what runs and may be paused by one."""
    match entry.status:
        case Queued() | Waiting():
            return True
        case Paused(by_user=by_user):
            return not by_user
        case Running():
            return entry.submission.job.constraints.interruptible and entry.wish == ""
    return False


def _may_start_at(entry: Entry) -> datetime:
    """Not before its back-off after a failure is over."""
    return entry.changed_at + back_off(entry.failures) if isinstance(entry.status, Queued) else entry.submission.job.submitted_at


def _readings(book: Book, doors: QueueDoors, memory: Memory) -> Mapping[str, Reading]:
    """What is expected of each zone, read once a half hour, as far as the latest deadline in it."""
    slot_at = floor_to(book.now_at, REPLAN_EVERY)
    until: dict[str, datetime] = {}
    for entry in book:
        job = entry.submission.job
        until[job.zone] = max(until.get(job.zone, book.now_at), job.constraints.deadline_at)
    found = {}
    for zone, until_at in until.items():
        known = memory.readings.get((zone, slot_at))
        if known is None or (known.query.end_at < until_at and known.series is not None):
            known = _read(zone, until_at, doors, book.now_at)
        found[zone] = known
    memory.readings = {(zone, slot_at): reading for zone, reading in found.items()}
    return found


def _read(zone: str, until_at: datetime, doors: QueueDoors, now_at: datetime) -> Reading:
    end_at = max(until_at, now_at + REPLAN_EVERY)
    query = Query(zone=zone, start_at=now_at, end_at=end_at, now_at=now_at, purpose="forecast")
    try:
        return read_intensity(query, sources=doors.sources)
    except GreenaiError as error:
        doors.warn(f"zone {zone}: {error}")
        return Reading(series=None, step="none", fallback_reason=str(error), payloads=(), query=query)


def _machine(doors: QueueDoors) -> Machine:
    capacity = doors.capacity
    return Machine(
        amounts=capacity.amounts,
        power_cap_w=capacity.power_cap_w,
        carbon_budget_g_per_day=capacity.carbon_budget_g_per_day,
    )


def _note(book: Book, entry: Entry, placement: Placement) -> None:
    """Write a plan down where it moved."""
    windows, reason = placement.windows, placement.reason
    match entry.status:
        case Queued():
            book.move(entry.id, Waiting(windows=windows), reason)
        case Waiting(windows=before) if before != windows:
            book.move(entry.id, Waiting(windows=windows), reason)
        case Paused(windows=before) if before != windows:
            book.move(entry.id, replace(entry.status, windows=windows), reason)
        case _:
            return


# Launching and pausing -----------------------------------------------------------------------------------------------


def _launch(book: Book, doors: QueueDoors, memory: Memory) -> tuple[str, ...]:
    """Pause what should stand still now, then start what is due, as far as there is room: written first, then done."""
    _pause_what_should_stand(book, doors, memory)
    room = _room(book, doors)
    due = sorted((entry for entry in book if _is_due(entry, book.now_at)), key=_order)
    chosen = [entry for entry in due if _take(room, entry)]
    for entry in chosen:
        book.move(entry.id, _running(entry, book.now_at, doors), "due")
    refused = book.write()
    started = [entry.id for entry in chosen if entry.id not in refused]
    unsure = [entry.id for entry in book if _is_unlaunched(entry) and entry.id not in started]
    for job_id in (*started, *unsure):
        _start(book, book[job_id], doors, memory)
    book.write()
    return tuple(started)


def _pause_what_should_stand(book: Book, doors: QueueDoors, memory: Memory) -> None:
    for entry in book:
        status, placement = entry.status, memory.placements.get(entry.id)
        if isinstance(status, Running) and placement is not None and _is_movable(entry):
            first_at = placement.windows[0].start_at
            if first_at > book.now_at and first_at - book.now_at > entry.submission.job.constraints.resume_cost:
                book.move(
                    entry.id, asked_to_pause(status, book), f"asked to pause until {first_at.isoformat()}: {placement.reason}"
                )
    paused = [entry for entry in book if isinstance(entry.status, Pausing) and entry.status.asked_at == book.now_at]
    refused = book.write()
    for entry in paused:
        if entry.id not in refused and isinstance(entry.status, Pausing):
            _try(doors, entry, lambda executor, status: executor.pause(status.run_id, status.handle))


def _is_due(entry: Entry, now_at: datetime) -> bool:
    status = entry.status
    if isinstance(status, Paused) and status.by_user:
        return False
    return isinstance(status, Waiting | Paused) and bool(status.windows) and status.windows[0].start_at <= now_at


def _order(entry: Entry) -> tuple[datetime, int, datetime]:
    """Who goes first where not all fit: whoever must, then whoever is more important, then whoever was planned first."""
    limits = entry.submission.job.constraints
    status = entry.status
    start_at = status.windows[0].start_at if isinstance(status, Waiting | Paused) else limits.earliest_at
    return limits.deadline_at - entry.left, -entry.submission.priority, start_at


def _room(book: Book, doors: QueueDoors) -> dict[str, float]:
    """What is free now."""
    room = dict(doors.capacity.amounts)
    for entry in book:
        if entry.takes_room:
            for name, amount in entry.submission.demands.items():
                room[name] = room.get(name, 0.0) - amount
    return room


def _take(room: dict[str, float], entry: Entry) -> bool:
    """Take a job's demands out of the room, if they are in it."""
    demands = entry.submission.demands
    if any(room.get(name, 0.0) + 1e-9 < amount for name, amount in demands.items()):
        return False
    for name, amount in demands.items():
        room[name] -= amount
    return True


def _running(entry: Entry, now_at: datetime, doors: QueueDoors) -> Running:
    status = entry.status
    windows = status.windows if isinstance(status, Waiting | Paused) else ()
    if isinstance(status, Paused) and status.run_id:
        return Running(run_id=status.run_id, started_at=now_at, windows=windows, handle=status.handle)
    return Running(run_id=doors.new_run_id(now_at), started_at=now_at, windows=windows)


def _is_unlaunched(entry: Entry) -> bool:
    """Whether a launch was written down and nobody knows whether it was made."""
    return isinstance(entry.status, Running) and not entry.status.handle


def _start(book: Book, entry: Entry, doors: QueueDoors, memory: Memory) -> None:
    """Launch, or thaw; what can never start fails at once, what may start later is tried again at the next tick."""
    status = entry.status
    if not isinstance(status, Running):
        return
    executor = doors.executors.get(entry.submission.executor)
    if executor is None:
        return
    try:
        if status.handle:
            executor.resume(status.run_id, status.handle)
        else:
            book.move(entry.id, replace(status, handle=executor.launch(_task(entry, status, doors, memory))), "launched")
    except InputError as error:
        hint = f" ({error.hint})" if error.hint else ""
        book.move(entry.id, Ended(outcome="failed", ended_at=book.now_at), f"could not be started: {error}{hint}")
    except GreenaiError as error:
        doors.warn(f"job {entry.id} could not be started yet: {error}")


def _try(doors: QueueDoors, entry: Entry, do: object) -> None:
    executor = doors.executors.get(entry.submission.executor)
    if executor is None or not callable(do):
        return
    try:
        do(executor, entry.status)
    except GreenaiError as error:
        doors.warn(f"job {entry.id}: {error}")


def _task(entry: Entry, status: Running, doors: QueueDoors, memory: Memory) -> Task:
    submission, limits = entry.submission, entry.submission.job.constraints
    return Task(
        run_id=status.run_id,
        job_id=entry.id,
        command=submission.job.command,
        cwd=submission.cwd,
        zone=submission.job.zone,
        environment=submission.environment,
        runnable_at=max(limits.earliest_at, submission.job.submitted_at) + entry.worked,
        latest_start_at=limits.latest_start_at + entry.worked,
        decision=_decision(entry, status, doors, memory),
        labels={**submission.job.labels, **({"name": submission.name} if submission.name else {})},
        demands=submission.demands,
        resumes=entry.resumes,
        pause_way=submission.pause_way,
        grace=submission.grace,
        duration=max(timedelta(seconds=1), entry.left),
        name=submission.name,
    )


def _decision(entry: Entry, status: Running, doors: QueueDoors, memory: Memory) -> Mapping[str, object] | None:
    """Why it runs now, as a decision that can be replayed; None where nothing is known of the grid."""
    reading = memory.readings.get((entry.submission.job.zone, floor_to(status.started_at, REPLAN_EVERY)))
    if reading is None or reading.series is None:
        return None
    job = job_from_now(entry, status.started_at, status.started_at)
    plan = Plan(windows=status.windows, expected_g_per_kwh=0.0, cost_g_per_kw=0.0)
    try:
        decision = decide(job, reading.series, lambda *_: plan, status.started_at)
    except GreenaiError:
        return None
    return decision_document(decision, reading)


def _wake(book: Book, memory: Memory, now_at: datetime) -> datetime:
    """The next moment at which something is due."""
    starts = [
        entry.status.windows[0].start_at
        for entry in book
        if isinstance(entry.status, Waiting | Paused) and entry.status.windows and entry.status.windows[0].start_at > now_at
    ]
    ends = [window.end_at for entry in book if isinstance(entry.status, Running) for window in entry.status.windows[:1]]
    due = [moment for moment in (*starts, *ends, floor_to(now_at, REPLAN_EVERY) + REPLAN_EVERY) if moment > now_at]
    stuck = [now_at + TRY_AGAIN_AFTER for entry in book if _is_unlaunched(entry)]
    return min((*due, *stuck))
