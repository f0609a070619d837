"""A daemon to which things happen: `python moved_daemon.py '{"off_s": 90, "jumps_s": -3600, "after_s": 0.7, "room": 4096}'`.

It runs the queue of GREENAI_HOME as `greenai daemon` does, but is not polite: it
never asks first whether another daemon runs. Its clock is off by `off_s`, and is
set by `jumps_s` once it has run for `after_s`. With `room` the disk is full where
a file would grow beyond the log of the queue by so many bytes, for it and for all
that it launches. Its number goes to the file CHAOS_UP when it begins, and to
CHAOS_HOLDERS whenever it is given the lease, or the queue takes something from it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from greenai.adapters.clock import SystemClock
from greenai.engine.daemon import run_ticks
from greenai.engine.tick import Memory
from greenai.model.queue import JobEvent
from greenai.wiring_queue import open_queue_doors, queue_settings

REST = timedelta(seconds=0.05)


class MovedClock(SystemClock):
    """The machine's clock, as it would be had somebody set it, and sets it again."""

    def __init__(self, *, off_s: float, jumps_s: float, after_s: float) -> None:
        super().__init__()
        self._off_s = off_s
        self._jumps_s = jumps_s
        self._jumps_at_s = time.monotonic() + after_s

    def now(self) -> datetime:
        """The wrong time."""
        jumped_s = self._jumps_s if time.monotonic() >= self._jumps_at_s else 0.0
        return super().now() + timedelta(seconds=self._off_s + jumped_s)


class ToldQueue:
    """The queue; whoever it gives the lease to, or takes events from, is written down."""

    def __init__(self, queue: Any, holders: Path) -> None:
        self._queue = queue
        self._holders = holders

    def lease(self, holder: str, now_at: datetime, until_at: datetime) -> bool:
        """As the queue does."""
        given: bool = self._queue.lease(holder, now_at, until_at)
        if given:
            _tell(self._holders)
        return given

    def append(self, events: Sequence[JobEvent], *, holder: str = "") -> tuple[bool, ...]:
        """As the queue does."""
        written: tuple[bool, ...] = self._queue.append(events, holder=holder)
        if any(written):
            _tell(self._holders)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


def _tell(path: Path) -> None:
    """Our number, at the end of a file."""
    with path.open("a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")


def _warn(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _fill_disk(log: Path, room: int) -> None:
    """Let no file grow beyond the log's size and this much: what is written there fails as on a full disk (setrlimit(2))."""
    size = log.stat().st_size if log.exists() else 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def main(text: str) -> None:
    """Run the queue until somebody kills us."""
    given = {"off_s": 0.0, "jumps_s": 0.0, "after_s": 0.0, "room": None, **json.loads(text)}
    room = given.pop("room")
    settings = queue_settings(None)
    if room is not None:
        _fill_disk(settings.home / "queue.jsonl", room)
    doors = open_queue_doors(settings, role="daemon", clock=MovedClock(**given), warn=_warn)
    queue = ToldQueue(doors.queue, Path(os.environ["CHAOS_HOLDERS"]))
    _tell(Path(os.environ["CHAOS_UP"]))
    run_ticks(replace(doors, queue=queue), Memory(), stop=lambda: False, every=REST)


if __name__ == "__main__":
    main(*sys.argv[1:])
