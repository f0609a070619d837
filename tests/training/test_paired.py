"""The arithmetic of paired comparisons, against scipy and against planted truths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.training.known_joules import Use

from greenai.errors import InputError
from greenai.training.arms import Scored
from greenai.training.paired import BY_ROW, BY_SEED, interval, loss_differences, not_worse, runs_to_tell

stats = pytest.importorskip("scipy.stats")

USE = Use(duration_s=1, cpu_s=1, energy_j=1, low_j=1, high_j=1)


def scored(losses, *, rows=None, first_seed=0):
    """One Scored per loss, or per list of row losses."""
    made = []
    for place, loss in enumerate(losses):
        row_losses = np.atleast_1d(np.asarray(loss, dtype=float))
        made.append(
            Scored(
                seed=first_seed + place,
                loss=float(row_losses.mean()),
                row_losses=row_losses,
                rows=None if rows is None else np.asarray(rows[place]),
                use=USE,
                fitted=None,
            )
        )
    return made


def test_the_interval_is_students():
    values = np.random.default_rng(0).normal(1, 2, 12)
    found = interval(values)
    low, high = stats.t.interval(0.95, 11, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.median == np.median(values)
    one = interval([1.0])
    assert (one.mean, one.low, one.high, one.excludes_zero) == (1.0, -math.inf, math.inf, False)
    with pytest.raises(InputError, match="there is none"):
        interval([])


@pytest.mark.parametrize("margin", [0.0, 0.02])
def test_the_gate_is_a_one_sided_paired_t(margin):
    rng = np.random.default_rng(1)
    base = 1 + 0.1 * rng.normal(size=15)
    ours = base * 0.99 + 0.01 * rng.normal(size=15)
    verdict = not_worse(scored(ours), scored(base), margin_share=margin)
    expected = stats.ttest_1samp(ours - (1 + margin) * base, 0, alternative="less")
    assert verdict.p_share == pytest.approx(expected.pvalue)
    assert verdict.passed == (expected.pvalue <= 0.05)
    assert verdict.upper_ratio == pytest.approx(expected.confidence_interval(0.95).high / base.mean() + margin)
    assert verdict.change_ratio == pytest.approx(ours.mean() / base.mean() - 1)
    assert verdict.method == BY_SEED


def test_worse_is_refused_and_better_is_not():
    base = 1 + 0.05 * np.random.default_rng(2).normal(size=10)
    assert not not_worse(scored(base * 1.02), scored(base)).passed
    assert not_worse(scored(base * 1.02), scored(base), margin_share=0.05).passed
    assert not_worse(scored(base * 0.9), scored(base)).passed


def test_the_same_is_not_worse():
    base = scored([1.0, 2.0, 3.0])
    verdict = not_worse(base, base)
    assert verdict.passed
    assert verdict.upper_ratio == 0


def test_a_lucky_few_do_not_pass():
    rng = np.random.default_rng(3)
    passed = sum(not_worse(scored(1 + 0.1 * rng.normal(size=6)), scored(1 + 0.1 * rng.normal(size=6))).passed for _ in range(400))
    assert passed <= 0.05 * 400 + 3 * math.sqrt(400 * 0.05 * 0.95)


def test_rows_judged_again_are_not_new_rows():
    rng = np.random.default_rng(4)
    rows = [np.arange(50)] * 4
    base = rng.uniform(1, 2, 50)
    ours = [base + rng.normal(-0.02, 0.1, 50) for _ in range(4)]
    verdict = not_worse(scored(ours, rows=rows), scored([base] * 4, rows=rows))
    expected = stats.ttest_1samp(np.mean(ours, axis=0) - base, 0, alternative="less")
    assert verdict.observations == 50
    assert verdict.p_share == pytest.approx(expected.pvalue)
    assert verdict.method == BY_ROW


@pytest.mark.parametrize("rows", [None, [np.arange(40)]])
def test_one_pair_never_passes_the_gate(rows):
    """Not even where one split judges many rows, all of them better."""
    better = scored([np.full(40, 0.5)], rows=rows)
    verdict = not_worse(better, scored([np.ones(40)], rows=rows))
    assert (verdict.passed, verdict.upper_ratio, verdict.change_ratio) == (False, math.inf, -0.5)
    assert verdict.document()["upper_ratio"] is None


def test_arms_on_other_seeds_are_no_pairs():
    with pytest.raises(InputError, match="same seeds"):
        loss_differences(scored([1, 2]), scored([1, 2], first_seed=1))
    with pytest.raises(InputError, match="there is none"):
        not_worse([], [])


def test_runs_to_tell_tells():
    rng = np.random.default_rng(5)
    few = rng.normal(0.3, 1, 5)
    runs = runs_to_tell(few)
    reach = stats.t.ppf(0.975, runs - 1) * few.std(ddof=1) / math.sqrt(runs)
    assert reach < abs(few.mean())
    assert runs_to_tell(few * 0 + 0.1, noise_floor=1.0) == 101
    assert runs_to_tell([1.0, -1.0]) is None
