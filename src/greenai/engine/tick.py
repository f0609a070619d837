"""One tick of the queue: follow what runs, place the rest, launch what is due.

It may be killed between any two lines. What it decided is written before it is
done, and what it does may be done again without harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from greenai.engine.book import Book
from greenai.engine.doors import QueueDoors
from greenai.engine.follow import follow
from greenai.engine.handing import hand_over
from greenai.engine.launching import give_way, start_due
from greenai.engine.lease import Lease
from greenai.engine.scheduling import REPLAN_EVERY, Knowledge, plan
from greenai.errors import UnknownJob
from greenai.logic.queueing import Placement
from greenai.logic.sharing import Shares
from greenai.model.queue import Ended, Entry, Held, Paused, Queued, Running, Waiting
from greenai.model.units import floor_to

STAND_BY = timedelta(seconds=5)
"""How soon another process looks whether the one that runs the queue still does."""

TRY_AGAIN_AFTER = timedelta(seconds=30)
SOON = timedelta(seconds=1)

PAST_JOBS = 500
"""So many of the last ended jobs tell who used the machine lately, for a process that has just begun."""


class Memory:
    """What one process remembers from tick to tick, all of which it may forget: the last plan, and who used how much."""

    def __init__(self) -> None:
        self.known = Knowledge()
        self.shares: Shares | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What a tick came to.

    `is_mine` False: another process runs the queue. `wake_at`: when the next is
    due if nothing happens. `running` are the jobs that hold room after it.
    """

    is_mine: bool
    wake_at: datetime
    launched: tuple[str, ...] = ()
    running: tuple[Entry, ...] = ()


def tick(now_at: datetime, doors: QueueDoors, memory: Memory) -> Tick:
    """Do all that is due at `now_at`; raises StoreError where the queue cannot be written."""
    lease = Lease(doors.queue, doors.holder, doors.clock)
    if not lease.take(now_at):
        return Tick(is_mine=False, wake_at=now_at + STAND_BY)
    book, known = Book(doors.queue, doors.holder, now_at), memory.known
    unbegun = follow(book, doors)
    free = _settle(book, doors)
    used = _used(book, doors, memory)
    all_written = plan(book, doors, known, lease=lease, free=free, used=used)
    give_way(book, doors)
    hand_over(book, doors, known.readings, lease=lease, free=free)
    launched = start_due(book, doors, known.readings, lease=lease, free=free, unbegun=unbegun, used=used)
    known.as_planned(book, launched, free)
    running = tuple(entry for entry in book if entry.takes_room)
    wake_at = _wake(book, known.placements, now_at) if all_written else now_at + SOON
    return Tick(is_mine=True, wake_at=wake_at, launched=launched, running=running)


def _used(book: Book, doors: QueueDoors, memory: Memory) -> Mapping[str, float]:
    """How much of the machine each user or label had lately."""
    if memory.shares is None:
        memory.shares = Shares(doors.capacity.amounts, doors.queue.page(status="ended", limit=PAST_JOBS), book.now_at)
    return memory.shares.used([entry for entry in book if entry.takes_room], book.now_at)


# What may run at all -------------------------------------------------------------------------------------------------


def _settle(book: Book, doors: QueueDoors) -> frozenset[str]:
    """Hold what can never run as things stand, and find the jobs that wait for no other."""
    answers: dict[tuple[str, ...], tuple[bool, str]] = {}
    free = []
    for entry in book:
        if not isinstance(entry.status, Queued | Waiting):
            free.append(entry.id)
            continue
        before = entry.submission.after
        if before not in answers:
            answers[before] = _before(before, doors)
        is_free, trouble = answers[before]
        trouble = trouble or _lacking(entry, doors)
        if trouble:
            book.move(entry.id, Held(), f"held: {trouble}")
        elif is_free and _is_at_hand(entry, doors):
            free.append(entry.id)
    return frozenset(free) - book.write()


def _lacking(entry: Entry, doors: QueueDoors) -> str:
    """What it takes to run this job and is not here; empty for nothing."""
    lacking, engine = doors.capacity.lacks(entry), entry.submission.executor
    if lacking:
        return f"it asks for {lacking}"
    # One that has a plan may stand in line at its engine: it keeps it, for when that can be asked again.
    is_away = isinstance(entry.status, Queued) and engine not in doors.executors
    return f"it is to run on {engine}, which is not set up here" if is_away else ""


def _is_at_hand(entry: Entry, doors: QueueDoors) -> bool:
    """Whether the engine of a planned job is there; what it cannot start takes no room."""
    engine = entry.submission.executor
    if engine not in doors.executors:
        doors.warn(f"job {entry.id} is to run on {engine}, which is not set up here")
    return engine in doors.executors


def _before(job_ids: tuple[str, ...], doors: QueueDoors) -> tuple[bool, str]:
    """Whether all these jobs have completed, and what stands in the way for ever."""
    try:
        others = doors.queue.entries(job_ids)
    except UnknownJob as error:
        return False, f"it comes after a job that is not there: {error}"
    failed = [other for other in others if isinstance(other.status, Ended) and other.status.outcome != "completed"]
    if failed:
        return False, f"job {failed[0].id}, which it comes after, did not complete"
    return all(other.is_over for other in others), ""


# When to look again --------------------------------------------------------------------------------------------------


def _wake(book: Book, placements: Mapping[str, Placement], now_at: datetime) -> datetime:
    """The next moment at which something is due: as was told, or as is planned now."""
    moments = [floor_to(now_at, REPLAN_EVERY) + REPLAN_EVERY]
    moments += [placement.windows[0].start_at for placement in placements.values()]
    for entry in book:
        status = entry.status
        if isinstance(status, Waiting | Paused) and status.windows:
            moments.append(status.windows[0].start_at)
        elif isinstance(status, Running) and not status.handle:
            moments.append(now_at + TRY_AGAIN_AFTER)
        elif isinstance(status, Running) and status.windows:
            moments.append(status.windows[0].end_at)
    return min(moment for moment in moments if moment > now_at)
