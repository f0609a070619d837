"""Running the queue: one tick, the daemon's loop, and waiting for jobs, which runs the queue itself where no daemon does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from greenai.api.asking import Span, span_of
from greenai.config import Settings
from greenai.engine.daemon import run_ticks
from greenai.engine.doors import QueueDoors
from greenai.engine.tick import Memory, tick
from greenai.errors import InputError
from greenai.logic.wording import loud
from greenai.model.queue import Entry, Held, PauseWay
from greenai.ports import Clock
from greenai.wiring_queue import open_queue_doors, queue_settings, read_holder

Warn = Callable[[str], None]
Tell = Callable[[Sequence[Entry], bool], None]


def _nobody(_warning: str) -> None:
    """The default listener."""


def _doors(settings: Settings | None, *, role: str, warn: Warn, clock: Clock | None = None) -> QueueDoors:
    """The doors of a tick, with what the past tells of pauses: that is read when a job is to pause."""
    known = queue_settings(settings)

    def way(entry: Entry, stands: timedelta | None) -> tuple[PauseWay, str]:
        from greenai.api.learning import way_to_pause

        return way_to_pause(entry, stands, settings=known)

    return replace(open_queue_doors(known, role=role, clock=clock, warn=warn), way_to_pause=way)


def tick_once(*, settings: Settings | None = None, warn: Warn = _nobody) -> bool:
    """Do what is due now, unless somebody else runs the queue: False then. Raises StoreError."""
    doors = _doors(settings, role="tick", warn=warn)
    try:
        return tick(doors.clock.now(), doors, Memory()).is_mine
    finally:
        doors.queue.release(doors.holder)


def serve(
    *,
    settings: Settings | None = None,
    clock: Clock | None = None,
    stop: Callable[[], bool] = lambda: False,
    warn: Warn = _nobody,
    started: Callable[[QueueDoors], None] = lambda _: None,
) -> None:
    """Run the queue until `stop`, asked each second, says so, or an exception ends it: jobs that run go on in either case.

    `started` is told once the queue is found to be free of other daemons.

    Raises:
        InputError: another daemon runs this queue.
        StoreError: the queue cannot be read.
    """
    doors = _doors(settings, role="daemon", clock=clock, warn=warn)
    role, who = read_holder(doors.queue.holder(doors.clock.now()) or "")
    if role == "daemon":
        raise InputError(
            f"another daemon runs this queue ({who})",
            hint="it needs no second one; greenai daemon status shows it, GREENAI_HOME sets another queue",
        )
    _check_writable(doors)
    started(doors)
    memory = Memory()
    run_ticks(doors, memory, stop=_telling(memory, warn, stop))


def _check_writable(doors: QueueDoors) -> None:
    """Raise StoreError where nothing could ever be done; later such trouble is waited out."""
    doors.queue.release(doors.holder)


def wait(
    *job_ids: str | int,
    timeout: Span | None = None,
    settings: Settings | None = None,
    clock: Clock | None = None,
    tell: Tell = lambda _entries, _alone: None,
    warn: Warn = _nobody,
) -> tuple[Entry, ...]:
    """Wait until jobs are over, none that is left can go on by itself (all held), or the time is up; the jobs as they are then.

    Where no daemon runs, the queue is run from here meanwhile. `tell` is told of
    the jobs whenever something changed, and whether the queue is run from here.

    Raises:
        UnknownJob, StoreError.
    """
    if not job_ids:
        raise InputError("wait for which job?", hint="greenai jobs list shows them")
    span = None if timeout is None else span_of(timeout)
    doors = _doors(settings, role="wait", clock=clock, warn=warn)
    end_at = None if span is None else doors.clock.now() + span
    if doors.queue.holder(doors.clock.now()) is None:
        _check_writable(doors)
    watch = _Watch(doors, [str(job_id) for job_id in job_ids], tell)
    memory = Memory()
    run_ticks(
        doors,
        memory,
        stop=_telling(memory, warn, lambda: watch.are_over() or (end_at is not None and doors.clock.now() >= end_at)),
    )
    return watch.entries


def _telling(memory: Memory, warn: Warn, stop: Callable[[], bool]) -> Callable[[], bool]:
    """The same `stop`; when it is asked, each grid that is not read live any more is told of once, and once when it is again."""
    told: dict[str, str] = {}

    def look() -> bool:
        for zone, reading in memory.known.readings.items():
            before, now = told.get(zone, ""), loud(reading)
            told[zone] = now
            if now and not before:
                warn(f"zone {zone}: {now}")
            elif before and not now:
                warn(f"zone {zone} is read live again")
        return stop()

    return look


class _Watch:
    """The jobs somebody waits for."""

    def __init__(self, doors: QueueDoors, job_ids: Sequence[str], tell: Tell) -> None:
        self._doors, self._job_ids, self._tell = doors, job_ids, tell
        self._mark = -1
        self.entries: tuple[Entry, ...] = ()

    def are_over(self) -> bool:
        """Whether nothing more will happen to them by itself; tells of what is new."""
        mark = self._doors.queue.mark()
        if mark != self._mark:
            found = self._doors.queue.entries(self._job_ids)
            self._mark, self.entries = mark, tuple({entry.id: entry for entry in found}.values())
            alone = self._doors.queue.holder(self._doors.clock.now()) in {None, self._doors.holder}
            self._tell(self.entries, alone)
        return all(entry.is_over or isinstance(entry.status, Held) for entry in self.entries)
