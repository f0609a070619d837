"""One training: plain data out, the gate before anything optimised, the same result for the same seed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from greenai import training
from greenai.errors import InputError
from greenai.training.arms import arm_of
from greenai.training.gate import Verdicts, at_most, check
from greenai.training.recipe import Recipe, packaged_recipe
from greenai.training.samples import sample
from greenai.training.workload import load

POOR = Recipe(task="regression", family="lightgbm", params={"rounds": 2, "held_out": 0.0})
GOOD = Recipe(task="regression", family="ridge")


@pytest.fixture
def linear(tmp_path, mixed):
    """A table whose truth is a line, so that ridge is better than any trees."""
    mixed[:150].assign(y=mixed["first"] - mixed["y"]).drop(columns="kind").to_csv(tmp_path / "data.csv", index=False)
    return load(tmp_path / "data.csv", "y")


def test_the_result_is_plain_data(machine):
    result = training.train("baseline", sample("tab-200"), measure=machine.measure)
    document = json.loads(json.dumps(result.document()))
    assert document["metric"] == "mae"
    assert document["mae"] == result.scored.loss > 0
    assert document["estimator"]["n_estimators"] == 100
    assert document["recipe"] is None
    assert hasattr(result.fitted, "predict")


def test_loading_and_judging_are_not_measured(machine, zeros, plant):
    from greenai.training.arms import trained

    scored = trained(plant("one", energy_j=3.0), zeros.split(1), zeros, seed=1, measure=machine.measure)
    assert scored.use.energy_j == 3.0
    assert machine.calls == 1


def test_a_planted_inferior_recipe_is_refused(machine):
    result = training.train("optimized", sample("tab-200"), recipe=POOR, measure=machine.measure)
    assert result.trained_mode == "baseline"
    assert "the baseline was trained instead: the lightgbm recipe is not shown to be as good" in result.fallback
    assert result.document()["gate"]["passed"] is False
    assert result.scored.loss == training.train("baseline", sample("tab-200"), measure=machine.measure).scored.loss


def test_a_good_recipe_passes(machine, linear):
    result = training.train("optimized", linear, recipe=GOOD, measure=machine.measure)
    assert (result.trained_mode, result.fallback) == ("optimized", "")
    assert result.gate.verdict.upper_ratio < 0


@pytest.mark.parametrize("name", ["tab-300", "seedlin-300", "tabclass-300", "diabetes"])
@pytest.mark.parametrize("goal", ["best", "least"])
def test_the_packaged_recipes_pass_on_the_samples(name, goal, machine):
    workload = sample(name)
    recipe = packaged_recipe(workload.task, workload.rows, goal=goal)
    base = training.baseline_of(None, classes=len(workload.classes))
    made = check(
        arm_of(recipe, classes=len(workload.classes)), workload, baseline=base, measure=machine.measure, seeds=range(1000, 1005)
    )
    assert made.verdict.passed, made.verdict.sentence()


def test_the_gate_is_passed_once_per_data_and_recipe(machine, linear, tmp_path):
    verdicts = Verdicts(path=tmp_path / "state" / "verdicts.json")
    first = training.train("optimized", linear, recipe=GOOD, measure=machine.measure, verdicts=verdicts)
    calls = machine.calls
    again = training.train("optimized", linear, recipe=GOOD, measure=machine.measure, verdicts=verdicts)
    assert machine.calls == calls + 1
    assert again.gate == replace(first.gate, reused=True)
    training.train("optimized", linear, recipe=GOOD, measure=machine.measure, verdicts=verdicts, margin_share=0.1)
    assert machine.calls > calls + 2


@pytest.mark.parametrize("name", ["tab-1200", "diabetes", "breast_cancer"])
def test_the_samples_were_checked_before_they_were_packed(name, machine):
    """A verdict is packed with its data's hash: if a library draws other rows, run bench/training.py --write-checks."""
    result = training.train("optimized", sample(name), measure=machine.measure)
    assert (machine.calls, result.gate.reused, result.trained_mode) == (1, True, "optimized")


@pytest.mark.parametrize("body", ["", "[]", "not json", '{"%s": {"passed": true}}', '{"%s": 3}'])
def test_a_damaged_memory_is_made_anew(body, machine, linear, tmp_path):
    from greenai.training.gate import verdict_key

    base = training.baseline_of(None, classes=0)
    key = verdict_key(linear, arm_of(GOOD, classes=0), base, 0.0)
    path = tmp_path / "verdicts.json"
    path.write_text(body.replace("%s", key), encoding="utf-8")
    result = training.train("optimized", linear, recipe=GOOD, measure=machine.measure, verdicts=Verdicts(path=path))
    assert not result.gate.reused
    assert key in json.loads(path.read_text(encoding="utf-8"))


def test_a_memory_that_cannot_be_written_stops_nothing(machine, linear, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    verdicts = Verdicts(path=tmp_path / "file" / "verdicts.json")
    assert training.train("optimized", linear, recipe=GOOD, measure=machine.measure, verdicts=verdicts).gate


def test_large_tables_are_checked_on_a_sample():
    assert at_most(sample("tab-1000"), 500).rows == 500
    smaller = at_most(sample("tab-1000"), 500).split(3)
    assert (len(smaller.train), len(smaller.test)) == (400, 100)
    fixed = at_most(sample("diabetes"), 100)
    assert (fixed.rows, fixed.sha256) == (100, sample("diabetes").sha256)
    assert at_most(sample("diabetes"), 442).rows == 442


@pytest.mark.parametrize("mode", ["baseline", "optimized"])
def test_the_same_seed_gives_the_same_number(mode, machine, linear):
    options = {"seed": 7, "n_jobs": 1, "feature_select": True, "measure": machine.measure, "recipe": GOOD}
    first, again = (training.train(mode, linear, **options) for _ in range(2))
    assert first.scored.loss == again.scored.loss
    assert first.document()["feature_select"] is True
    assert first.document()["n_jobs"] == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"mode": "fast"}, "'fast' is no mode"),
        ({"n_jobs": 0}, "not 0"),
        ({"n_jobs": -2}, "not -2"),
        ({"recipe": Recipe(task="classification", family="logistic")}, "recipe is for classification"),
        ({"recipe": Recipe(task="regression", family="nobody")}, "no estimator named"),
        ({"baseline": "nomodule"}, "not MODULE:FACTORY"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_spent(change, problem, machine):
    options = {"mode": "optimized", "measure": machine.measure} | change
    with pytest.raises(InputError, match=problem):
        training.train(options.pop("mode"), sample("tab-100"), **options)
    assert machine.calls == 0


def test_all_cores_are_a_number(machine):
    result = training.train("baseline", sample("tab-100"), n_jobs=-1, measure=machine.measure)
    assert result.threads >= 1


def test_the_row_has_evidence_columns(machine):
    row = training.train("baseline", sample("breast_cancer"), measure=machine.measure).row()
    assert row["quality_metric_name"] == "log loss"
    assert (row["phase"], row["task"], row["dataset"]) == ("baseline", "classification", "breast_cancer")
