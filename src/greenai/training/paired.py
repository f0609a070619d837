"""Paired differences: their mean, median and interval, and the one-sided test behind the quality gate.

What counts as one observation depends on the data:

- Data drawn afresh for each seed: one difference of mean losses per seed. They
  are independent, so Student's t over the seeds is exact enough and covers both
  the rows' luck and the training's.
- One fixed table split again and again: the same rows are judged every time, so
  splits are not independent, and a t over splits is wrong by a factor. There the
  observations are the rows: each row's loss difference, averaged over the splits
  that judged it. With cross-validation folds that is the interval of Bayle,
  Bayle, Janson and Mackey (NeurIPS 2020) for a difference of two algorithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from greenai.errors import InputError
from greenai.training.arms import Scored
from greenai.training.extras import need
from greenai.training.table import FloatArray

CONFIDENCE = 0.95

_MOST_RUNS = 10_000_000

BY_SEED = "Student's t over independent draws, one per seed"
BY_ROW = "Student's t over the judged rows of cross-validation folds (Bayle et al. 2020)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Mean and median of differences, and the two-sided 95 % interval of the mean; all in the differences' unit.

    Of a single difference nothing can be said: the interval is then everything, `None` in the document.
    """

    mean: float
    median: float
    low: float
    high: float
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def document(self) -> dict[str, Any]:
        """As plain data."""
        low, high = finite(self.low), finite(self.high)
        return {"mean": self.mean, "median": self.median, "low": low, "high": high, "count": self.count}


def interval(values: Sequence[float] | FloatArray) -> Interval:
    """Mean, median and the 95 % t-interval of the mean of independent values; of one value it is infinite.

    Raises:
        InputError: no value.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise InputError("an interval needs values, and there is none")
    reach = _t_quantile((1 + CONFIDENCE) / 2, array.size - 1) * _standard_error(array) if array.size > 1 else math.inf
    mean = float(array.mean())
    return Interval(mean=mean, median=float(np.median(array)), low=mean - reach, high=mean + reach, count=array.size)


def finite(value: float) -> float | None:
    """The value as JSON can hold it: an infinite bound is None."""
    return value if math.isfinite(value) else None


def loss_differences(treatment: Sequence[Scored], baseline: Sequence[Scored], *, margin_share: float = 0.0) -> FloatArray:
    """Independent differences of loss, treatment - (1 + margin) * baseline: per seed, or per row of a fixed table.

    Raises:
        InputError: the two are not pairs on the same seeds.
    """
    if [scored.seed for scored in treatment] != [scored.seed for scored in baseline]:
        raise InputError("the two arms were not trained on the same seeds")
    factor = 1 + margin_share
    if any(scored.rows is None for scored in treatment):
        return np.array([ours.loss - factor * theirs.loss for ours, theirs in zip(treatment, baseline, strict=True)])
    return _row_means(treatment) - factor * _row_means(baseline)


def is_by_row(scored: Sequence[Scored]) -> bool:
    """Whether the rows, not the seeds, are the observations."""
    return all(one.rows is not None for one in scored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a treatment is not worse than the baseline by more than a margin.

    Relative figures are shares of the baseline's mean loss: 0.02 is 2 % more
    error. `upper_ratio` is the one-sided 95 % upper bound of the mean change,
    `p_share` the probability of data this good if it were worse than the margin.
    """

    passed: bool
    change_ratio: float
    upper_ratio: float
    margin_share: float
    p_share: float
    pairs: int
    observations: int
    method: str

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "passed": self.passed,
            "change_ratio": self.change_ratio,
            "upper_ratio": finite(self.upper_ratio),
            "margin_share": self.margin_share,
            "p_share": self.p_share,
            "pairs": self.pairs,
            "observations": self.observations,
            "method": self.method,
        }

    def sentence(self) -> str:
        """The verdict in words."""
        said = "not worse" if self.passed else "not shown to be as good"
        if self.pairs < 2:
            return f"{said}: error {self.change_ratio:+.1%} in one pair of trainings, too few to judge"
        return (
            f"{said}: error {self.change_ratio:+.1%} (one-sided 95 % upper bound {self.upper_ratio:+.1%}, "
            f"allowed {self.margin_share:+.1%}) over {self.pairs} paired trainings"
        )


def not_worse(
    treatment: Sequence[Scored], baseline: Sequence[Scored], *, margin_share: float = 0.0, doubt: float = 1 - CONFIDENCE
) -> Verdict:
    """One-sided non-inferiority test: passed if p <= `doubt`, the chance of accepting what is worse than the margin.

    A single pair never passes: how much such pairs vary is not known.

    Raises:
        InputError: no pair, or not the same seeds.
    """
    if not treatment:
        raise InputError("a comparison needs paired trainings, and there is none")
    beyond = loss_differences(treatment, baseline, margin_share=margin_share)
    reference = float(np.mean([scored.loss for scored in baseline]))
    mean = float(beyond.mean())
    upper, p_share = _one_sided(beyond) if len(treatment) > 1 else (math.inf, 1.0)
    scale = reference if reference > 0 else 1.0
    return Verdict(
        passed=p_share <= doubt and mean <= 0,
        change_ratio=mean / scale + margin_share,
        upper_ratio=upper / scale + margin_share,
        margin_share=margin_share,
        p_share=p_share,
        pairs=len(treatment),
        observations=beyond.size,
        method=BY_ROW if is_by_row(treatment) else BY_SEED,
    )


def runs_to_tell(values: Sequence[float], *, noise_floor: float = 0.0) -> int | None:
    """How many pairs it takes until the mean of such differences can be told from zero; None if their mean is zero.

    The 95 % interval must exclude zero, and the mean must exceed the meter's
    floor, which averages down with the root of the number of pairs.
    """
    array = np.asarray(values, dtype=np.float64)
    mean = abs(float(array.mean()))
    if mean == 0:
        return None
    spread = float(array.std(ddof=1)) if array.size > 1 else 0.0
    runs = max(2, math.floor((noise_floor / mean) ** 2) + 1)
    while _t_quantile((1 + CONFIDENCE) / 2, runs - 1) * spread / math.sqrt(runs) >= mean and runs < _MOST_RUNS:
        runs = math.ceil(runs * 1.02) + 1
    return runs


def _row_means(scored: Sequence[Scored]) -> FloatArray:
    rows = np.concatenate([one.rows for one in scored if one.rows is not None])
    losses = np.concatenate([one.row_losses for one in scored])
    _, place = np.unique(rows, return_inverse=True)
    means: FloatArray = np.bincount(place, weights=losses) / np.bincount(place)
    return means


def _one_sided(beyond: FloatArray) -> tuple[float, float]:
    """The upper 95 % bound of the mean, and the probability of a mean this low if the true one were zero."""
    mean, error, freedom = float(beyond.mean()), _standard_error(beyond), beyond.size - 1
    p_share = _t_below(mean / error, freedom) if error > 0 else float(mean > 0)
    return mean + _t_quantile(CONFIDENCE, freedom) * error, p_share


def _standard_error(values: FloatArray) -> float:
    return float(values.std(ddof=1)) / math.sqrt(values.size)


def _t_quantile(share: float, freedom: int) -> float:
    return float(need("scipy.special").stdtrit(freedom, share))


def _t_below(value: float, freedom: int) -> float:
    return float(need("scipy.special").stdtr(freedom, value))
