"""Equal jobs exchange their places so that as many as can keep the time they were told."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.queue_world import HOUR, NOON, lived, submission

from greenai.logic.queue_told import LOOKED_AT, SLIGHT, as_told, is_slight
from greenai.logic.queueing import Placement
from greenai.model.plan import Window
from greenai.model.queue import Entry, Waiting

MINUTE = timedelta(minutes=1)


def at(hour: float, hours: float = 1.0) -> tuple[Window, ...]:
    return (Window(start_at=NOON + hour * HOUR, end_at=NOON + (hour + hours) * HOUR),)


def place(hour: float, *, late: bool = False) -> Placement:
    return Placement(windows=at(hour), reason=f"at {hour}", late=late)


def job(number: int, told: float | None = None, **given: Any) -> Entry:
    entry = Entry(submission=submission(str(number), **given), duration=HOUR, duration_source="given", changed_at=NOON)
    return entry if told is None else lived(entry, (Waiting(windows=at(told)), NOON))


def hours(found: dict[str, Placement] | Any) -> list[float]:
    return [(found[name].windows[0].start_at - NOON) / HOUR for name in sorted(found, key=int)]


def test_equal_jobs_keep_the_times_they_were_told() -> None:
    jobs = [job(1, 2.0), job(2, 3.0), job(3, 4.0)]
    found = as_told(jobs, {"1": place(3), "2": place(4), "3": place(2)}, NOON)
    assert hours(found) == [2, 3, 4]
    assert [found[entry.id].reason for entry in jobs] == ["at 2", "at 3", "at 4"]


def test_where_a_place_comes_free_early_the_last_moves_up() -> None:
    jobs = [job(number, float(number)) for number in range(1, 6)]
    moved_up = {str(number): place(number - 1) for number in range(1, 6)}
    assert hours(as_told(jobs, moved_up, NOON)) == [1, 2, 3, 4, 0]


def test_new_jobs_take_what_is_left() -> None:
    jobs = [job(1, 2.0), job(2), job(3)]
    assert hours(as_told(jobs, {"1": place(3), "2": place(2), "3": place(4)}, NOON)) == [2, 3, 4]


def test_who_was_due_and_is_due_has_not_moved() -> None:
    jobs = [job(1, 0.0), job(2, 5.0)]
    now_at = NOON + 10 * MINUTE
    plan = {"1": place(5), "2": Placement(windows=at(1 / 6), reason="now")}
    assert hours(as_told(jobs, plan, now_at)) == [1 / 6, 5]


def test_jobs_that_differ_do_not_exchange() -> None:
    plan = {"1": place(3), "2": place(2)}
    for differs in ({"priority": 1}, {"share_of": "ada"}, {"zone": "DE"}, {"demands": {"gpus": 2.0}}, {"power_w": 9.0},
                  {"executor": "slurm"}, {"interruptible": True}, {"policy": "asap"}):  # fmt: skip
        jobs = [job(1, 2.0), job(2, 3.0, **differs)]
        assert hours(as_told(jobs, plan, NOON)) == [3, 2], differs
    longer = replace(job(2, 3.0), duration=2 * HOUR)
    assert hours(as_told([job(1, 2.0), longer], plan, NOON)) == [3, 2]


def test_nobody_is_given_a_place_outside_its_limits() -> None:
    plan = {"1": place(3), "2": place(2)}
    too_early = [job(1, 2.0), job(2, 3.0, slack=timedelta(hours=2.5))]
    assert hours(as_told([job(1, 2.0), job(2, 3.0)], plan, NOON)) == [2, 3]
    assert hours(as_told(too_early, plan, NOON)) == [3, 2]
    not_yet = [job(1, 2.0, earliest_at=NOON + 2.5 * HOUR), job(2, 3.0)]
    assert hours(as_told(not_yet, plan, NOON)) == [3, 2]


def test_late_jobs_stay_where_they_are() -> None:
    jobs = [job(1, 2.0), job(2, 3.0)]
    assert hours(as_told(jobs, {"1": place(3, late=True), "2": place(2)}, NOON)) == [3, 2]


def test_so_many_holders_are_asked_and_no_more() -> None:
    short = [job(number, 9.0, slack=timedelta(hours=2)) for number in range(2, 2 + LOOKED_AT)]
    plan = {"1": place(8), **{entry.id: place(2) for entry in short}}
    assert hours(as_told([job(1, 2.0), *short], plan, NOON))[0] == 8
    other = job(99, 9.0)
    asked = as_told([job(1, 2.0), *short, other], {**plan, "99": place(2)}, NOON)
    assert hours(asked)[0] == 2


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[Entry], dict[str, Placement]]:
    number = draw(st.integers(1, 8))
    times = st.integers(0, 5).map(float)
    jobs = [
        job(one, draw(st.none() | times), slack=draw(st.sampled_from([4, 24])) * HOUR, priority=draw(st.integers(0, 1)))
        for one in range(number)
    ]
    within = [draw(st.integers(0, 4 if entry.submission.job.constraints.deadline_at < NOON + 9 * HOUR else 5)) for entry in jobs]
    return jobs, {entry.id: place(float(hour)) for entry, hour in zip(jobs, within, strict=True)}


@given(plans())
def test_the_plan_of_each_kind_is_the_same_and_nobody_loses_its_time(drawn: tuple[list[Entry], dict[str, Placement]]) -> None:
    jobs, plan = drawn
    found = as_told(jobs, plan, NOON - HOUR)
    for rank in (0, 1):
        ids = [entry.id for entry in jobs if entry.submission.priority == rank]
        assert Counter(plan[one].reason for one in ids) == Counter(found[one].reason for one in ids)
    for entry in jobs:
        assert found[entry.id].windows[-1].end_at <= entry.submission.job.constraints.deadline_at
        if plan[entry.id].windows == getattr(entry.status, "windows", None):
            assert found[entry.id] is plan[entry.id]
    kept = [sum(each[entry.id].windows == getattr(entry.status, "windows", None) for entry in jobs) for each in (plan, found)]
    assert kept[1] >= kept[0]


def slight(told: tuple[Window, ...], placement: Placement, now_at: datetime = NOON) -> bool:
    return is_slight(told, placement, deadline_at=NOON + 10 * HOUR, now_at=now_at)


def test_a_start_that_moves_by_less_than_a_half_hour_is_slight_until_it_comes() -> None:
    assert slight(at(2), place(2.25))
    assert slight(at(2), place(1.75))
    assert not slight(at(2), place(2 + SLIGHT / HOUR))
    assert not slight(at(2), place(1.75), NOON + 1.75 * HOUR)
    assert not slight(at(1.75), place(2), NOON + 1.75 * HOUR)
    assert not slight(at(2), Placement(windows=(*at(2), *at(4)), reason=""))


def test_what_is_far_ahead_may_move_by_more() -> None:
    far = {"deadline_at": NOON + 100 * HOUR, "now_at": NOON}
    assert is_slight(at(40), place(41.9), **far)
    assert not is_slight(at(40), place(42.1), **far)
    assert not is_slight(at(42.1), place(40), **far)
    assert not is_slight(at(40), place(41.9), **{**far, "now_at": NOON + 5 * HOUR})
    pieces = tuple(Placement(windows=(*at(40), *at(last)), reason="") for last in (50, 51.9, 52.1))
    assert is_slight(pieces[0].windows, pieces[1], **far)
    assert not is_slight(pieces[0].windows, pieces[2], **far)


def test_a_promise_that_changes_is_never_slight() -> None:
    assert not slight(at(8.9), place(9.1, late=True))
    assert not slight(at(9.1), place(8.9))
    assert slight(at(9.2), place(9.1, late=True))
