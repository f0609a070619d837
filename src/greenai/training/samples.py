"""Workloads that need no network: generated tables, and real small ones that ship with scikit-learn.

`tab` imitates the prototype's default task (house prices by district: skewed
numbers, interactions, a coast that runs across both axes, noise that grows with
income); `seedlin` is the prototype's own fallback, linear in truth;
`tabclass` asks which of tab's districts are dear. A seed draws new rows of the
same truth, and the model is judged on 20,000 more that it never met.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from greenai.errors import InputError
from greenai.training.extras import need
from greenai.training.losses import USUAL, Task
from greenai.training.table import FloatArray, Table, numbers, sha256_of_arrays
from greenai.training.workload import Split, Workload, of_table

JUDGE_ROWS = 20_000
DEFAULT = "tab-1200"
"""The task and size the prototype trained on when it was given no data."""

FEWEST_ROWS, MOST_ROWS = 50, 5_000_000

_TRAIN_SHARE = 0.8
_DEAR = 2.0
"""About the median price of `tab`: the two classes of `tabclass` are of like size."""

Drawn = tuple[FloatArray, FloatArray]


def sample(name: str = DEFAULT, *, metric: str | None = None) -> Workload:
    """A workload by name: tab-N, seedlin-N or tabclass-N with N rows, diabetes, breast_cancer or wine.

    Raises:
        InputError: no such sample.
    """
    kind, _, size = name.partition("-")
    if kind in GENERATED and re.fullmatch(r"\d+", size) and FEWEST_ROWS <= int(size) <= MOST_ROWS:
        return _generated(kind, int(size), metric)
    if name in REAL:
        return _real(name, metric)
    kinds = ", ".join(f"{known}-N" for known in GENERATED)
    raise InputError(
        f"there is no sample named {name!r}",
        hint=f"known: {kinds} with N from {FEWEST_ROWS} to {MOST_ROWS} rows, {', '.join(REAL)}",
    )


def tab(rows: int, seed: int) -> Drawn:
    """House-like districts: features (rows, 8), price (rows,)."""
    rng = np.random.default_rng(seed)
    income = rng.lognormal(1.25, 0.45, rows).clip(0.5, 15)
    age = rng.integers(1, 53, rows).astype(float)
    rooms = rng.lognormal(1.66, 0.28, rows)
    bedrooms = (rooms * 0.2 + rng.normal(0, 0.08, rows)).clip(0.3)
    people = rng.lognormal(6.95, 0.75, rows)
    household = rng.lognormal(1.05, 0.25, rows)
    along = rng.uniform(0, 1, rows)
    north = 32.5 + 9 * along + rng.normal(0, 0.8, rows)
    east = -117 - 7 * along + rng.normal(0, 1.0, rows)
    coast = np.abs(east + 117 + 7 * (north - 32.5) / 9)
    city = np.exp(-((north - 34.05) ** 2 + (east + 118.3) ** 2) / 1.6)
    city += 0.9 * np.exp(-((north - 37.7) ** 2 + (east + 121.6) ** 2) / 1.3)
    price = 0.5 * income - 0.014 * income**2 - 0.62 * np.log(household) - 0.16 * coast + city - 0.1 * (rooms - 5.5)
    price += 0.006 * age + 0.12 * np.sin(age / 12) + 0.3 * city * np.log(income)
    price += 0.14 * np.tanh((bedrooms - rooms * 0.2) / 0.04) * np.tanh(income / 4)
    price += 0.12 * np.sin(2 * north) * np.cos(1.5 * east)
    price += rng.normal(0, 0.32, rows) * (0.7 + 0.1 * income)
    return np.column_stack([income, age, rooms, bedrooms, people, household, north, east]), price


def tabclass(rows: int, seed: int) -> Drawn:
    """The districts of `tab`; class 1 where the price is above 2."""
    features, price = tab(rows, seed)
    return features, (price > _DEAR).astype(float)


def seedlin(rows: int, seed: int) -> Drawn:
    """The prototype's fallback: scikit-learn's make_regression of 12 features, noise 5."""
    features, target = need("sklearn.datasets").make_regression(n_samples=rows, n_features=12, noise=5.0, random_state=seed)
    return features, target


_TAB_NAMES = ("income", "age", "rooms", "bedrooms", "people", "household", "north", "east")

GENERATED: Mapping[str, tuple[Task, Callable[[int, int], Drawn], tuple[str, ...], str]] = MappingProxyType(
    {
        "tab": ("regression", tab, _TAB_NAMES, "price"),
        "seedlin": ("regression", seedlin, tuple(f"x{place}" for place in range(12)), "y"),
        "tabclass": ("classification", tabclass, _TAB_NAMES, "dear"),
    }
)
"""By name: the task, the generator (rows, seed), the names of features and target."""

REAL: Mapping[str, Task] = MappingProxyType(
    {"diabetes": "regression", "breast_cancer": "classification", "wine": "classification"}
)
"""Real tables inside scikit-learn: 442, 569 and 178 rows."""


def _generated(kind: str, rows: int, metric: str | None) -> Workload:
    task, generate, names, target = GENERATED[kind]

    def draw(seed: int) -> Split:
        features, values = generate(rows + JUDGE_ROWS, seed)
        cut = int(rows * _TRAIN_SHARE)
        return Split(
            train=numbers(features[:cut], names),
            train_target=values[:cut],
            test=numbers(features[cut:rows], names),
            judge=numbers(features[rows:], names),
            judge_target=values[rows:],
            judge_rows=None,
        )

    first = draw(0)
    return Workload(
        name=f"{kind}-{rows}",
        task=task,
        target=target,
        metric=metric or USUAL[task],
        rows=rows,
        columns=first.train.columns,
        sha256=sha256_of_arrays(first.train, first.train_target),
        draw=draw,
        classes=("0", "1") if task == "classification" else (),
        notes=("generated: every seed draws new rows of the same truth",),
    )


def _real(name: str, metric: str | None) -> Workload:
    bunch = getattr(need("sklearn.datasets"), f"load_{name}")()
    table: Table = numbers(bunch.data, tuple(str(feature) for feature in bunch.feature_names))
    classes = tuple(str(label) for label in bunch.target_names) if REAL[name] == "classification" else ()
    values = np.asarray(bunch.target, dtype=np.float64)
    return of_table(table, values, name=name, task=REAL[name], target="target", classes=classes, metric=metric)
