"""Legs that another scheduler holds until their time has come, so that they start even if no daemon lives then."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from greenai.engine.book import Book
from greenai.engine.doors import QueueDoors
from greenai.engine.follow import run_of, waits_for_room
from greenai.engine.launching import running_from, task_of
from greenai.engine.lease import Lease
from greenai.errors import GreenaiError, InputError
from greenai.logic.queue_legs import leg_run_id
from greenai.model.intensity import Reading
from greenai.model.queue import Alive, Ended, Entry, Paused, Running, RunState, Unstarted, Waiting
from greenai.ports import HoldingExecutor


def hand_over(book: Book, doors: QueueDoors, readings: Mapping[str, Reading], *, lease: Lease, free: frozenset[str]) -> None:
    """Let each engine that can hold the legs planned for it, take note of those it has begun, and withdraw the others."""
    for name, executor in doors.executors.items():
        if isinstance(executor, HoldingExecutor):
            own = [entry for entry in book if entry.submission.executor == name]
            try:
                _hand_over(book, executor, own, readings, lease=lease, free=free)
            except GreenaiError as error:
                doors.warn(f"{name}: {error}")
    book.write()


def _hand_over(
    book: Book,
    executor: HoldingExecutor,
    own: list[Entry],
    readings: Mapping[str, Reading],
    *,
    lease: Lease,
    free: frozenset[str],
) -> None:
    wanted = {status.run_id for entry in own if (status := run_of(entry)) is not None}
    for entry in own:
        windows = entry.status.windows if isinstance(entry.status, Waiting | Paused) else ()
        if not lease.keep():
            # What stands in line is for whoever has it now to judge.
            return
        if windows and entry.id in free and waits_for_room(entry) and run_of(entry) is None:
            wanted.add(leg_run_id(entry))
            _one(book, executor, entry, readings, start_at=max(book.now_at, windows[0].start_at))
    for run_id in executor.in_line() - wanted:
        executor.stop(run_id, "")


def _one(book: Book, executor: HoldingExecutor, entry: Entry, readings: Mapping[str, Reading], *, start_at: datetime) -> None:
    """Hand one leg over, or move it; if it has begun, while nobody looked, say so: the next tick follows it."""
    run_id = leg_run_id(entry)
    state = executor.look(run_id, "")
    if _has_begun(state):
        handle = state.handle if isinstance(state, Alive) else ""
        begun = running_from(entry, book.now_at, run_id)
        going = Running(run_id=run_id, started_at=begun.started_at, windows=begun.windows, handle=handle)
        book.move(entry.id, going, f"started by {entry.submission.executor}")
        return
    try:
        executor.schedule(task_of(entry, running_from(entry, start_at, run_id), readings), start_at)
    except InputError as error:
        hint = f" ({error.hint})" if error.hint else ""
        book.move(entry.id, Ended(outcome="failed", ended_at=book.now_at), f"could not be handed over: {error}{hint}")


def _has_begun(state: RunState) -> bool:
    return not (isinstance(state, Unstarted) or (isinstance(state, Alive) and state.in_line))
