"""Arms that use and err as they are told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from tests.training.known_joules import Guess, Machine, mixed_frame

from greenai.training.arms import Arm
from greenai.training.table import numbers
from greenai.training.workload import Workload, of_table

pytest.importorskip("sklearn")
pytest.importorskip("lightgbm")


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def plant(machine: Machine) -> Callable[..., Arm]:
    """Arms of a known energy and a known error on `zeros`, the same for every seed but for `spread` around it."""

    def planted(name: str, *, energy_j: float, error: float = 1.0, spread: float = 0.0) -> Arm:
        def fit(table, target, seed):
            machine.use(energy_j)
            return Guess(error + spread * float(np.random.default_rng(seed).normal()))

        return Arm(name=name, fit=fit, described=MappingProxyType({"planted": name}))

    return planted


@pytest.fixture
def zeros() -> Workload:
    """A target of zeros but for a little noise, so that an arm's loss is its error; drawn anew by every seed."""
    table = numbers(np.random.default_rng(0).normal(size=(100, 2)), ("a", "b"))
    fixed = of_table(table, np.zeros(100), name="zeros", task="regression", target="y")
    return replace(fixed, draw=lambda seed: replace(fixed.draw(seed), judge_rows=None), whole=None)


@pytest.fixture
def mixed():
    return mixed_frame()
