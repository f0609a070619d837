"""Planning the jobs of the queue together, whenever something that a plan rests on has changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from math import log

from greenai.engine.book import Book
from greenai.engine.doors import QueueDoors
from greenai.engine.foresee import foresee
from greenai.engine.lease import Lease
from greenai.errors import GreenaiError
from greenai.logic.queue_told import as_told, is_slight
from greenai.logic.queueing import Placement, Queue, place
from greenai.model.intensity import Query, Reading
from greenai.model.plan import Window
from greenai.model.queue import Entry, Paused, Queued, Running, Waiting
from greenai.model.units import floor_to

REPLAN_EVERY = timedelta(minutes=30)
"""Grid services publish each half hour."""

DURATION_STEP = log(1.05)
"""Lengths that differ by less than 5 % are no reason to plan again."""

MOST_MOVES = 2_000
"""Plans written in one tick, those that begin first; the rest follows in the next: a tick must not take long."""


class Knowledge:
    """What one process remembers of its last plan, all of which it may forget: it then plans anew."""

    def __init__(self) -> None:
        self.readings: dict[str, Reading] = {}
        self.read_at: datetime | None = None
        self.rests_on: object = None
        self.placements: Mapping[str, Placement] = {}

    @property
    def series_ids(self) -> frozenset[object]:
        """What is known of the grids: the same plan follows from the same."""
        known = [(zone, reading.series) for zone, reading in self.readings.items()]
        return frozenset((zone, series and (series.source.payload_sha256, series.end_at)) for zone, series in known)

    def as_planned(self, book: Book, launched: Collection[str], free: frozenset[str]) -> None:
        """What starts as planned is no reason to plan anew; whatever else has happened meanwhile is."""
        if launched and all(job_id in self.placements for job_id in launched):
            self.placements = {job_id: placement for job_id, placement in self.placements.items() if job_id not in launched}
            self.rests_on = (self.series_ids, _rests_on(book, free))


def plan(
    book: Book, doors: QueueDoors, known: Knowledge, *, lease: Lease, free: frozenset[str], used: Mapping[str, float]
) -> bool:
    """Plan anew if there is a reason to, and write down what moved; False if more moved than one tick writes."""
    _read_grids(book, doors, known)
    rests_on = (known.series_ids, _rests_on(book, free))
    if rests_on != known.rests_on and lease.take_to_plan():
        known.placements = _placed(book, doors, known, free=free, used=used)
        known.rests_on = rests_on
        lease.take(doors.clock.now())
    return _write(book, known)


def _placed(
    book: Book, doors: QueueDoors, known: Knowledge, *, free: frozenset[str], used: Mapping[str, float]
) -> Mapping[str, Placement]:
    """One plan of all jobs, which leaves each the time it was told where it can."""
    queue = Queue(
        movable=[_as_planned(entry, known, book.now_at) for entry in book if is_movable(entry) and entry.id in free],
        staying=[entry for entry in book if entry.takes_room and not is_movable(entry)],
        series_by_zone={zone: reading.series for zone, reading in known.readings.items()},
        own_zones=frozenset(zone for zone, reading in known.readings.items() if reading.own is not None),
        capacity=doors.capacity,
        used=used,
    )
    placements = place(queue, book.now_at, policy=doors.policy)
    return as_told([book[entry.id] for entry in queue.movable], placements, book.now_at)


def _as_planned(entry: Entry, known: Knowledge, now_at: datetime) -> Entry:
    """A job with the time it has in the plan that stands, where it was not told a slight move."""
    placement = known.placements.get(entry.id)
    if placement is None or not isinstance(entry.status, Waiting) or not _is_untold(entry, entry.status, placement, now_at):
        return entry
    return replace(entry, status=Waiting(windows=placement.windows))


def _is_untold(entry: Entry, status: Waiting, placement: Placement, now_at: datetime) -> bool:
    """Whether it has moved so little that this is told when the time has come."""
    return is_slight(status.windows, placement, deadline_at=entry.submission.job.constraints.deadline_at, now_at=now_at)


def is_movable(entry: Entry) -> bool:
    """Whether a plan may say when it runs: what waits, what is paused by a plan, and what runs and may be paused by one."""
    status = entry.status
    if isinstance(status, Running):
        return entry.submission.job.constraints.interruptible and not entry.wish and bool(status.handle)
    return isinstance(status, Queued | Waiting) or (isinstance(status, Paused) and not status.by_user)


def _rests_on(book: Book, free: frozenset[str]) -> object:
    """What changes a plan beside the grids: who there is, who runs and until when, how long each takes, and whether it may."""
    return frozenset(
        (entry.id, entry.id in free, _kind(entry, book.now_at), round(log(entry.duration.total_seconds()) / DURATION_STEP))
        for entry in book
        if not entry.is_over
    )


def _kind(entry: Entry, now_at: datetime) -> object:
    status = entry.status
    if isinstance(status, Running) and status.windows and is_movable(entry):
        return "running", status.windows[0].end_at <= now_at
    kind = "planned" if isinstance(status, Queued | Waiting) else type(status).__name__
    # A new try waits for its turn: its back-off makes it another problem.
    return kind, entry.failures, getattr(status, "by_user", False)


def _read_grids(book: Book, doors: QueueDoors, known: Knowledge) -> None:
    """What is expected of each zone, asked once a half hour, as far as the latest deadline in it."""
    slot_at = floor_to(book.now_at, REPLAN_EVERY)
    until: dict[str, datetime] = {}
    for entry in book:
        job = entry.submission.job
        until[job.zone] = max(until.get(job.zone, slot_at + REPLAN_EVERY), job.constraints.deadline_at)
    before = known.readings if known.read_at == slot_at else {}
    known.readings = {
        zone: before[zone]
        if zone in before and before[zone].query.end_at >= until_at
        else _read(zone, until_at, doors, book.now_at)
        for zone, until_at in until.items()
    }
    known.read_at = slot_at


def _read(zone: str, until_at: datetime, doors: QueueDoors, now_at: datetime) -> Reading:
    query = Query(zone=zone, start_at=now_at, end_at=max(until_at, now_at + REPLAN_EVERY), now_at=now_at, purpose="forecast")
    try:
        return foresee(query, sources=doors.sources)
    except GreenaiError as error:
        doors.warn(f"zone {zone}: {error}")
        return Reading(series=None, step="none", fallback_reason=str(error), payloads=(), query=query)


def _write(book: Book, known: Knowledge) -> bool:
    """Write plans down where they moved."""
    placed = [entry for entry in book if entry.id in known.placements]
    moved = [entry for entry in placed if _has_moved(entry, known.placements[entry.id], book.now_at)]
    moved.sort(key=lambda entry: known.placements[entry.id].windows[0].start_at)
    for entry in moved[:MOST_MOVES]:
        placement = known.placements[entry.id]
        book.move(entry.id, _planned(entry, placement, book.now_at), placement.reason)
    book.write()
    return len(moved) <= MOST_MOVES


def _has_moved(entry: Entry, placement: Placement, now_at: datetime) -> bool:
    """Whether the plan is another one, by so much that it is to be told."""
    status = entry.status
    if isinstance(status, Queued):
        return True
    if isinstance(status, Waiting) and (
        _waits_for_room(entry, status.windows, placement, now_at) or _is_untold(entry, status, placement, now_at)
    ):
        return False
    return isinstance(status, Waiting | Paused | Running) and is_movable(entry) and status.windows != placement.windows


def _waits_for_room(entry: Entry, windows: tuple[Window, ...], placement: Placement, now_at: datetime) -> bool:
    """Whether it was due before and is due now, in time or late as before: it has not moved, time has."""
    if not len(windows) == len(placement.windows) == 1 or max(windows[0].start_at, placement.windows[0].start_at) > now_at:
        return False
    return placement.late == (windows[0].end_at > entry.submission.job.constraints.deadline_at)


def _planned(entry: Entry, placement: Placement, now_at: datetime) -> Waiting | Paused | Running:
    status = entry.status
    if isinstance(status, Paused | Running):
        return replace(status, windows=placement.windows)
    return Waiting(windows=placement.windows)
