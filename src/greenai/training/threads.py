"""How many threads: measured, because on a busy machine waiting threads spin and more threads cost more than they save."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from greenai.errors import InputError
from greenai.training.arms import arm_of, trained
from greenai.training.measuring import EnergyUse, Measure, mean_energy_j, told_apart
from greenai.training.recipe import Recipe
from greenai.training.workload import Workload

_WORTH_MORE_THREADS = 0.9
"""All cores are worth it only below nine tenths of one thread's energy: two readings each settle no less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTrial:
    """One recipe's training with one thread and with all cores, twice each on the same split.

    `clear` says that the meter told the readings from nothing and both with all
    cores lie below both with one thread.
    """

    one_j: float
    all_j: float
    one_cpu_s: float
    all_cpu_s: float
    cores: int
    clear: bool

    @property
    def best(self) -> int:
        """The number of threads to use."""
        return self.cores if self.clear and self.all_j < _WORTH_MORE_THREADS * self.one_j else 1

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {name: getattr(self, name) for name in ("one_j", "all_j", "one_cpu_s", "all_cpu_s", "cores", "clear")}


def thread_trial(recipe: Recipe, workload: Workload, *, seed: int, measure: Measure) -> ThreadTrial | None:
    """One thread against all cores, twice in turn; None on a single core."""
    every = cores()
    if every < 2:
        return None
    split, classes = workload.split(seed), len(workload.classes)
    uses: dict[int, list[EnergyUse]] = {1: [], every: []}
    for threads in (1, every, every, 1):
        arm = arm_of(recipe, classes=classes, threads=threads)
        uses[threads].append(trained(arm, split, workload, seed=seed, measure=measure).use)
    return ThreadTrial(
        one_j=mean_energy_j(uses[1]),
        all_j=mean_energy_j(uses[every]),
        one_cpu_s=_mean_cpu_s(uses[1]),
        all_cpu_s=_mean_cpu_s(uses[every]),
        cores=every,
        clear=told_apart(uses[1] + uses[every])
        and max(use.energy_j for use in uses[every]) < min(use.energy_j for use in uses[1]),
    )


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_of(n_jobs: int | None) -> int | None:
    """Threads from scikit-learn's n_jobs: None stays (the recipe's), -1 is every core this process may use.

    More than there are cores is taken as all of them: threads without a core
    only wait for each other, and pay for it.

    Raises:
        InputError: 0, or less than -1.
    """
    if n_jobs is None:
        return None
    if n_jobs == -1 or n_jobs > 0:
        return cores() if n_jobs == -1 else min(n_jobs, cores())
    raise InputError(f"n_jobs is a number of threads, or -1 for all cores; not {n_jobs}")


def _mean_cpu_s(uses: Sequence[EnergyUse]) -> float:
    return sum(use.cpu_s for use in uses) / len(uses)
