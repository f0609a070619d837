"""The baselines: the prototype's gradient boosting, or the user's own estimator."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from greenai.errors import InputError
from greenai.training.arms import Arm
from greenai.training.encoding import filled
from greenai.training.extras import need
from greenai.training.family import Fitted
from greenai.training.table import FloatArray, Table, frame

PROTOTYPE = MappingProxyType({"n_estimators": 100, "learning_rate": 0.1, "max_depth": 3})
"""The prototype's baseline: scikit-learn's gradient boosting with these settings, random_state the seed."""

_MODULES = ("sklearn.ensemble", "sklearn.compose", "sklearn.preprocessing")


def prototype_baseline(*, classes: int) -> Arm:
    """Gradient boosting as the prototype did it, classifier where there are classes."""
    return gradient_boosting("baseline", dict(PROTOTYPE), classes=classes)


def gradient_boosting(name: str, settings: dict[str, Any], *, classes: int) -> Arm:
    """scikit-learn's gradient boosting behind the prototype's preprocessing."""
    kind = "GradientBoostingClassifier" if classes else "GradientBoostingRegressor"

    def estimator(seed: int) -> Any:
        return getattr(need("sklearn.ensemble"), kind)(**settings, random_state=seed)

    return _arm(name, estimator, described={"estimator": f"sklearn.ensemble.{kind}", **settings}, classes=classes)


def own_baseline(name: str, *, classes: int) -> Arm:
    """The estimator that MODULE:FACTORY() returns: fit, and predict or predict_proba, as in scikit-learn.

    A scikit-learn Pipeline is given the table as a DataFrame with its texts; any
    other estimator is put behind the prototype's preprocessing. MODULE is looked
    for in the working directory first.

    Raises:
        InputError: no such module or factory, or what it returns cannot be trained.
    """
    factory = _factory(name)

    def estimator(_seed: int) -> Any:
        return factory()

    made = _made(factory, name)
    described = {"estimator": f"{type(made).__module__}.{type(made).__name__}", "factory": name, "made": repr(made)}
    return _arm("baseline", estimator, described=described, classes=classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """The prototype's preprocessing, fitted: `medians` stand for missing numbers, then numbers are scaled, texts one-hot."""

    medians: FloatArray
    transform: Any

    def features(self, table: Table) -> Any:
        """One array, (n, features)."""
        return self.transform.transform(_array(table, self.medians))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Foreign:
    """A fitted estimator of scikit-learn's kind; `prepared` is None if it takes the table itself."""

    model: Any
    name: str
    classes: int
    prepared: _Prepared | None

    def predict(self, table: Table, /) -> FloatArray:
        """Values (n,) or chances (n, classes).

        Raises:
            InputError: the estimator raised, or gave something else than a number for each row.
        """
        try:
            said = self._said(self.prepared.features(table) if self.prepared else frame(table), len(table))
        except Exception as error:
            raise InputError(f"the {self.name} cannot predict: {type(error).__name__}: {error}") from error
        if said.shape[0] != len(table) or not np.isfinite(said).all():
            raise InputError(f"the {self.name} predicts something else than a number for each row")
        return said

    def _said(self, features: Any, rows: int) -> FloatArray:
        if not self.classes:
            return np.asarray(self.model.predict(features), dtype=np.float64)
        chances = np.zeros((rows, self.classes))
        if hasattr(self.model, "predict_proba"):
            chances[:, np.asarray(self.model.classes_, dtype=np.int64)] = self.model.predict_proba(features)
        else:
            chances[np.arange(rows), np.asarray(self.model.predict(features), dtype=np.int64)] = 1.0
        return chances


def _arm(name: str, estimator: Any, *, described: dict[str, Any], classes: int) -> Arm:
    said = f"{name} {described['estimator']}"

    def fit(table: Table, target: FloatArray, seed: int) -> Fitted:
        try:
            return _fitted(estimator(seed), table, target, said=said, classes=classes)
        except Exception as error:
            # Whatever a user's own estimator raises is no defect of greenai's.
            raise InputError(f"the {said} cannot learn from this table: {type(error).__name__}: {error}") from error

    return Arm(name=name, fit=fit, modules=_MODULES, described=MappingProxyType(described))


def _fitted(model: Any, table: Table, target: FloatArray, *, said: str, classes: int) -> Fitted:
    """A pipeline learns from the table; any other estimator only needs fit and predict, so it is put in no pipeline."""
    if hasattr(model, "steps"):
        model.fit(frame(table), target)
        return _Foreign(model=model, name=said, classes=classes, prepared=None)
    medians, transform = _medians(table.numeric), _preprocessing(table)
    model.fit(transform.fit_transform(_array(table, medians)), target)
    return _Foreign(model=model, name=said, classes=classes, prepared=_Prepared(medians=medians, transform=transform))


def _array(table: Table, medians: FloatArray) -> Any:
    """Numbers, then codes, as one array (n, columns) with missing numbers filled: there the prototype fell over."""
    numeric = filled(table.numeric, medians)
    return np.hstack([numeric, table.codes]) if table.codes.shape[1] else numeric


def _medians(numeric: FloatArray) -> FloatArray:
    known = [column[~np.isnan(column)] for column in numeric.T]
    return np.array([np.median(column) if column.size else 0.0 for column in known])


def _preprocessing(table: Table) -> Any:
    """As in the prototype: numbers to unit spread, texts one-hot."""
    preprocessing = need("sklearn.preprocessing")
    numbers = len(table.columns.numeric)
    one_hot = preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps = [
        ("numbers", preprocessing.StandardScaler(), list(range(numbers))),
        ("texts", one_hot, list(range(numbers, table.columns.width))),
    ]
    return need("sklearn.compose").ColumnTransformer([step for step in steps if step[2]])


def _factory(name: str) -> Any:
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise InputError(f"{name!r} is not MODULE:FACTORY", hint="write it like mymodels:make_baseline")
    with _working_directory_first():
        try:
            found = getattr(importlib.import_module(module), attribute)
        except ImportError as error:
            raise InputError(f"the baseline's module {module} cannot be imported: {error}") from error
        except AttributeError:
            raise InputError(f"{module} has no {attribute}", hint="write it like mymodels:make_baseline") from None
    if not callable(found):
        raise InputError(f"{name} is not callable", hint="name a function that returns an estimator")
    return found


def _made(factory: Any, name: str) -> Any:
    try:
        made = factory()
    except Exception as error:
        raise InputError(f"{name}() failed: {type(error).__name__}: {error}") from error
    if not hasattr(made, "fit") or not hasattr(made, "predict"):
        raise InputError(f"{name}() returned a {type(made).__name__}, which has no fit and predict")
    return made


@contextmanager
def _working_directory_first() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def baseline_of(name: str | None, *, classes: int) -> Arm:
    """The user's own baseline if one is named, else the prototype's."""
    return own_baseline(name, classes=classes) if name else prototype_baseline(classes=classes)
