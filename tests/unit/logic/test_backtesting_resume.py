"""Jobs in pieces with resume costs: the plan beside brute force, the re-planned runs beside plans row by row."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from greenai.logic import backtesting_kernel as kernel
from greenai.logic import backtesting_resume as resume


def cost(row, chosen, cost_slots):
    """Grams of running in the slots chosen, slot by slot."""
    total, begun = 0.0, False
    for slot in sorted(chosen):
        resumed = begun and slot - 1 not in chosen
        total += row[slot] * (1 + cost_slots * resumed)
        begun = True
    return total


@pytest.mark.parametrize("cost_slots", [0.0, 0.1, 0.5, 1.0])
def test_a_plan_is_the_cheapest_of_all(cost_slots):
    seen = np.random.default_rng(1).integers(1, 9, (40, 9)).astype(float)
    runs = resume.planned(seen, 4, cost_slots)
    assert (runs.sum(axis=1) == 4).all()
    for row, run in zip(seen, runs, strict=True):
        best = min(cost(row, chosen, cost_slots) for chosen in itertools.combinations(range(9), 4))
        assert cost(row, np.flatnonzero(run).tolist(), cost_slots) == pytest.approx(best)
        assert (row * resume.weights(run[None], cost_slots)[0]).sum() == pytest.approx(best)


def replanned(seen, arrival, length, slack, cost_slots):
    """One job, slot by slot: every way to go on tried on the forecast of that slot."""
    left, before, runs = length, False, []
    for slot in range(length + slack):
        row = seen[arrival + slot, : length + slack - slot]
        totals = {True: np.inf, False: np.inf}
        for chosen in itertools.combinations(range(len(row)), left):
            grams = cost(row, chosen, cost_slots)
            if chosen and left < length and not (before and chosen[0] == 0):
                grams += cost_slots * row[chosen[0]]
            now = bool(chosen) and chosen[0] == 0
            totals[now] = min(totals[now], grams)
        before = left > 0 and totals[True] <= totals[False] * (1 + 1e-10)
        runs.append(before)
        left -= before
    return runs


@pytest.mark.parametrize("cost_slots", [0.0, 0.1, 0.6, 1.0])
def test_replanned_runs_are_those_of_a_plain_loop(cost_slots):
    rng = np.random.default_rng(2)
    seen = 100 + 10 * rng.integers(0, 9, (60, 8)).astype(float) + rng.random((60, 8))
    runs = resume.rolling(seen, length=3, slack=5, arrivals=50, cost_slots=cost_slots)
    assert runs.tolist() == [replanned(seen, arrival, 3, 5, cost_slots) for arrival in range(50)]


def test_without_a_cost_it_is_the_rule_without_one():
    seen = np.random.default_rng(3).lognormal(5, 0.3, (200, 20))
    words = {"length": 6, "slack": 14, "arrivals": 150}
    np.testing.assert_array_equal(resume.rolling(seen, **words, cost_slots=0.0), kernel.interruptible_runs(seen, **words))


def test_blocks_make_no_difference(monkeypatch):
    seen = np.random.default_rng(4).lognormal(5, 0.3, (90, 9))
    words = {"length": 3, "slack": 6, "arrivals": 70, "cost_slots": 0.3}
    whole, plans = resume.rolling(seen, **words), resume.planned(seen, 3, 0.3)
    monkeypatch.setattr(resume, "BLOCK", 17)
    np.testing.assert_array_equal(resume.rolling(seen, **words), whole)
    np.testing.assert_array_equal(resume.planned(seen, 3, 0.3), plans)


def test_a_dear_resume_keeps_a_job_whole():
    runs = resume.planned(np.array([[2.0, 5, 1, 2, 2]]), 3, 1.0)
    assert runs.tolist() == [[False, False, True, True, True]]
    assert resume.planned(np.array([[1.0, 9, 1, 2, 2]]), 3, 0.1).tolist() == [[True, False, True, True, False]]
