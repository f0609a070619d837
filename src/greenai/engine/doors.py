"""The doors a run goes through, gathered in one record by wiring; tests put fakes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from greenai.engine.progress import Progress
from greenai.engine.read import Sources
from greenai.logic.queue_room import Capacity
from greenai.model.queue import Entry, PauseWay
from greenai.ports import Clock, Executor, JobExecutor, JobQueue, Ledger, Metering, RunStore

if TYPE_CHECKING:
    from greenai.logic.deciding import Policy

__all__ = ["Capacity", "Doors", "QueueDoors", "Write", "tell_nobody"]

Write = Callable[[bytes], None]


def tell_nobody(progress: Progress) -> None:
    """The default watcher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Everything the engine may touch.

    `metering` starts no thread: it builds a measurement that spools each
    interval through the given function.
    """

    clock: Clock
    sources: Sources
    ledger: Ledger
    runs: RunStore
    executor: Executor
    metering: Callable[[Write], Metering]
    tell: Callable[[Progress], None] = tell_nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDoors:
    """Everything a tick may touch. `holder` names this process in the lease; `new_run_id` makes ids that never collide.

    `policy` finds a policy by its name. `rest` lets a span pass by whatever the
    wall clock does: a loop that waited for a moment would sleep on when the clock
    is set back. `way_to_pause` says how a job that may pause in any way is to do it
    when it is to stand for a while (None: nobody knows how long), and why, in words.
    `warn` is told of trouble that the tick survives.
    """

    clock: Clock
    sources: Sources
    queue: JobQueue
    executors: Mapping[str, JobExecutor]
    capacity: Capacity
    policy: Callable[[str], Policy]
    new_run_id: Callable[[datetime], str]
    holder: str
    rest: Callable[[timedelta], None]
    way_to_pause: Callable[[Entry, timedelta | None], tuple[PauseWay, str]] = field(default=lambda _entry, _stands: ("auto", ""))
    warn: Callable[[str], None] = field(default=lambda _: None)
