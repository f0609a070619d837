"""The search: finds what is thriftier and not worse, confirms it elsewhere, charges itself, and admits when there is nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from tests.training.known_joules import Guess

from greenai import training
from greenai.errors import InputError
from greenai.training import search
from greenai.training.candidates import Candidate, Course, front
from greenai.training.family import Choice, Family, Numbers
from greenai.training.optimising import Budget, optimise
from greenai.training.recipe import Recipe, load_recipe, save_recipe
from greenai.training.samples import sample
from greenai.training.search import Round, rounds_of

pytest.importorskip("optuna")


@pytest.fixture
def world(machine, monkeypatch):
    """One family whose every candidate errs by `base` and luck, and uses `size` joules."""

    def fit(ask):
        machine.use(float(ask.params["size"]))
        rng = np.random.default_rng((ask.seed, int(ask.params["size"]), round(float(ask.params["skill"]) * 1000)))
        return Guess(ask.params["base"] + 0.05 * rng.normal())

    planted = Family(
        name="planted",
        title="Planted",
        tasks=("regression",),
        params=MappingProxyType({"size": 8, "skill": 0.5, "base": 0.5}),
        space=MappingProxyType({"size": Numbers(low=1, high=64, log=True), "skill": Numbers(low=0.0, high=1.0)}),
        fit=fit,
    )

    def use(base):
        family = replace(planted, params=MappingProxyType({**planted.params, "base": base}))
        monkeypatch.setattr("greenai.training.optimising.families", lambda task: ((family,), ("one was passed over",)))
        monkeypatch.setattr("greenai.training.arms.family_of", lambda recipe: family)

    return use


def searched(workload, plant, machine, **options):
    budget = Budget(trials=12, trainings=1000)
    return optimise(
        workload, baseline=plant("baseline", energy_j=100, error=1.0), measure=machine.measure, budget=budget, **options
    )


def test_the_thriftiest_that_is_not_worse_is_chosen(world, zeros, plant, machine):
    world(base=0.5)
    result = searched(zeros, plant, machine)
    assert result.chosen is not None
    assert result.chosen_j == min(candidate.energy_j for candidate in result.front)
    assert result.finals[-1].verdict.passed
    assert result.baseline_j == 100
    assert result.notes == ("one was passed over",)


def test_what_is_no_better_than_the_baseline_is_not_chosen(world, zeros, plant, machine):
    world(base=1.05)
    result = searched(zeros, plant, machine)
    assert (result.chosen, result.chosen_j, result.pays_back_after) == (None, None, None)
    assert result.document()["chosen"] is None


def test_luck_on_the_search_seeds_is_not_confirmed(world, zeros, plant, machine):
    """Every candidate is as good as the baseline but for noise: some look better on five seeds, hardly one is chosen."""
    world(base=1.0)
    chosen = [searched(zeros, plant, machine, seed=seed).chosen for seed in range(8)]
    assert chosen.count(None) >= 7


def test_a_margin_lets_more_through(world, zeros, plant, machine):
    world(base=1.05)
    assert searched(zeros, plant, machine, margin_share=0.2).chosen is not None


def test_the_search_charges_itself(world, zeros, plant, machine):
    world(base=0.5)
    result = searched(zeros, plant, machine)
    assert result.search_j >= machine.spent_j
    assert result.search_j > 15 * 100, "five trainings of the baseline to search, ten to confirm"
    saved_j = result.baseline_j - result.chosen_j
    assert (result.pays_back_after - 1) * saved_j < result.search_j <= result.pays_back_after * saved_j


def test_the_budget_ends_it(world, zeros, plant, machine):
    world(base=0.5)
    budget = Budget(trials=1000, trainings=8)
    result = optimise(zeros, baseline=plant("baseline", energy_j=100), measure=machine.measure, budget=budget)
    assert len(result.candidates) < 200


def test_hopeless_candidates_are_given_up_at_once(world, zeros, plant, machine):
    world(base=2.0)
    result = searched(zeros, plant, machine)
    assert {len(candidate.scored) for candidate in result.candidates} == {1}


def test_more_energy_than_the_baseline_is_hopeless(zeros, plant, machine, world):
    world(base=0.5)
    course = Course(zeros, plant("baseline", energy_j=2), seeds=range(5), measure=machine.measure)
    assert not course.tried(Recipe(task="regression", family="planted")).complete
    assert course.tried(Recipe(task="regression", family="planted"), to_the_end=True).complete


def test_the_chosen_recipe_is_a_file(world, zeros, plant, machine, tmp_path):
    world(base=0.5)
    result = searched(zeros, plant, machine)
    save_recipe(result.chosen, tmp_path / "recipe.json")
    again = load_recipe(tmp_path / "recipe.json")
    assert again.sha256 == result.chosen.sha256
    assert again.made["dataset"] == "zeros"
    json.dumps(result.document())


def test_the_search_on_real_families_finds_the_line(machine):
    result = optimise(
        sample("seedlin-200"),
        measure=_by_cpu(machine),
        budget=Budget(trials=6),
        search_seeds=range(3),
        confirm_seeds=range(90, 94),
    )
    assert result.chosen.family in {"ridge", "residual"}
    assert result.chosen_j < 0.2 * result.baseline_j
    assert (
        training.train("optimized", sample("seedlin-200"), recipe=result.chosen, measure=machine.measure).trained_mode
        == "optimized"
    )


def _by_cpu(machine):
    import time

    def measure(function):
        def work():
            begun_s = time.process_time()
            result = function()
            machine.use(time.process_time() - begun_s)
            return result

        return machine.measure(work)

    return measure


@pytest.mark.parametrize(
    ("rows", "trials", "caps"),
    [(900, 40, [900]), (2000, 40, [2000]), (2001, 40, [2000, 2001]), (100_000, 40, [2000, 8000, 32_000, 100_000])],
)
def test_rounds_grow_from_few_rows_to_all(rows, trials, caps):
    rounds = rounds_of(rows, trials)
    assert [one.most_rows for one in rounds] == caps
    assert abs(sum(one.trials for one in rounds) - trials) <= 4
    assert [one.trials for one in rounds] == sorted((one.trials for one in rounds), reverse=True)


def test_the_best_so_far_open_the_next_round(monkeypatch, zeros, plant, machine):
    family = search_family(machine)
    monkeypatch.setattr("greenai.training.arms.family_of", lambda recipe: family)
    course = Course(zeros, plant("baseline", energy_j=100), seeds=range(3), measure=machine.measure)
    looked = search.Search(course, [family], seed=1)
    looked.run(Round(most_rows=20, trials=4), enough=lambda: False)
    before = len(looked.candidates)
    assert {candidate.recipe.rows <= 20 for candidate in looked.candidates} == {True}
    looked.run(Round(most_rows=80, trials=2), enough=lambda: False)
    opened = looked.candidates[before].recipe
    assert opened.rows == 80
    assert any(opened.params == candidate.recipe.params for candidate in looked.candidates[:before])


def search_family(machine):
    def fit(ask):
        machine.use(float(ask.params["size"]))
        return Guess(0.5)

    params = MappingProxyType({"size": 8, "kind": "a"})
    space = MappingProxyType({"size": Numbers(low=1, high=64), "kind": Choice(values=("a", "b"))})
    return Family(name="planted", title="Planted", tasks=("regression",), params=params, space=space, fit=fit)


def test_the_front_holds_what_nothing_beats():
    def candidate(energy_j, loss_ratio):
        recipe = Recipe(task="regression", family="ridge")
        return Candidate(recipe=recipe, scored=(), energy_j=energy_j, loss_ratio=loss_ratio, complete=True)

    kept = front([candidate(3, 0.7), candidate(1, 0.9), candidate(2, 0.95), candidate(4, 0.7), candidate(1, 1.0)])
    assert [(one.energy_j, one.loss_ratio) for one in kept] == [(1, 0.9), (3, 0.7)]


def test_a_missing_optimiser_is_one_sentence(monkeypatch, zeros, plant, machine):
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match="training needs optuna"):
        searched(zeros, plant, machine)


def test_optuna_is_left_as_talkative_as_it_was(world, zeros, plant, machine):
    import optuna

    before = optuna.logging.get_verbosity()
    world(base=0.5)
    searched(zeros, plant, machine)
    assert optuna.logging.get_verbosity() == before
