"""The elastic policy: what it chooses, refuses and says."""

from __future__ import annotations

import pytest
from tests.planning_world import HOUR, MINUTE, T0, grid, job, limits

from greenai.errors import InputError, NoFeasibleWindow
from greenai.logic.deciding import decide, decision_document
from greenai.logic.elastic import elastic, fitted, fixed_sizes
from greenai.model.intensity import Query, Reading
from greenai.model.scaling import ScalingCurve

UNREAD = Reading(
    series=None,
    step="none",
    fallback_reason=None,
    query=Query(zone="GB", start_at=T0, end_at=T0 + HOUR, now_at=T0, purpose="forecast"),
)
CURVE = ScalingCurve.of({1: 1, 2: 1.5})


def hours(plan):
    return [
        ((window.start_at - T0) / HOUR, (window.end_at - T0) / HOUR, workers)
        for window, workers in zip(plan.windows, plan.workers, strict=True)
    ]


def test_the_second_worker_joins_only_where_its_work_is_cheap_enough():
    # A second worker's work costs twice the intensity: 2 x 100 is above 150, 2 x 50 is not.
    series = grid([300, 100, 150, 50, 300], step=HOUR)
    plan = elastic(series, limits(3.5 * HOUR, 1.5 * HOUR, scaling=CURVE), T0)
    assert hours(plan) == [(1, 3, 1), (3, 4, 2)]
    assert plan.cost_g_per_kw == 100 + 150 + 2 * 50
    assert plan.expected_g_per_kwh == 350 / 4


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([100, 200, 100], [(0, 1.5, 1), (2, 3, 1)]),
        ([300, 200, 100], [(1.5, 3, 1)]),
        ([100, 200, 300], [(0, 1.5, 1)]),
    ],
)
def test_the_part_of_a_slot_lies_where_its_neighbour_runs(values, expected):
    one = ScalingCurve.of({1: 1})
    work = sum(end - start for start, end, _ in expected)
    plan = elastic(grid(values, step=HOUR), limits(work * HOUR, (3 - work) * HOUR, scaling=one), T0)
    assert hours(plan) == expected


def test_counts_that_waste_the_shared_power_are_left_out_and_said():
    curve = ScalingCurve.of({1: 1, 2: 1.9, 4: 3.4}, worker_w=100, shared_w=50)
    plan = elastic(grid([100] * 10, step=HOUR), limits(4 * HOUR, 6 * HOUR, scaling=curve), T0)
    assert set(plan.workers) <= {2, 4}
    assert plan.note == "never with 1 workers: other numbers do the same work with less energy"
    assert plan.cost_g_per_kw < 400


def test_without_a_curve_or_with_costs_it_does_not_charge_it_refuses():
    series = grid([100] * 10)
    with pytest.raises(InputError, match="needs a scaling curve"):
        elastic(series, limits(HOUR, HOUR), T0)
    for change in ({"resume_cost": MINUTE}, {"min_chunk": HOUR}, {"max_segments": 2}):
        with pytest.raises(InputError, match="charges no resume cost"):
            elastic(series, limits(HOUR, HOUR, scaling=CURVE, **change), T0)


def test_a_job_too_long_for_the_reference_is_fitted_over_the_fewest_workers_that_do():
    long = limits(3 * HOUR, -HOUR, scaling=CURVE)
    over_two = fitted(long)
    assert (over_two.duration, over_two.scaling.reference_workers) == (2 * HOUR, 2)
    assert hours(elastic(grid([100, 100], step=HOUR), over_two, T0)) == [(0, 2, 2)]
    unchanged = limits(HOUR, HOUR, scaling=CURVE)
    assert fitted(unchanged) == unchanged
    with pytest.raises(NoFeasibleWindow, match="even with 2 workers the work takes 2 h 40 min, and there are 2 h"):
        fitted(limits(4 * HOUR, -2 * HOUR, scaling=CURVE))


def test_a_hull_that_is_slower_than_the_reference_does_not_make_up_time():
    slow = ScalingCurve(points=(CURVE.over(CURVE.points[1]).points[0],), reference_workers=2)
    with pytest.raises(NoFeasibleWindow, match="even with 1 workers"):
        elastic(grid([100, 100], step=HOUR), limits(2 * HOUR, 0 * HOUR, scaling=slow), T0)


def test_fixed_sizes_stand_at_the_same_deadline_and_are_over_the_reference_at_once():
    series = grid([300, 100, 150, 50, 300], step=HOUR)
    rows = fixed_sizes(series, limits(3 * HOUR, 2 * HOUR, scaling=CURVE), T0)
    assert [(row.manner, row.workers, row.cost_g_per_kw) for row in rows] == [
        ("at once", 1, 550),
        ("one run", 1, 300),
        ("suspend and resume", 1, 300),
        ("at once", 2, 800),
        ("one run", 2, 400),
        ("suspend and resume", 2, 300),
    ]
    assert [row.saving for row in rows][:2] == [0, pytest.approx(1 - 300 / 550)]
    assert fixed_sizes(grid([0] * 5, step=HOUR), limits(3 * HOUR, 2 * HOUR, scaling=CURVE), T0)[0].saving == 0


def test_a_size_that_does_not_fit_is_no_row():
    slower = ScalingCurve.of({1: 1, 2: 1.5}).over(CURVE.points[1])
    rows = fixed_sizes(grid([100] * 3, step=HOUR), limits(2 * HOUR, 0.5 * HOUR, scaling=slower), T0)
    assert {row.workers for row in rows} == {2}


def test_the_decision_carries_workers_and_says_what_they_save():
    series = grid([300, 100, 150, 50, 300], step=HOUR)
    decision = decide(job(limits(3.5 * HOUR, 1.5 * HOUR, scaling=CURVE), "elastic"), series, elastic, T0)
    assert decision.workers == (1, 2)
    windows = decision_document(decision, UNREAD)["windows"]
    assert [(window["start_at"], window["workers"]) for window in windows] == [
        ("2026-03-28T23:00:00Z", 1),
        ("2026-03-29T01:00:00Z", 2),
    ]
    assert decision.reason == (
        "running 1 to 2 workers in 2 windows from Sat 28 Mar 23:00 UTC to Sun 29 Mar 02:00 UTC "
        "saves 39 % of the emissions of 1 worker at once"
    )
    assert decision.expected_saving == pytest.approx(1 - 350 / 575)


def test_one_count_in_one_window_is_said_so():
    decision = decide(job(limits(HOUR, HOUR, scaling=CURVE), "elastic"), grid([300, 100], step=HOUR), elastic, T0)
    assert decision.reason.startswith("running 1 worker in one window from Sat 28 Mar 23:00 UTC to")


@pytest.mark.parametrize(("slack", "why"), [(4, "1 worker from now on, without a change, is the greenest: 50 g/kWh")])
def test_where_nothing_is_greener_the_reference_runs_at_once(slack, why):
    decision = decide(
        job(limits(HOUR, slack * HOUR, scaling=CURVE), "elastic"), grid([50, 200, 200, 200, 200], step=HOUR), elastic, T0
    )
    assert (decision.action, decision.workers, decision.reason) == ("run", (1,), why)


def test_without_any_series_the_reference_runs_at_once():
    decision = decide(job(limits(HOUR, HOUR, scaling=CURVE), "elastic"), None, elastic, T0)
    assert decision.workers == (1,)
