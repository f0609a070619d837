"""Following the jobs that run: what became of each, and what the user asked of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from greenai.engine.book import Book
from greenai.engine.doors import QueueDoors
from greenai.errors import GreenaiError
from greenai.model.queue import (
    PAUSED_EXIT_CODE,
    Alive,
    Ended,
    Entry,
    Exited,
    Gone,
    Paused,
    Pausing,
    Queued,
    Retimed,
    Running,
    Unstarted,
)

LONGEST_BACK_OFF = timedelta(hours=1)
TELLING_STEP = 0.01
"""Progress is written down when it has moved by this share: each event stays for ever."""

Leg = Running | Pausing | Paused


def follow(book: Book, doors: QueueDoors) -> None:
    """Write down what became of every job that runs or stands frozen; those whose launch is in doubt are left as they are."""
    for entry in book:
        if isinstance(entry.status, Running | Pausing) or (isinstance(entry.status, Paused) and entry.status.run_id):
            _look(book, doors, entry, entry.status)
    book.write()


def _look(book: Book, doors: QueueDoors, entry: Entry, status: Leg) -> None:
    executor = doors.executors.get(entry.submission.executor)
    if executor is None:
        doors.warn(f"job {entry.id} runs on {entry.submission.executor}, which is not set up here")
        return
    try:
        state = executor.look(status.run_id, status.handle)
        if isinstance(state, Alive):
            _alive(book, entry, status, state)
            _obey(book, doors, book[entry.id])
    except GreenaiError as error:
        # The engine is away (a dead controller, a full disk): the job is where it was, and is asked for again.
        doors.warn(f"job {entry.id}: {error}")
        return
    if isinstance(state, Unstarted) and entry.wish == "cancel":
        book.move(entry.id, Ended(outcome="cancelled", ended_at=book.now_at), "cancelled before it was launched")
    if isinstance(state, Exited):
        _exited(book, entry, state)
    if isinstance(state, Gone):
        _again_or(book, entry, Ended(outcome="lost", ended_at=book.now_at), state.reason)


def _alive(book: Book, entry: Entry, status: Leg, state: Alive) -> None:
    """Handles, freezing, thawing and progress, as far as they are news."""
    known = replace(status, handle=state.handle) if state.handle else status
    if isinstance(known, Pausing) and state.frozen:
        by_user = entry.wish == "pause"
        frozen = Paused(
            since_at=book.now_at,
            windows=known.windows[1:],
            by_user=by_user,
            run_id=known.run_id,
            started_at=known.started_at,
            handle=known.handle,
        )
        book.move(entry.id, frozen, "frozen where it stands: it keeps its memory")
    elif isinstance(known, Running) and known != status:
        book.move(entry.id, known, "started")
    share = state.progress_share
    if share is not None and abs(share - (book[entry.id].progress_share or 0.0)) >= TELLING_STEP:
        book.change(entry.id, _retimed(book, entry, share), f"{share:.0%} done, as the program says")


def _retimed(book: Book, entry: Entry, share: float) -> Retimed:
    """The whole length, from how long the share took that is done; as before while too little is done to tell."""
    status = entry.status
    worked = entry.worked + (book.now_at - status.started_at if isinstance(status, Running | Pausing) else timedelta(0))
    enough = share >= 0.05 and worked > timedelta(0)
    whole = worked / share if enough else entry.duration
    return Retimed(duration=whole, progress_share=share, source="its progress" if enough else entry.duration_source)


def _obey(book: Book, doors: QueueDoors, entry: Entry) -> None:
    """What the user asks of a job that is alive; asked again at each tick until it has come true."""
    status = entry.status
    if not isinstance(status, Running | Pausing | Paused):
        return
    executor = doors.executors[entry.submission.executor]
    if entry.wish == "cancel":
        executor.stop(status.run_id, status.handle)
    elif isinstance(status, Pausing):
        executor.pause(status.run_id, status.handle)
    elif entry.wish == "pause" and isinstance(status, Running):
        book.move(entry.id, asked_to_pause(status, book), "asked to pause by the user")
        executor.pause(status.run_id, status.handle)


def asked_to_pause(status: Running, book: Book) -> Pausing:
    """The status of a job that is asked to give way now."""
    return Pausing(
        run_id=status.run_id,
        started_at=status.started_at,
        asked_at=book.now_at,
        windows=status.windows,
        handle=status.handle,
    )


def _exited(book: Book, entry: Entry, state: Exited) -> None:
    note = f" ({state.note})" if state.note else ""
    ended = Ended(outcome="completed", ended_at=state.ended_at, exit_code=state.exit_code)
    if entry.wish == "cancel":
        book.move(entry.id, replace(ended, outcome="cancelled"), f"cancelled by the user{note}")
    elif state.exit_code == 0:
        book.move(entry.id, ended, f"ended well{note}")
    elif state.exit_code == PAUSED_EXIT_CODE:
        by_user = entry.wish == "pause"
        book.move(entry.id, Paused(since_at=state.ended_at, by_user=by_user), f"saved its state and left{note}")
    elif isinstance(entry.status, Pausing) and "did not pause" in state.note:
        _again_or(book, entry, replace(ended, outcome="failed"), state.note)
    else:
        _again_or(book, entry, replace(ended, outcome="failed"), f"ended with exit code {state.exit_code}{note}")


def _again_or(book: Book, entry: Entry, ended: Ended, reason: str) -> None:
    """Another try if the job has one left and nobody wants it gone; else its end."""
    if entry.wish == "cancel":
        book.move(entry.id, replace(ended, outcome="cancelled"), f"cancelled by the user; {reason}")
        return
    left = entry.submission.retries - entry.failures
    if left <= 0:
        tries = f"; tried {entry.failures + 1} times" if entry.submission.retries else ""
        book.move(entry.id, ended, f"{reason}{tries}")
        return
    wait = back_off(entry.failures + 1)
    book.move(entry.id, Queued(), f"{reason}; to be tried again after {wait} ({left} of {entry.submission.retries} left)")


def back_off(failures: int) -> timedelta:
    """How long to wait before the next try: 1, 2, 4 ... minutes, an hour at most; nothing before the first."""
    return min(timedelta(minutes=2 ** (failures - 1)), LONGEST_BACK_OFF) if failures > 0 else timedelta(0)
