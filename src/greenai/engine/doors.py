"""The doors a run goes through, gathered in one record by wiring; tests put fakes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from greenai.engine.progress import Progress
from greenai.engine.read import Sources
from greenai.ports import Clock, Executor, Ledger, Metering, RunStore

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
