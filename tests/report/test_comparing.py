"""What a report concludes from evidence, and what it refuses to."""

from __future__ import annotations

import csv
import io

import pytest
from tests.report.conftest import document, pairs

from greenai.report.impact import PROTOTYPE_COLUMNS, SCENARIOS, impact_csv
from greenai.report.statistics import energy_of, facility_kwh_of, loss_of, paired
from greenai.report.trainings import experiments_of


def test_paired_differences_have_student_s_interval():
    """Of -8, -9, -10 the mean is -9, the deviation 1: the interval reaches 4.303 / sqrt(3)."""
    found = paired([10, 11, 12], [2, 2, 2])
    assert (found.mean, found.median) == (-9, -9)
    assert found.high - found.mean == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert found.refusal == ""


def test_swapping_the_arms_flips_every_sign():
    one, other = paired([10, 11, 13], [2, 2.5, 2]), paired([2, 2.5, 2], [10, 11, 13])
    assert one.mean == -other.mean
    assert one.low == pytest.approx(-other.high)
    assert (one.refusal, other.refusal) == ("", "")


@pytest.mark.parametrize(
    ("baseline", "optimized", "floor", "why"),
    [
        ([10.0, 12.0], [11.0, 11.5], 0.0, "includes zero"),
        ([10.0, 10.0, 10.1], [9.9, 9.9, 10.0], 1.0, "below what the meters can tell"),
        ([10.0], [1.0], 0.0, "1 pair is not enough"),
    ],
)
def test_what_cannot_be_told_is_refused_in_words(baseline, optimized, floor, why):
    assert why in paired(baseline, optimized, floor=floor).refusal


def test_measurements_of_several_trainings_count_per_training():
    documents = [document("baseline", 1, 10.0), document("optimized", 1, 8.0, labels={"repeats": "4"})]
    [experiment] = experiments_of(documents)
    assert experiment.pairs[0].optimized.energy_j == pytest.approx(2.0)
    assert experiment.pairs[0].optimized.duration_s == pytest.approx(2.5)


def test_failed_runs_and_runs_without_partner_are_no_pairs():
    documents = [*pairs([10, 11], [2, 2]), document("baseline", 3, 12.0), document("optimized", 3, 1.0, exit_code=1)]
    [experiment] = experiments_of(documents)
    assert [pair.number for pair in experiment.pairs] == [1, 2]


def test_quality_is_unknown_unless_all_state_it():
    documents = pairs([10, 11], [2, 2])
    documents[0]["inputs"]["labels"]["quality_metric_value"] = ""
    [experiment] = experiments_of(documents)
    assert loss_of(experiment) is None


def rows(documents, **ask):
    [experiment] = experiments_of(documents)
    return experiment, list(csv.DictReader(io.StringIO(impact_csv(experiment, SCENARIOS, **ask))))


def test_totals_are_runs_times_the_measured_difference():
    experiment, impacts = rows(pairs([10.0, 11.0, 12.0], [2.0, 2.0, 2.0]))
    assert tuple(impacts[0])[:12] == PROTOTYPE_COLUMNS
    assert [row["scenario"] for row in impacts] == ["low", "medium", "high"]
    mean = facility_kwh_of(experiment)
    for row in impacts:
        runs = int(row["annual_runs"])
        assert float(row["annual_savings_kwh"]) == pytest.approx(runs * 9 / 3.6e6, rel=1e-5)
        assert float(row["annual_savings_co2e_kg"]) == pytest.approx(runs * 9 / 3.6e6 * 0.2, rel=1e-5)
        assert float(row["annual_savings_kwh_low"]) == pytest.approx(-mean.high * runs * 0.9, rel=1e-5)
        assert float(row["annual_savings_kwh_high"]) == pytest.approx(-mean.low * runs * 1.2, rel=1e-5)
        assert row["trees_equivalent"] == row["miles_not_driven"] == ""


def test_below_the_floor_nothing_is_added_up():
    _, impacts = rows(pairs([10.0, 10.1, 10.05], [9.95, 10.0, 10.0], floor=5.0))
    assert {row["annual_savings_kwh"] for row in impacts} == {""}
    assert all(row["statement"].startswith("nothing is concluded: the difference in energy is below") for row in impacts)


def test_equivalences_only_on_demand_and_from_a_kilogram_on():
    """A kWh saved a training at 200 g/kWh: 200 kg over a thousand."""
    _, impacts = rows(pairs([4e6, 4.1e6, 3.9e6], [4e5, 5e5, 3e5]), equivalences=True)
    assert float(impacts[0]["trees_equivalent"]) == pytest.approx(200 / 6, rel=1e-4)
    assert float(impacts[0]["miles_not_driven"]) == pytest.approx(500, rel=1e-4)
    _, small = rows(pairs([10.0, 11.0, 12.0], [2.0, 2.0, 2.0]), equivalences=True)
    assert small[0]["trees_equivalent"] == ""


def test_energy_of_an_experiment_takes_its_largest_floor():
    [experiment] = experiments_of(pairs([10.0, 11.0, 12.0], [2.0, 2.0, 2.0], floor=100.0))
    assert "below what the meters can tell" in energy_of(experiment).refusal
