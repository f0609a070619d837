"""One thread unless more are clearly thriftier."""

from __future__ import annotations

import pytest
from tests.training.known_joules import Guess

from greenai.errors import InputError
from greenai.training import threads
from greenai.training.recipe import Recipe
from greenai.training.threads import cores, thread_trial, threads_of

RECIPE = Recipe(task="regression", family="planted")


@pytest.fixture
def planted(machine, monkeypatch):
    """A family whose energy depends on its threads; four cores."""
    from greenai.training.family import Family

    def use(by_threads):
        readings = {count: iter(values) for count, values in by_threads.items()}

        def fit(ask):
            machine.use(next(readings[ask.threads]))
            return Guess(0.0)

        family = Family(name="planted", title="Planted", tasks=("regression",), fit=fit)
        monkeypatch.setattr("greenai.training.arms.family_of", lambda recipe: family)
        monkeypatch.setattr(threads, "cores", lambda: 4)

    return use


@pytest.mark.parametrize(
    ("one", "four", "best"),
    [
        ([10, 10], [30, 30], 1),
        ([10, 10], [5, 5], 4),
        ([10, 10], [9.5, 9.5], 1),
        ([10, 4], [5, 5], 1),
    ],
)
def test_more_threads_must_be_clearly_thriftier(one, four, best, planted, zeros, machine):
    planted({1: one, 4: four})
    trial = thread_trial(RECIPE, zeros, seed=1, measure=machine.measure)
    assert trial.best == best
    assert (trial.one_j, trial.all_j) == (sum(one) / 2, sum(four) / 2)


def test_below_the_floor_one_thread_stays(planted, zeros, machine):
    machine.noise_floor_j = 100
    planted({1: [10, 10], 4: [1, 1]})
    assert thread_trial(RECIPE, zeros, seed=1, measure=machine.measure).best == 1


def test_a_single_core_needs_no_trial(zeros, machine, monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 1)
    assert thread_trial(RECIPE, zeros, seed=1, measure=machine.measure) is None
    assert machine.calls == 0


def test_threads_from_n_jobs():
    assert (threads_of(None), threads_of(1), threads_of(-1), threads_of(9999)) == (None, 1, cores(), cores())
    with pytest.raises(InputError, match="not 0"):
        threads_of(0)
