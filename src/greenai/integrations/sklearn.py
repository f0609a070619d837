"""scikit-learn: `fit_in_chunks` fits a growing estimator step by step, with a place to pause after each step.

::

    forest = fit_in_chunks(RandomForestClassifier(500, random_state=7), X, y, step=25)

Exact, and equal to a plain `fit`: forests, extra trees, bagging, gradient boosting (also with `subsample`), histogram
gradient boosting without early stopping. Exact, where the whole is so many passes of `partial_fit`: SGD and MLP.
Refused: everything else, because `warm_start` there goes on from other random numbers.
"""

from __future__ import annotations

import os
import pickle
from functools import partial
from pathlib import Path
from typing import Any

from greenai import pause
from greenai.errors import InputError
from greenai.integrations import _checkpoint
from greenai.integrations._framework import need

_FILE = "sklearn.pickle"
_KINDS = (
    ("n_estimators", "ensemble", "RandomForestClassifier RandomForestRegressor ExtraTreesClassifier ExtraTreesRegressor"),
    ("n_estimators", "ensemble", "BaggingClassifier BaggingRegressor GradientBoostingClassifier GradientBoostingRegressor"),
    ("max_iter", "ensemble", "HistGradientBoostingClassifier HistGradientBoostingRegressor"),
    ("passes", "linear_model", "SGDClassifier SGDRegressor"),
    ("passes", "neural_network", "MLPClassifier MLPRegressor"),
)
"""What grows: a parameter with warm_start, or the number of passes of partial_fit."""


def fit_in_chunks(estimator: Any, X: Any, y: Any, *, step: int = 10, exact: bool = True) -> Any:  # noqa: N803
    """A fitted copy of the estimator; the given one is left as it is.

    Args:
        estimator: one of those named above, with an integer `random_state`.
        X: features, shape (n, k); the same at each resume.
        y: targets, shape (n,).
        step: trees, rounds or passes between two places to pause.
        exact: refuse what would not resume bit for bit.

    Raises:
        InputError: the estimator cannot be resumed so, or the checkpoint is of other data or settings.
        Paused: a pause was asked for; what is fitted so far is saved.
        ImportError: scikit-learn is not installed.
    """
    if step < 1:
        raise InputError(f"step must be at least 1, not {step}")
    grows = _what_grows(estimator)
    if exact:
        _refuse_other_random_numbers(estimator)
    whole = estimator.max_iter if grows == "passes" else getattr(estimator, grows)
    of = _fingerprint(estimator, X, y)
    done, fitted = _read(of) or (0, _copy(estimator, grows))
    while done < whole:
        chunk = min(step, whole - done)
        _grow(fitted, grows, X, y, done=done, chunk=chunk)
        done += chunk
        pause.progress(done / whole)
        if done < whole:
            pause.point(partial(_checkpoint.write, _FILE, partial(_dump, (of, done, fitted))))
    return fitted if grows == "passes" else fitted.set_params(warm_start=estimator.warm_start)


def _what_grows(estimator: Any) -> str:
    for grows, module, names in _KINDS:
        home = need(f"sklearn.{module}", extra="train")
        if isinstance(estimator, tuple(getattr(home, name) for name in names.split())):
            return grows
    raise InputError(
        f"{type(estimator).__name__} cannot be fitted in chunks: stopped and gone on with, it becomes another model; "
        "let greenai freeze the process instead"
    )


def _refuse_other_random_numbers(estimator: Any) -> None:
    _checkpoint.refuse_if(
        not isinstance(estimator.random_state, int),
        "without an integer random_state a resumed fit draws other random numbers than an uninterrupted one",
        remedy="give random_state a number, or accept an equivalent fit with exact=False",
    )
    stops_early = getattr(estimator, "early_stopping", getattr(estimator, "n_iter_no_change", None))
    _checkpoint.refuse_if(
        bool(stops_early),
        "early stopping forgets at a resume how long nothing has improved",
        remedy="set early_stopping=False (or n_iter_no_change=None) to be paused",
    )


def _copy(estimator: Any, grows: str) -> Any:
    copy = need("sklearn.base", extra="train").clone(estimator)
    return copy if grows == "passes" else copy.set_params(warm_start=True)


def _grow(fitted: Any, grows: str, X: Any, y: Any, *, done: int, chunk: int) -> None:  # noqa: N803
    if grows != "passes":
        fitted.set_params(**{grows: done + chunk}).fit(X, y)
        return
    is_classifier = need("sklearn.base", extra="train").is_classifier(fitted)
    options = {"classes": need("numpy", extra="train").unique(y)} if is_classifier else {}
    for _ in range(chunk):
        fitted.partial_fit(X, y, **options)


def _fingerprint(estimator: Any, X: Any, y: Any) -> str:  # noqa: N803
    """What the checkpoint belongs to: these settings and these data."""
    hashed: str = need("joblib", extra="train").hash((repr(estimator), X, y))
    return hashed


def _dump(saved: tuple[str, int, Any], file: Path) -> None:
    with file.open("wb") as stream:
        pickle.dump(saved, stream)


def _read(of: str) -> tuple[int, Any] | None:
    file = _checkpoint.place(_FILE)
    if file is None:
        return None
    if file.stat().st_uid != os.getuid():
        raise InputError(f"{file} belongs to another user and is not read: a pickle can hold code")
    with file.open("rb") as stream:
        saved_of, done, fitted = pickle.load(stream)  # noqa: S301  # our own file, checked above; scikit-learn has no other form
    if saved_of != of:
        raise InputError(f"{file} was saved while fitting other data or settings; delete it to begin again")
    return done, fitted
