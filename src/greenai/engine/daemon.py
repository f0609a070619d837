"""The loop that runs a queue: tick, wait until something is due or happens, tick again.

It rests a second at a time and looks at the wall clock after each, so that a
clock that is set, or a machine that slept, costs a second at most.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from greenai.engine.doors import QueueDoors
from greenai.engine.follow import run_of
from greenai.engine.lease import LEASE_FOR
from greenai.engine.tick import TRY_AGAIN_AFTER, Memory, Tick, tick
from greenai.errors import GreenaiError, StoreError
from greenai.model.queue import Alive, Entry, Pausing

EVERY = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=1)
"""The lease is renewed this often while nothing is due: half of what it is good for."""


def run_ticks(doors: QueueDoors, memory: Memory, *, stop: Callable[[], bool], every: timedelta = EVERY) -> None:
    """Run the queue until `stop` says so; jobs that run go on without it.

    A store that cannot be written (a full disk) is told to `doors.warn` and tried
    again; while another process runs the queue this one stands by.

    Args:
        doors: all that may be touched.
        memory: kept from tick to tick.
        stop: asked each time before resting.
        every: how long to rest between two looks at what may have happened.
    """
    try:
        while not stop():
            # What is written while the tick runs, by itself too, is looked at by the next.
            mark = doors.queue.mark()
            done = _tick(doors, memory)
            _wait(doors, done, stop, mark=mark, every=every)
    finally:
        try:
            doors.queue.release(doors.holder)
        except StoreError as error:
            doors.warn(str(error))


def _tick(doors: QueueDoors, memory: Memory) -> Tick:
    now_at = doors.clock.now()
    try:
        return tick(now_at, doors, memory)
    except StoreError as error:
        doors.warn(f"the queue stands still until it can be written: {error}")
        return Tick(is_mine=False, wake_at=now_at + TRY_AGAIN_AFTER)


def _wait(doors: QueueDoors, done: Tick, stop: Callable[[], bool], *, mark: int, every: timedelta) -> None:
    """Rest until the next tick is due, something was written or a job ended, or the clock was set back."""
    before_at, rested = doors.clock.now(), timedelta(0)
    while before_at < done.wake_at and not stop():
        doors.rest(min(every, done.wake_at - before_at))
        now_at = doors.clock.now()
        rested += every
        if now_at < before_at or (done.is_mine and (doors.queue.mark() != mark or _has_news(doors, done.running))):
            return
        if rested >= LONGEST_WAIT and done.is_mine:
            if not _renewed(doors, now_at):
                return
            rested = timedelta(0)
        before_at = now_at


def _renewed(doors: QueueDoors, now_at: datetime) -> bool:
    """Keep the right to run the queue while nothing is due."""
    try:
        return doors.queue.lease(doors.holder, now_at, now_at + LEASE_FOR)
    except StoreError:
        return False


def _has_news(doors: QueueDoors, running: tuple[Entry, ...]) -> bool:
    return any(_has_changed(doors, entry) for entry in running)


def _has_changed(doors: QueueDoors, entry: Entry) -> bool:
    """Whether a job that held room has ended, or has given way."""
    executor, status = doors.executors.get(entry.submission.executor), run_of(entry)
    if executor is None or status is None:
        return False
    try:
        state = executor.look(status.run_id, status.handle)
    except GreenaiError:
        return False
    if not isinstance(state, Alive):
        return bool(status.handle)
    return state.frozen and isinstance(status, Pausing)
