"""Estimator families: what a recipe may name. The built-in ones and others come by the entry-point group greenai.estimators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from greenai import plugins
from greenai.errors import InputError
from greenai.training.losses import Task
from greenai.training.recipe import Recipe, Scalar
from greenai.training.table import FloatArray, Table

GROUP = "greenai.estimators"


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A parameter searched between two numbers; whole if both are ints, evenly in its logarithm if `log`."""

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A parameter searched among named values."""

    values: tuple[Scalar, ...]


class Fitted(Protocol):
    """A trained model."""

    def predict(self, table: Table, /) -> FloatArray:
        """Regression: the values (n,). Classification: the chance of each class (n, classes)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ask:
    """What a family is asked to fit.

    `target` is float64 (n,), class numbers 0..classes-1 for a classification
    (`classes` is 0 otherwise). Everything random follows `seed`.
    """

    table: Table
    target: FloatArray
    task: Task
    classes: int
    params: Mapping[str, Scalar]
    seed: int
    threads: int
    float32: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A way to learn.

    `modules` are imported before anything is measured; `params` are all its
    parameters with their usual values; `space` is what a search may vary;
    `fit` does the rest, preprocessing included.
    """

    name: str
    title: str
    tasks: tuple[Task, ...]
    modules: tuple[str, ...] = ()
    params: Mapping[str, Scalar] = field(default_factory=lambda: MappingProxyType({}))
    space: Mapping[str, Numbers | Choice] = field(default_factory=lambda: MappingProxyType({}))
    fit: Callable[[Ask], Fitted]

    def complete(self, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """The given parameters and the usual values of the rest.

        Raises:
            InputError: one is unknown, or is not the kind of value it should be.
        """
        unknown = sorted(set(params) - set(self.params))
        if unknown:
            known = ", ".join(self.params) or "none"
            raise InputError(f"{self.name} has no parameter {', '.join(unknown)}", hint=f"its parameters: {known}")
        for name, value in params.items():
            if not _alike(value, self.params[name]):
                raise InputError(f"{name} of {self.name} is like {self.params[name]!r}, not {value!r}")
        return {**self.params, **params}


def family_of(recipe: Recipe) -> Family:
    """The family a recipe names.

    Raises:
        InputError: there is none of that name, or it cannot do the recipe's task.
    """
    family: Family = plugins.load(GROUP, recipe.family)
    if recipe.task not in family.tasks:
        raise InputError(f"{family.name} does no {recipe.task}", hint=f"it does {', '.join(family.tasks)}")
    return family


def families(task: Task) -> tuple[tuple[Family, ...], tuple[str, ...]]:
    """Every usable family for a task, by name, and why others were passed over."""
    loaded, problems = plugins.load_all(GROUP)
    usable = tuple(family for _, family in sorted(loaded.items()) if task in family.tasks)
    return usable, tuple(problems.values())


def _alike(value: Scalar, usual: Scalar) -> bool:
    if isinstance(usual, bool) or isinstance(value, bool):
        return isinstance(usual, bool) and isinstance(value, bool)
    if isinstance(usual, float):
        return isinstance(value, int | float)
    return isinstance(value, type(usual))
