"""The edges of placing one job: what fits, what does not and what would, and what the series does not cover."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from tests.planning_world import HOUR, MINUTE, T0, grid, limits

from greenai.errors import InputError, NoFeasibleWindow
from greenai.logic import placing
from greenai.logic.placing import asap, greenest, greenest_starts, interruptible, percentile, threshold, time_percentile
from greenai.model.job import Constraints
from greenai.model.plan import Window

DIRTY_THEN_CLEAN = [300.0] * 8 + [100.0] * 4 + [200.0] * 8


def test_entry_points_find_every_policy_here():
    assert all(callable(getattr(placing, name)) for name in ("asap", "threshold", "percentile", "greenest", "interruptible"))


def test_greenest_takes_the_clean_hours():
    plan = greenest(grid(DIRTY_THEN_CLEAN), limits(2 * HOUR, 8 * HOUR), T0)
    assert plan.windows == (Window(start_at=T0 + 4 * HOUR, end_at=T0 + 6 * HOUR),)
    assert plan.cost_g_per_kw == pytest.approx(200)
    assert plan.expected_g_per_kwh == pytest.approx(100)
    assert plan.note == ""


def test_a_run_that_is_no_multiple_of_the_step_may_end_on_an_edge():
    plan = greenest(grid([300, 200, 100, 300]), limits(45 * MINUTE, 75 * MINUTE), T0)
    assert plan.windows[0] == Window(start_at=T0 + 45 * MINUTE, end_at=T0 + 90 * MINUTE)


def test_a_run_shorter_than_a_slot_starts_at_once_when_now_lies_in_the_best_slot():
    now_at = T0 + timedelta(minutes=37, microseconds=1)
    plan = greenest(grid([300, 100, 100, 300]), limits(10 * MINUTE, HOUR), now_at)
    assert plan.windows[0].start_at == now_at


def test_ties_go_to_the_earliest_start_whatever_the_sums_round_to():
    values = [0.1 + 0.2, 0.3] * 200
    plan = greenest(grid(values), limits(HOUR, 100 * HOUR), T0 + 7 * MINUTE)
    assert plan.windows[0].start_at == T0 + 7 * MINUTE


def test_a_deadline_of_exactly_now_and_the_run_leaves_one_start():
    now_at = T0 + timedelta(minutes=13, seconds=7, microseconds=11)
    for policy in (asap, greenest, percentile, interruptible):
        plan = policy(grid(DIRTY_THEN_CLEAN), limits(HOUR, 0 * HOUR, earliest_at=now_at), now_at)
        assert plan.windows == (Window(start_at=now_at, end_at=now_at + HOUR),)


def test_one_slot_is_series_enough():
    plan = greenest(grid([250]), limits(30 * MINUTE, 0 * HOUR), T0)
    assert plan.windows[0].start_at == T0
    assert plan.cost_g_per_kw == pytest.approx(125)


def test_moments_in_other_time_zones_are_the_same_moments():
    c = limits(2 * HOUR, 8 * HOUR)
    berlin = timezone(timedelta(hours=1))
    assert greenest(grid(DIRTY_THEN_CLEAN), c, T0.astimezone(berlin)) == greenest(grid(DIRTY_THEN_CLEAN), c, T0)


def test_a_moment_without_a_time_zone_is_refused():
    with pytest.raises(InputError, match="no time zone"):
        greenest(grid([1]), limits(10 * MINUTE, 0 * HOUR), datetime(2026, 3, 28, 22))  # noqa: DTZ001 - what is refused


def test_zero_intensities_cost_nothing_and_are_never_below_a_limit_of_zero():
    series = grid([0, 0, 0, 5])
    assert greenest(series, limits(HOUR, HOUR), T0).cost_g_per_kw == 0
    assert threshold(series, limits(HOUR, HOUR, max_g_per_kwh=0.0), T0).note.startswith("never below 0 g/kWh")


def test_no_time_before_the_deadline_says_what_would_fit():
    with pytest.raises(
        NoFeasibleWindow, match="a run of 3 h from Sat 28 Mar 22:00 UTC on cannot end by Sun 29 Mar 00:00 UTC"
    ) as caught:
        greenest(grid(DIRTY_THEN_CLEAN), limits(3 * HOUR, -HOUR), T0)
    assert caught.value.hint == "allow it to end at Sun 29 Mar 01:00 UTC or later, or shorten the run: up to 2 h would fit"


def test_a_deadline_that_has_passed_offers_no_shorter_run():
    with pytest.raises(NoFeasibleWindow) as caught:
        asap(grid(DIRTY_THEN_CLEAN), limits(HOUR, 0 * HOUR), T0 + 2 * HOUR + timedelta(seconds=1))
    assert caught.value.hint == "allow it to end at Sun 29 Mar 01:01 UTC or later"


def test_a_series_too_short_for_the_run_says_what_it_covers():
    with pytest.raises(NoFeasibleWindow, match="covers Sat 28 Mar 22:00 UTC to Sat 28 Mar 23:00 UTC: no run of 2 h") as caught:
        greenest(grid([1, 1]), limits(2 * HOUR, 5 * HOUR), T0 + 10 * MINUTE)
    assert caught.value.hint == "the longest run it covers is 50 min"


def test_a_series_that_ends_before_now_covers_nothing():
    with pytest.raises(NoFeasibleWindow) as caught:
        greenest(grid([1, 1]), limits(HOUR, 9 * HOUR), T0 + 5 * HOUR)
    assert caught.value.hint == "take a series that covers the job"


def test_only_what_the_series_covers_is_searched_and_the_plan_says_so():
    plan = greenest(grid([300, 200, 100, 100]), limits(HOUR, 9 * HOUR), T0)
    assert plan.windows[0].start_at == T0 + HOUR
    assert plan.note == "the series ends at Sun 29 Mar 00:00 UTC: time beyond it was not considered"


def test_a_series_that_begins_later_says_so():
    plan = asap(grid([300, 200], start_at=T0 + HOUR), limits(HOUR, HOUR), T0)
    assert plan.windows[0].start_at == T0 + HOUR
    assert plan.note == "the series begins at Sat 28 Mar 23:00 UTC: earlier starts were not considered"


def test_threshold_crosses_between_slot_edges():
    """An hour's mean falls from 300 to 100 as the start moves from 22:00 to 23:00: below 200 just after 22:30."""
    series = grid([300, 100, 100], HOUR)
    plan = threshold(series, limits(HOUR, 2 * HOUR, max_g_per_kwh=200.0), T0)
    assert plan.windows[0].start_at == T0 + 30 * MINUTE + timedelta(seconds=1)
    assert plan.expected_g_per_kwh < 200


@pytest.mark.parametrize("offset_s", range(0, 600, 7))
def test_threshold_is_strictly_below_also_where_the_crossing_is_a_whole_second(offset_s):
    series = grid([300.0] * 2 + [100.0] * 10)
    now_at = T0 + timedelta(seconds=offset_s)
    run = limits(MINUTE, 3 * HOUR, earliest_at=now_at, max_g_per_kwh=150.0)
    plan = threshold(series, run, now_at)
    assert plan.expected_g_per_kwh < 150.0
    assert plan.windows[0].start_at - T0 == 2 * series.step - timedelta(seconds=14)


def test_threshold_starts_at_once_when_it_is_below():
    plan = threshold(grid([100, 50]), limits(30 * MINUTE, 30 * MINUTE, max_g_per_kwh=100.1), T0)
    assert plan.windows[0].start_at == T0
    assert plan.note == ""


def test_threshold_never_met_gives_the_greenest_start_with_every_note():
    plan = threshold(grid([300, 200]), limits(30 * MINUTE, 5 * HOUR, max_g_per_kwh=200.0), T0)
    assert plan.windows[0].start_at == T0 + 30 * MINUTE
    assert plan.note == (
        "never below 200 g/kWh before the limit: the greenest start instead; "
        "the series ends at Sat 28 Mar 23:00 UTC: time beyond it was not considered"
    )


def test_threshold_needs_its_limit():
    with pytest.raises(InputError, match="needs a limit"):
        threshold(grid([1]), limits(30 * MINUTE, 0 * HOUR), T0)


def test_percentile_weighs_by_time_also_where_slots_are_cut():
    """From 22:15: 15 min at 100, 30 at 200, 30 at 300; the first 15 are 20 %."""
    series = grid([100, 200, 300])
    start_at = T0 + 15 * MINUTE
    quarters = {0: 100, 19: 100, 20: 100, 21: 200, 60: 200, 61: 300, 100: 300}
    assert {p: time_percentile(series, start_at, series.end_at, p) for p in quarters} == quarters


def test_percentile_starts_below_its_percentile():
    plan = percentile(grid(DIRTY_THEN_CLEAN), limits(HOUR, 9 * HOUR, percentile=50.0), T0)
    assert plan.windows[0].start_at > T0 + 3 * HOUR
    assert plan.expected_g_per_kwh < 200


def test_interruptible_joins_the_clean_slots():
    values = [100, 300, 100, 300, 300, 100]
    plan = interruptible(grid(values), limits(90 * MINUTE, 90 * MINUTE), T0)
    assert [window.start_at for window in plan.windows] == [T0, T0 + HOUR, T0 + 150 * MINUTE]
    assert plan.cost_g_per_kw == pytest.approx(150)
    assert plan.expected_g_per_kwh == pytest.approx(100)


def test_a_resume_is_paid_for_within_the_windows():
    """Ten minutes are lost at the resume: the second segment runs on into the cheaper of the dirty slots."""
    plan = interruptible(grid([100, 900, 100, 800]), limits(HOUR, HOUR, resume_cost=10 * MINUTE), T0)
    assert plan.windows == (
        Window(start_at=T0, end_at=T0 + 30 * MINUTE),
        Window(start_at=T0 + 60 * MINUTE, end_at=T0 + 100 * MINUTE),
    )
    assert plan.cost_g_per_kw == pytest.approx(50 + 50 + 800 / 6)
    assert plan.expected_g_per_kwh == pytest.approx((50 + 50 + 800 / 6) / (70 / 60))


def test_a_resume_dearer_than_it_saves_keeps_the_run_whole():
    c = limits(HOUR, HOUR, resume_cost=HOUR, min_chunk=10 * MINUTE)
    assert len(interruptible(grid([100, 120, 100, 120]), c, T0).windows) == 1


def test_a_job_shorter_than_the_minimum_chunk_runs_whole():
    c = limits(HOUR, 3 * HOUR, min_chunk=2 * HOUR)
    assert len(interruptible(grid([100, 900] * 4), c, T0).windows) == 1


def test_one_segment_is_the_greenest_window():
    series = grid([100, 900, 100, 150, 400, 90])
    c = limits(HOUR, 2 * HOUR, max_segments=1)
    assert interruptible(series, c, T0 + 5 * MINUTE) == greenest(series, c, T0 + 5 * MINUTE)


def test_time_beyond_the_series_is_not_used_by_segments():
    series = grid([100, 900, 100, 900])
    plan = interruptible(series, limits(HOUR, 9 * HOUR), T0)
    assert len(plan.windows) == 2
    assert plan.windows[-1].end_at <= series.end_at
    assert "not considered" in plan.note


def test_jobs_without_an_admissible_start_are_nan_in_a_batch():
    series = grid([100, 200, 300])
    starts_s, costs = greenest_starts(series, [0, 5000, 0, 0], [1800, 1800, 9000, 0], [1800, 1800, 9000, 0])
    assert starts_s.tolist()[0] == 0
    assert costs.tolist()[0] == pytest.approx(50)
    assert np.isnan(starts_s[1:]).all()
    assert np.isnan(costs[1:]).all()


def test_a_batch_broadcasts_and_may_be_empty_or_longer_than_a_block():
    series = grid(DIRTY_THEN_CLEAN)
    starts_s, costs = greenest_starts(series, np.zeros(5000), 8 * 3600, 7200)
    assert starts_s.shape == (5000,)
    assert set(starts_s) == {4 * 3600}
    assert set(costs) == {200}
    assert greenest_starts(series, [], [], [])[0].shape == (0,)


def minutes_run(values: list[float], constraints: Constraints) -> list[tuple[int, int]]:
    """(start, end) of each segment in minutes from T0."""
    plan = interruptible(grid(values), constraints, T0)
    return [((window.start_at - T0) // MINUTE, (window.end_at - T0) // MINUTE) for window in plan.windows]


def test_a_tail_too_short_for_the_work_is_joined_to_a_clean_slot_elsewhere():
    """Five minutes of work, three at 0 g/kWh before the deadline; a head of 20 minutes would be more than the work."""
    c = limits(5 * MINUTE, 78 * MINUTE, earliest_at=T0 + 10 * MINUTE)
    assert minutes_run([80, 50, 100, 0], c) == [(30, 32), (90, 93)]


def test_the_head_and_the_tail_are_run_whole_where_they_are_clean():
    c = limits(50 * MINUTE, 50 * MINUTE, earliest_at=T0 + 10 * MINUTE)
    assert minutes_run([10, 90, 50, 20], c) == [(10, 30), (80, 110)]


def test_work_left_over_from_the_head_is_done_where_it_is_clean():
    c = limits(25 * MINUTE, 75 * MINUTE, earliest_at=T0 + 10 * MINUTE)
    assert minutes_run([10, 90, 50, 90], c) == [(10, 30), (60, 65)]


def test_a_part_of_the_head_may_be_all_that_is_run_of_it():
    c = limits(40 * MINUTE, 60 * MINUTE, earliest_at=T0 + 10 * MINUTE, min_chunk=10 * MINUTE)
    assert minutes_run([20, 90, 10, 90], c) == [(20, 30), (60, 90)]


def test_a_part_may_begin_the_segment_that_runs_on_into_a_clean_slot():
    assert minutes_run([0, 90, 20, 10, 90, 0], limits(100 * MINUTE, 80 * MINUTE)) == [(0, 30), (80, 120), (150, 180)]


def test_segments_that_would_save_if_scattered_but_not_with_their_minimum_chunk_stay_whole():
    c = limits(2 * HOUR, 2 * HOUR, min_chunk=HOUR)
    assert minutes_run([10, 90, 10, 90, 10, 90, 10, 90], c) == [(0, 120)]


def test_more_resumes_are_not_tried_when_even_scattered_they_cost_more():
    c = limits(HOUR, 2 * HOUR, resume_cost=10 * MINUTE)
    assert minutes_run([10, 90, 10, 90, 90, 90], c) in ([(0, 30), (60, 100)], [(0, 40), (60, 90)])


def test_starts_of_a_batch_may_be_where_the_run_ends_on_an_edge():
    starts_s, costs = greenest_starts(grid([300, 200, 100, 300]), [0, 35 * 60], 75 * 60, 45 * 60)
    assert starts_s.tolist() == [45 * 60, 45 * 60]
    assert costs.tolist() == pytest.approx([100, 100])
