"""The doors a run goes through, gathered in one record by wiring; tests put fakes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from greenai.engine.progress import Progress
from greenai.engine.read import Sources
from greenai.logic.deciding import Policy
from greenai.ports import Clock, Executor, JobExecutor, JobQueue, Ledger, Metering, RunStore

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
class Capacity:
    """What queued jobs may take of this machine together: amounts by resource, watts, and grams of CO2e in a UTC day."""

    amounts: Mapping[str, float]
    power_cap_w: float | None = None
    carbon_budget_g_per_day: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDoors:
    """Everything a tick may touch. `holder` names this process in the lease; `new_run_id` makes ids that never collide.

    `policy` finds a policy by its name. `warn` is told of trouble that the tick survives.
    """

    clock: Clock
    sources: Sources
    queue: JobQueue
    executors: Mapping[str, JobExecutor]
    capacity: Capacity
    policy: Callable[[str], Policy]
    new_run_id: Callable[[datetime], str]
    holder: str
    warn: Callable[[str], None] = field(default=lambda _: None)
