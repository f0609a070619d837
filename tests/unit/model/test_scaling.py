"""The scaling curve: what it may say, what it refuses, and how it is read over another of its points."""

from __future__ import annotations

import pytest

from greenai.errors import InputError
from greenai.model.scaling import ScalingCurve, ScalingPoint


def ratios(curve: ScalingCurve) -> list[tuple[int, float, float]]:
    return [(point.workers, point.throughput_ratio, point.power_ratio) for point in curve.points]


def test_throughput_may_be_in_any_unit_and_power_goes_with_the_workers():
    curve = ScalingCurve.of({4: 340.0, 1: 100.0, 2: 190.0})
    assert ratios(curve) == [(1, 1.0, 1.0), (2, 1.9, 2.0), (4, 3.4, 4.0)]
    assert (curve.reference_workers, curve.power_w, curve.fastest.workers) == (1, None, 4)


def test_power_may_be_given_per_worker_with_a_shared_part_or_measured():
    shared = ScalingCurve.of({1: 1, 2: 1.9}, worker_w=100, shared_w=50)
    assert (ratios(shared)[1], shared.power_w) == ((2, 1.9, 250 / 150), 150)
    drawn = ScalingCurve.of({1: 1, 2: 1.9}, drawn_w={1: 120.0, 2: 210.0})
    assert (ratios(drawn)[1], drawn.power_w) == ((2, 1.9, 1.75), 120)


@pytest.mark.parametrize(
    ("throughput", "sentence", "left_out"),
    [
        (
            {1: 1, 2: 1.5, 4: 3.4},
            "the step from 2 to 4 workers adds 0.95 of throughput per worker, the step before only 0.5",
            "2",
        ),
        ({1: 1, 2: 3, 4: 3.4}, "the step from 1 to 2 workers adds 2 of throughput per worker, the step before only 1", "1"),
        ({1: 1, 2: 1.9, 4: 1.4}, "the step from 2 to 4 workers adds -0.25 of throughput per worker", "4"),
    ],
)
def test_a_gain_that_grows_is_refused_by_name_and_the_hull_leaves_out_what_breaks_it(throughput, sentence, left_out):
    with pytest.raises(InputError, match=sentence) as refused:
        ScalingCurve.of(throughput)
    assert refused.value.hint == f"measure again, or take the concave hull with --hull: it leaves out {left_out}"
    hull = ScalingCurve.of(throughput, hull=True)
    assert {point.workers for point in hull.points} == set(throughput) - {int(left_out)}
    assert hull.reference_workers == 1


def test_a_straight_line_in_decimals_is_no_growing_gain():
    assert len(ScalingCurve.of({1: 0.1, 2: 0.2, 3: 0.3, 7: 0.7}).points) == 4
    assert len(ScalingCurve.of({1: 0.1, 2: 0.2, 3: 0.3, 7: 0.7}, hull=True).points) == 4


@pytest.mark.parametrize(
    ("throughput", "power", "sentence"),
    [
        ({}, {}, "at least one number of workers"),
        ({1: 0.0}, {}, "1 workers cannot have a throughput of 0"),
        ({1: 1.0}, {"worker_w": 0.0}, "draw 0 W"),
        ({1: 1.0, 2: float("nan")}, {}, "cannot say 2=nan"),
        ({0: 1.0}, {"worker_w": 1.0, "shared_w": 1.0}, "cannot say 0=1"),
        ({1: 1.0}, {"shared_w": 50.0}, "nothing without the power of a worker"),
    ],
)
def test_numbers_that_can_be_none_are_refused(throughput, power, sentence):
    with pytest.raises(InputError, match=sentence):
        ScalingCurve.of(throughput, **power)


def test_a_curve_is_not_empty_and_ascends():
    one = ScalingPoint(workers=1, throughput_ratio=1.0, power_ratio=1.0)
    with pytest.raises(InputError, match="at least one number"):
        ScalingCurve(points=(), reference_workers=1)
    with pytest.raises(InputError, match="ascending order, not 1 after 1"):
        ScalingCurve(points=(one, one), reference_workers=1)


def test_over_another_point_all_ratios_and_the_power_are_its_own():
    curve = ScalingCurve.of({1: 1, 2: 2, 4: 3}, worker_w=100)
    half = curve.over(curve.points[1])
    assert ratios(half) == [(1, 0.5, 0.5), (2, 1.0, 1.0), (4, 1.5, 2.0)]
    assert (half.reference_workers, half.power_w) == (2, 200)
    assert curve.over(curve.reference) == curve
    assert ScalingCurve.of({1: 1, 2: 1.6}).over(curve.points[1]).power_w is None


@pytest.mark.parametrize(
    ("power_w", "worth_running"),
    [
        ({1: 150.0, 2: 250.0, 4: 450.0}, [2, 4]),
        ({1: 100.0, 2: 200.0, 4: 400.0}, [1, 2, 4]),
        ({1: 100.0, 2: 300.0, 4: 390.0}, [1, 4]),
        ({1: 100.0, 2: 400.0, 4: 90.0}, [4]),
    ],
)
def test_only_points_on_the_hull_of_power_over_throughput_are_worth_running(power_w, worth_running):
    curve = ScalingCurve.of({1: 1, 2: 1.9, 4: 3.4}, drawn_w=power_w)
    assert [point.workers for point in curve.frugal()] == worth_running


def test_more_workers_of_equal_throughput_are_worth_it_only_where_they_draw_less():
    assert [p.workers for p in ScalingCurve.of({1: 1, 2: 1}, drawn_w={1: 100.0, 2: 90.0}).frugal()] == [2]
    assert [p.workers for p in ScalingCurve.of({1: 1, 2: 1}, drawn_w={1: 100.0, 2: 110.0}).frugal()] == [1]
