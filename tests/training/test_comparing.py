"""The experiment: pairs in random order, no conclusion below the floor, and every sign turns with the arms."""

from __future__ import annotations

import json

import numpy as np
import pytest

from greenai.errors import InputError
from greenai.training.arms import arm_of
from greenai.training.baseline import baseline_of
from greenai.training.comparing import Intensities, experiment
from greenai.training.recipe import Recipe
from greenai.training.samples import sample


@pytest.fixture
def two(plant):
    """A baseline of 2 J and a treatment of 1 J."""
    return {"baseline": plant("a", energy_j=2), "optimized": plant("b", energy_j=1)}


GRID = Intensities(baseline_g_per_kwh=200.0, optimized_g_per_kwh=120.0, source="planted")


def test_a_difference_is_found_and_said(machine, plant, zeros):
    result = experiment(
        zeros, baseline=plant("a", energy_j=100), optimized=plant("b", energy_j=20, error=0.5), measure=machine.measure
    )
    assert (result.energy.conclusion, result.energy.difference.mean, result.energy.change_ratio) == ("less", -80, -0.8)
    assert result.time.conclusion == "less"
    assert result.quality.conclusion == "less"
    assert result.verdict.passed


def test_ten_runs_are_five_pairs_in_random_order(machine, two, zeros):
    result = experiment(zeros, **two, runs=10, measure=machine.measure)
    rows = result.rows()
    assert [row["pair_id"] for row in rows] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert {(row["pair_id"], row["phase"]) for row in rows} == {
        (pair, arm) for pair in range(1, 6) for arm in ("baseline", "optimized")
    }
    assert len({row["phase"] for row in rows if row["position"] == 1}) == 2, "the order never changed"
    assert [row["seed"] for row in rows[::2]] == [42, 43, 44, 45, 46]
    assert rows[0]["quality_metric_name"] == "MAE"


def test_the_warm_up_is_not_counted(machine, two, zeros):
    result = experiment(zeros, **two, runs=4, measure=machine.measure)
    assert machine.calls == 2 + 4
    assert len(result.runs) == 4


def test_an_odd_number_of_runs_is_made_even_and_said(machine, two, zeros):
    result = experiment(zeros, **two, runs=5, measure=machine.measure)
    assert len(result.runs) == 6
    assert "5 runs were asked for, 6 made: each has its partner" in result.notes


@pytest.mark.parametrize("runs", [0, -4])
def test_no_runs_are_refused_before_any(runs, machine, two, zeros):
    with pytest.raises(InputError, match=f"{runs} runs compare nothing"):
        experiment(zeros, **two, runs=runs, measure=machine.measure)
    assert machine.calls == 0


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("generated", [True, False])
def test_one_pair_is_reported_and_nothing_concluded(runs, generated, machine, plant, zeros):
    """Also of a fixed table, whose one split judges many rows."""
    arms = {"baseline": plant("a", energy_j=100, error=1.0), "optimized": plant("b", energy_j=1, error=0.5)}
    result = experiment(zeros if generated else sample("diabetes"), **arms, runs=runs, measure=machine.measure)
    document = json.loads(json.dumps(result.document(), allow_nan=False))
    assert len(result.runs) == 2
    assert result.energy.difference.mean == -99
    for compared in (result.energy, result.time, result.quality):
        assert (compared.conclusion, compared.reason) == ("none", "one pair is too few for an interval")
        assert compared.pairs_needed == 2
    assert not result.verdict.passed
    assert result.verdict.sentence().endswith("in one pair of trainings, too few to judge")
    assert document["energy_j"]["difference"]["low"] is None
    assert document["not_worse"]["upper_ratio"] is None


def test_three_runs_are_made_four_and_conclude(machine, two, zeros):
    result = experiment(zeros, **two, runs=3, measure=machine.measure)
    assert len(result.runs) == 4
    assert result.energy.conclusion == "less"


def test_below_the_noise_floor_nothing_is_concluded(machine, plant, zeros):
    machine.noise_floor_j = 4.0
    arms = {"baseline": plant("a", energy_j=10.0), "optimized": plant("b", energy_j=9.9)}
    result = experiment(zeros, **arms, runs=10, repeats=1, measure=machine.measure)
    assert result.energy.conclusion == "none"
    assert "below what the meter can tell (4 J a run)" in result.energy.reason
    assert result.energy.pairs_needed == 1601


def test_as_many_pairs_as_it_asked_for_conclude(machine, plant, zeros):
    machine.noise_floor_j = 0.5
    arms = {"baseline": plant("a", energy_j=10.0), "optimized": plant("b", energy_j=9.9)}
    refused = experiment(zeros, **arms, runs=8, repeats=1, measure=machine.measure)
    assert refused.energy.pairs_needed == 26
    enough = experiment(zeros, **arms, runs=2 * refused.energy.pairs_needed, repeats=1, measure=machine.measure)
    assert enough.energy.conclusion == "less"


def test_trainings_are_repeated_until_the_meter_can_tell(machine, plant, zeros):
    machine.noise_floor_j = 4.0
    arms = {"baseline": plant("a", energy_j=100.0), "optimized": plant("b", energy_j=1.0)}
    result = experiment(zeros, **arms, runs=4, measure=machine.measure)
    assert dict(result.repeats) == {"baseline": 1, "optimized": 20}
    assert result.energy.difference.mean == pytest.approx(-99)
    assert result.energy.conclusion == "less"
    assert any("20 trainings of the optimized arm" in note for note in result.notes)


def test_noise_alone_concludes_nothing(machine, plant, zeros):
    rng = np.random.default_rng(0)
    machine.jitter = rng.normal
    result = experiment(
        zeros, baseline=plant("a", energy_j=50), optimized=plant("b", energy_j=50), runs=20, measure=machine.measure
    )
    assert result.energy.conclusion == "none"
    assert result.energy.pairs_needed > 10


def test_swapping_the_arms_turns_every_sign(machine, plant, zeros):
    one = plant("one", energy_j=100, error=1.0, spread=0.1)
    other = plant("other", energy_j=30, error=0.8, spread=0.2)
    result = experiment(zeros, baseline=one, optimized=other, measure=machine.measure, intensities=GRID)
    turned = Intensities(baseline_g_per_kwh=120.0, optimized_g_per_kwh=200.0, source="planted")
    swapped = experiment(zeros, baseline=other, optimized=one, measure=machine.measure, intensities=turned)
    for here, there in ((result.energy, swapped.energy), (result.time, swapped.time), (result.quality, swapped.quality)):
        assert there.difference.mean == pytest.approx(-here.difference.mean)
        assert there.difference.median == pytest.approx(-here.difference.median)
        assert (there.difference.low, there.difference.high) == pytest.approx((-here.difference.high, -here.difference.low))
        assert {here.conclusion, there.conclusion} == {"less", "more"}
    assert (result.verdict.passed, swapped.verdict.passed) == (True, False)
    assert result.carbon.total_g == pytest.approx(-swapped.carbon.total_g)
    assert result.carbon.efficiency_g > 0 > swapped.carbon.efficiency_g
    assert result.carbon.timing_g > 0 > swapped.carbon.timing_g


def test_efficiency_and_timing_make_up_the_whole(machine, plant, zeros):
    result = experiment(
        zeros,
        baseline=plant("a", energy_j=7.2e6),
        optimized=plant("b", energy_j=3.6e6),
        measure=machine.measure,
        intensities=GRID,
    )
    assert result.carbon.efficiency_g == pytest.approx((2 - 1) * 200)
    assert result.carbon.timing_g == pytest.approx(1 * (200 - 120))
    assert result.carbon.total_g == pytest.approx(2 * 200 - 1 * 120)


def test_the_same_data_and_seed_give_the_same_numbers(machine):
    def result():
        return experiment(
            sample("diabetes"),
            baseline=baseline_of(None, classes=0),
            optimized=arm_of(Recipe(task="regression", family="residual"), classes=0),
            runs=10,
            seed=5,
            measure=machine.measure,
        ).document()

    first, again = result(), result()
    for document in (first, again):
        for name in ("energy_j", "duration_s"):
            del document[name]
        for arm in document["summary"].values():
            del arm["energy_j"], arm["duration_s"], arm["cpu_s"]
    assert first == again


def test_a_fixed_table_is_judged_by_its_rows(machine):
    result = experiment(
        sample("diabetes"),
        baseline=baseline_of(None, classes=0),
        optimized=arm_of(Recipe(task="regression", family="ridge"), classes=0),
        runs=10,
        seed=0,
        measure=machine.measure,
    )
    assert result.verdict.observations == 442
    assert result.quality.difference.count == 442


def test_quality_that_cannot_be_told_asks_for_data_not_runs(machine):
    poor = arm_of(Recipe(task="regression", family="lightgbm", params={"leaves": 7}), classes=0)
    alike = arm_of(Recipe(task="regression", family="lightgbm", params={"leaves": 8}), classes=0)
    result = experiment(sample("diabetes"), baseline=alike, optimized=poor, runs=4, measure=machine.measure)
    assert result.quality.conclusion == "none"
    assert "more data, not more runs" in result.quality.reason


def test_the_document_is_plain_data(machine, plant, zeros):
    result = experiment(
        zeros,
        baseline=plant("a", energy_j=2),
        optimized=plant("b", energy_j=1),
        runs=4,
        measure=machine.measure,
        intensities=GRID,
    )
    document = json.loads(json.dumps(result.document()))
    assert document["pairs"] == 2
    assert document["summary"]["baseline"]["energy_j"]["mean"] == 2


def test_repeats_of_nothing_are_refused(machine, two, zeros):
    with pytest.raises(InputError, match="repeats are a whole number from 1"):
        experiment(zeros, **two, repeats=0, measure=machine.measure)


def test_each_run_is_told(machine, plant, zeros):
    told = []
    experiment(
        zeros,
        baseline=plant("a", energy_j=2),
        optimized=plant("b", energy_j=1),
        runs=4,
        measure=machine.measure,
        tell=told.append,
    )
    assert [run.pair for run in told] == [1, 1, 2, 2]
