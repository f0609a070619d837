"""Many jobs placed quickly: never more than there is, beside all schedules tried, and under a budget of carbon."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenai.logic import crowding
from greenai.logic.crowding import Arrangement, Crowd, arrange, coarse, improve, reserve
from greenai.logic.packing_grid import IntArray

NOBODY: IntArray = np.array([], np.int64)


def crowd(jobs: Sequence[tuple[int, int, int]], rates: Sequence[float], *, free: float = 1.0, **given_: Any) -> Crowd:
    """Jobs as (first slot, end, length), one GPU and one kW each unless said otherwise."""
    first, end, length = (np.array(column, np.int64) for column in zip(*jobs, strict=True))
    known = {
        "needs": np.ones((len(jobs), 1)),
        "power_kw": np.ones(len(jobs)),
        "turn": np.arange(len(jobs)),
        "rank": np.zeros(len(jobs), np.int64),
        "day": np.zeros(len(rates), np.int64),
        "budget_g": np.array([np.inf]),
    }
    return Crowd(
        rates=np.array([rates], float),
        free=np.full((1, len(rates)), free),
        zone=np.zeros(len(jobs), np.int64),
        first=first,
        end=end,
        length=length,
        **{**known, **given_},
    )


def arranged(of: Crowd, **roles: Sequence[int]) -> tuple[list[int], list[int]]:
    """Who starts where, and who found no room in time."""
    known = {name: np.array(roles.get(name, []), np.int64) for name in ("pinned", "hasty", "late")}
    arrangement, out = arrange(of, **known)
    return arrangement.start.tolist(), out.tolist()


def taken(of: Crowd, starts: Sequence[int]) -> np.ndarray:
    used = np.zeros_like(of.free)
    for job, begin in enumerate(starts):
        if begin >= 0:
            used[:, begin : begin + int(of.length[job])] += of.needs[job][:, None]
    return used


def grams(of: Crowd, starts: Sequence[int]) -> float:
    return sum(float(of.rates[0, begin : begin + int(of.length[job])].sum()) for job, begin in enumerate(starts))


def all_schedules(of: Crowd) -> list[tuple[int, ...]]:
    """Every choice of starts that has all in time and takes no more than there is."""
    spans = [range(int(of.first[job]), int(of.end[job] - of.length[job]) + 1) for job in range(len(of.length))]
    return [starts for starts in product(*spans) if (taken(of, starts) <= of.free).all()]


@st.composite
def crowds(draw: st.DrawFn, longest: int = 3) -> Crowd:
    spans = st.tuples(st.integers(0, 4), st.integers(1, longest), st.integers(0, 3))
    drawn = draw(st.lists(spans, min_size=1, max_size=5))
    rates = draw(st.lists(st.integers(1, 9).map(float), min_size=20, max_size=20))
    jobs = [(first, first + length + slack, length) for first, length, slack in drawn]
    return crowd(jobs, rates, free=float(draw(st.integers(1, 2))))


@settings(max_examples=60, deadline=None)
@given(crowds())
def test_beside_all_schedules(of: Crowd) -> None:
    starts, out = arranged(of)
    possible = all_schedules(of)
    assert (taken(of, starts) <= of.free).all()
    in_time = [job for job in range(len(starts)) if job not in out]
    assert all(of.first[job] <= starts[job] <= of.end[job] - of.length[job] for job in in_time)
    if not out:
        assert tuple(starts) in possible
        assert grams(of, starts) >= min(grams(of, each) for each in possible)


@settings(max_examples=60, deadline=None)
@given(crowds(longest=1))
def test_jobs_of_one_slot_are_in_time_wherever_any_schedule_has_them(of: Crowd) -> None:
    _, out = arranged(of)
    assert bool(out) == (not all_schedules(of))


def test_one_job_alone_takes_the_cheapest_place() -> None:
    assert arranged(crowd([(1, 8, 2)], [1, 9, 5, 3, 4, 3, 4, 9, 1])) == ([3], [])


def test_the_first_by_turn_takes_the_cheapest_and_pushes_who_held_it() -> None:
    of = crowd([(0, 4, 1), (0, 2, 1)], [5, 1, 9, 9])
    assert arranged(of) == ([1, 0], [])


def test_who_cannot_be_moved_is_not_pushed() -> None:
    of = crowd([(0, 2, 1), (1, 2, 1)], [5, 1])
    assert arranged(of) == ([0, 1], [])


def test_equal_jobs_share_a_slot_as_far_as_there_is_room() -> None:
    starts, out = arranged(crowd([(0, 3, 1)] * 5, [9, 1, 5], free=2.0))
    assert (sorted(starts), out) == ([0, 1, 1, 2, 2], [])


def test_equal_jobs_that_need_nothing_share_the_cheapest_slot() -> None:
    of = crowd([(0, 3, 1)] * 5, [9, 1, 5], needs=np.zeros((5, 1)))
    assert arranged(of) == ([1] * 5, [])
    arrangement = Arrangement(of, of.kinds())
    reserve(arrangement, np.arange(5))
    # In one go, which is what makes many jobs quick.
    assert (arrangement.start.tolist(), arrangement.placements) == ([0] * 5, 1)


def test_the_higher_rank_is_let_in_where_not_all_fit() -> None:
    of = crowd([(0, 2, 2), (0, 2, 2)], [1] * 6, rank=np.array([0, 1]))
    assert arranged(of) == ([2, 0], [0])


def test_who_runs_stays_even_where_that_is_more_than_there_is() -> None:
    of = crowd([(0, 6, 2), (0, 6, 2), (0, 6, 1)], [9, 9, 9, 1, 1, 9])
    starts, out = arranged(of, pinned=[0, 1])
    assert (starts[:2], out) == ([0, 0], [])
    assert starts[2] == 3


def test_a_late_job_longer_than_what_lies_ahead_finds_no_place() -> None:
    of = crowd([(0, 4, 6), (0, 4, 1)], [3, 2, 1, 4])
    assert arranged(of, late=[0]) == ([-1, 2], [])


def test_a_late_job_comes_first_only_if_that_makes_nobody_late() -> None:
    assert arranged(crowd([(0, 6, 2), (0, 4, 1)], [1] * 6), late=[0]) == ([0, 2], [])
    assert arranged(crowd([(0, 6, 2), (0, 1, 1)], [1] * 6), late=[0]) == ([1, 0], [])


# The carbon budget


def test_a_budget_sends_jobs_to_the_next_day() -> None:
    of = crowd(
        [(0, 6, 1), (0, 6, 1)],
        [2, 2, 2, 3, 3, 3],
        day=np.array([0, 0, 0, 1, 1, 1]),
        budget_g=np.array([3.0, 9.0]),
        needs=np.array([[1.0], [0.5]]),
    )
    assert arranged(of) == ([0, 3], [])


def test_a_run_over_midnight_counts_to_each_day_its_own() -> None:
    of = crowd([(0, 6, 2)], [9, 9, 4, 4, 9, 9], day=np.array([0, 0, 0, 1, 1, 1]), budget_g=np.array([3.0, 20.0]))
    assert arranged(of) == ([3], [])
    of.budget_g[:] = [4.0, 4.0]
    assert arranged(of) == ([2], [])


def test_a_budget_that_forbids_all_does_not_make_a_job_late() -> None:
    of = crowd([(0, 4, 1), (0, 4, 1)], [5, 4, 3, 2], budget_g=np.array([1.0]))
    assert arranged(of) == ([0, 1], [])


def test_equal_jobs_that_the_budget_lets_in_only_in_part_stay_where_they_were() -> None:
    of = crowd([(0, 4, 1), (0, 4, 1), (0, 4, 1)], [5, 5, 5, 2], budget_g=np.array([3.0]))
    # They choose together, and the budget has room for one of them only; then the others are over it already.
    assert arranged(of) == ([0, 1, 2], [])


# Moving again


def at_starts(of: Crowd, starts: Sequence[int]) -> Arrangement:
    arrangement = Arrangement(of, of.kinds())
    for job, begin in enumerate(starts):
        arrangement.put(np.array([job]), np.array([begin]))
    return arrangement


def test_whoever_moves_makes_room_for_those_before_it() -> None:
    arrangement = at_starts(crowd([(0, 2, 1), (0, 4, 1)], [5, 4, 9, 1]), [0, 1])
    improve(arrangement, np.arange(2))
    assert arrangement.start.tolist() == [1, 3]
    assert arrangement.free.tolist() == [[1, 0, 1, 0]]


def test_nobody_moves_again_while_none_is_over_the_limit_of_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowding, "PASSES_AT_MOST", 1)
    arrangement = at_starts(crowd([(0, 2, 1), (0, 4, 1)], [5, 4, 9, 1]), [0, 1])
    improve(arrangement, np.arange(2))
    assert arrangement.start.tolist() == [0, 1]


def test_with_no_work_left_each_takes_the_cheapest_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowding, "MOST_WORK", 0)
    monkeypatch.setattr(crowding, "PASSES", 0)
    of = crowd([(0, 4, 1), (1, 3, 1)], [9, 1, 6, 5])
    # Nobody is pushed: the first may not have the slot that the second holds in reserve.
    assert arranged(of) == ([3, 1], [])
    monkeypatch.undo()
    assert arranged(of) == ([1, 2], [])


def test_reserving_names_who_found_no_room() -> None:
    arrangement = Arrangement(crowd([(0, 2, 2), (0, 3, 2), (1, 4, 2)], [1] * 4), np.arange(3))
    assert reserve(arrangement, np.arange(3)).tolist() == [1]
    assert arrangement.start.tolist() == [0, -1, 2]


@given(st.integers(0, 20), st.integers(1, 20), st.integers(0, 500))
def test_coarser_ends_take_an_eighth_of_the_slack_at_most(first: int, length: int, slack: int) -> None:
    end = first + length + slack
    found = int(coarse(np.array([first]), np.array([end]), np.array([length]))[0])
    assert 0 <= end - found <= slack / 8
