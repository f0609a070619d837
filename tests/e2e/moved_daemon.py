"""A daemon whose clock is wrong by so many seconds: `python moved_daemon.py OFFSET_S REST_S`.

It runs the queue of GREENAI_HOME as `greenai daemon` does, but is not polite: it
never asks first whether another daemon runs.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

from greenai.adapters.clock import SystemClock
from greenai.engine.daemon import run_ticks
from greenai.engine.tick import Memory
from greenai.wiring_queue import open_queue_doors, queue_settings


class MovedClock(SystemClock):
    """The machine's clock, as it would be had somebody set it."""

    def __init__(self, offset: timedelta) -> None:
        super().__init__()
        self._offset = offset

    def now(self) -> datetime:
        """The wrong time."""
        return super().now() + self._offset


def _warn(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main(offset_s: str, rest_s: str) -> None:
    """Run the queue until somebody kills us."""
    clock = MovedClock(timedelta(seconds=float(offset_s)))
    doors = open_queue_doors(queue_settings(None), role="daemon", clock=clock, warn=_warn)
    run_ticks(doors, Memory(), stop=lambda: False, every=timedelta(seconds=float(rest_s)))


if __name__ == "__main__":
    main(*sys.argv[1:])
