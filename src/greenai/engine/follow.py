"""Following the jobs that run: what became of each, and what the user asked of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from greenai.engine.book import Book
from greenai.engine.doors import QueueDoors
from greenai.errors import GreenaiError
from greenai.logic.queue_times import back_off, spent_at
from greenai.logic.wording import span_words
from greenai.model.queue import (
    PAUSED_EXIT_CODE,
    Alive,
    Ended,
    Entry,
    Exited,
    Gone,
    Paused,
    PauseWay,
    Pausing,
    Queued,
    Retimed,
    Running,
    Unstarted,
    Waiting,
)

TELLING_STEP = 0.01
"""Progress is written down when it has moved by this share: each event stays for ever."""

ENOUGH_SHARE = 0.05
"""From here on the time that the work done took says how long all of it takes."""

LEAST_BELIEVED = 0.5
"""Output that was read, and would make the job shorter than this share of what was expected, is not believed."""

OVERRUN_FACTOR = 1.2
LEAST_OVERRUN = timedelta(minutes=1)
OVERDUE_AFTER = timedelta(minutes=2)
"""A job that outlasts its expected length by more than a little is expected to take
this much more, again and again: nobody knows better."""

Leg = Running | Pausing | Paused


def follow(book: Book, doors: QueueDoors) -> frozenset[str]:
    """Write down what became of every job that runs or stands frozen; those that never began, and are to be launched again."""
    unbegun = frozenset(entry.id for entry in book if not _look(book, doors, entry))
    book.write()
    return frozenset(job_id for job_id in unbegun if isinstance(book[job_id].status, Running))


def run_of(entry: Entry) -> Leg | None:
    """The status of a job that has a run which is not known to be over."""
    status = entry.status
    if isinstance(status, Running | Pausing):
        return status
    return status if isinstance(status, Paused) and status.run_id else None


def _look(book: Book, doors: QueueDoors, entry: Entry) -> bool:
    """Take note of one job; False where it should run and never began."""
    status = run_of(entry)
    if status is None:
        _cancel_idle(book, entry)
        return True
    executor = doors.executors.get(entry.submission.executor)
    if executor is None:
        doors.warn(f"job {entry.id} runs on {entry.submission.executor}, which is not set up here")
        return True
    try:
        state = executor.look(status.run_id, status.handle)
        if isinstance(state, Alive):
            leg = _alive(book, entry, status, state)
            _obey(book, doors, book[entry.id], leg, frozen=state.frozen)
        else:
            _take_note(book, entry, status, state)
    except GreenaiError as error:
        # The engine is away (a dead controller, a full disk): the job is where it was, and is asked for again.
        doors.warn(f"job {entry.id}: {error}")
        return True
    return not isinstance(state, Unstarted)


def _cancel_idle(book: Book, entry: Entry) -> None:
    """A wish that came when the job had just stopped running."""
    if entry.wish == "cancel":
        book.move(entry.id, Ended(outcome="cancelled", ended_at=book.now_at), "cancelled by the user")


def _take_note(book: Book, entry: Entry, status: Leg, state: Exited | Gone | Unstarted) -> None:
    """A run that is over, or never was."""
    if isinstance(state, Exited):
        _exited(book, entry, state)
    elif isinstance(state, Gone):
        _again_or(book, entry, Ended(outcome="lost", ended_at=book.now_at), state.reason)
    else:
        _unstarted(book, entry, status)


def _unstarted(book: Book, entry: Entry, status: Leg) -> None:
    """A launch that never became a run: made again, unless nobody wants it any more."""
    if entry.wish == "cancel":
        book.move(entry.id, Ended(outcome="cancelled", ended_at=book.now_at), "cancelled before it began")
    elif isinstance(status, Pausing):
        going = Running(run_id=status.run_id, started_at=status.started_at, windows=status.windows)
        book.move(entry.id, going, "it had not begun yet: nothing to pause")
    elif isinstance(status, Paused):
        _again_or(book, entry, Ended(outcome="lost", ended_at=book.now_at), "nothing is left of its frozen process")


def _alive(book: Book, entry: Entry, status: Leg, state: Alive) -> Leg:
    """Handles, freezing and progress, as far as they are news; the leg as it is known now."""
    known: Leg = replace(status, handle=state.handle) if state.handle else status
    if isinstance(known, Pausing) and state.frozen:
        known = Paused(
            since_at=book.now_at,
            windows=known.windows[1:],
            by_user=entry.wish == "pause",
            run_id=known.run_id,
            started_at=known.started_at,
            handle=known.handle,
        )
        book.move(entry.id, known, "frozen where it stands: it keeps its memory")
    elif isinstance(known, Running) and known != status:
        book.move(entry.id, known, "runs")
    _retime(book, book[entry.id], state)
    return known


def _retime(book: Book, entry: Entry, state: Alive) -> None:
    """What its progress, or the time it has taken already, says of its length."""
    if not isinstance(entry.status, Running):
        return
    spent = spent_at(entry, book.now_at)
    share = _believed_share(entry, state, spent)
    known_share = entry.progress_share or 0.0
    if share is not None and abs(share - known_share) >= TELLING_STEP:
        enough = share >= ENOUGH_SHARE and spent > timedelta(0)
        whole = _rounded(spent / share) if enough else entry.duration
        told = Retimed(duration=whole, progress_share=share, source="its progress" if enough else entry.duration_source)
        book.change(entry.id, told, f"{share:.0%} done, as {'its output' if state.is_read else 'the program'} says")
    elif spent >= entry.duration + OVERDUE_AFTER:
        whole = _rounded(max(spent * OVERRUN_FACTOR, spent + LEAST_OVERRUN))
        told = Retimed(duration=whole, progress_share=entry.progress_share, source="it outlasts what was expected")
        reason = f"it runs longer than the {span_words(entry.duration)} expected: now taken to need {span_words(whole)}"
        book.change(entry.id, told, reason)


def _believed_share(entry: Entry, state: Alive, spent: timedelta) -> float | None:
    """The progress; none where output was read that may count a part of the work only, such as the first of many bars."""
    share = state.progress_share
    if state.is_read and share and spent / share < LEAST_BELIEVED * entry.submission.job.constraints.duration:
        return None
    return share


def _rounded(span: timedelta) -> timedelta:
    return max(timedelta(seconds=1), timedelta(seconds=round(span.total_seconds())))


def _obey(book: Book, doors: QueueDoors, entry: Entry, leg: Leg, *, frozen: bool) -> None:
    """What the user or the plan asks of a job that is alive; asked again at each tick until it has come true."""
    executor = doors.executors[entry.submission.executor]
    if entry.wish == "cancel":
        executor.stop(leg.run_id, leg.handle)
    elif isinstance(leg, Pausing):
        executor.pause(leg.run_id, leg.handle, leg.way)
    elif isinstance(leg, Running) and entry.wish == "pause":
        way = ask_to_pause(book, doors, entry, leg, reason="asked to pause by the user")
        executor.pause(leg.run_id, leg.handle, way)
    elif isinstance(leg, Running) and frozen:
        # Written down as going on, and then nobody came to thaw it.
        executor.resume(leg.run_id, leg.handle)


def ask_to_pause(
    book: Book, doors: QueueDoors, entry: Entry, status: Running, *, reason: str, stands: timedelta | None = None
) -> PauseWay:
    """Write down that a job is asked to give way, and in which way, by what is known now; `stands`: for how long."""
    way, why = _way_to_pause(doors, entry, stands)
    asked = Pausing(
        run_id=status.run_id,
        started_at=status.started_at,
        asked_at=book.now_at,
        windows=status.windows,
        handle=status.handle,
        way=way,
    )
    book.move(entry.id, asked, f"{reason}; {why}" if why else reason)
    return way


def _way_to_pause(doors: QueueDoors, entry: Entry, stands: timedelta | None) -> tuple[PauseWay, str]:
    """As was said at its submission; where nothing was, as costs less by what was measured so far."""
    if entry.submission.pause_way != "auto":
        return entry.submission.pause_way, ""
    try:
        return doors.way_to_pause(entry, stands)
    except GreenaiError as error:
        doors.warn(f"job {entry.id}: what pausing it costs is not known: {error}")
        return "auto", ""


def _exited(book: Book, entry: Entry, state: Exited) -> None:
    note = f" ({state.note})" if state.note else ""
    ended = Ended(outcome="completed", ended_at=state.ended_at, exit_code=state.exit_code)
    if entry.wish == "cancel":
        book.move(entry.id, replace(ended, outcome="cancelled"), f"cancelled by the user{note}")
    elif state.exit_code == 0:
        book.move(entry.id, ended, f"ended well{note}")
    elif state.exit_code == PAUSED_EXIT_CODE:
        by_user = entry.wish == "pause" or (isinstance(entry.status, Paused) and entry.status.by_user)
        book.move(entry.id, Paused(since_at=state.ended_at, by_user=by_user), f"saved its state and left{note}")
    else:
        _again_or(book, entry, replace(ended, outcome="failed"), f"ended with exit code {state.exit_code}{note}")


def _again_or(book: Book, entry: Entry, ended: Ended, reason: str) -> None:
    """Another try if the job has one left and nobody wants it gone; else its end."""
    left = entry.submission.retries - entry.failures
    if entry.wish == "cancel":
        book.move(entry.id, replace(ended, outcome="cancelled"), f"cancelled by the user; {reason}")
    elif left <= 0:
        tries = f"; tried {entry.failures + 1} times" if entry.submission.retries else ""
        book.move(entry.id, ended, f"{reason}{tries}")
    else:
        wait = span_words(back_off(entry.failures + 1))
        again = f"{reason}; to be tried again after {wait} ({left} of {entry.submission.retries} tries left)"
        book.move(entry.id, Queued(), again)


def waits_for_room(entry: Entry) -> bool:
    """Whether it may be launched when its time has come: planned, and not kept back."""
    status = entry.status
    return isinstance(status, Waiting) or (isinstance(status, Paused) and not status.by_user)
