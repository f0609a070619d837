"""Plans for a queue: beside brute force, under capacity, steady, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.queue_world import HOUR, NOON, lived, submission

from greenai.logic.packing import pack
from greenai.logic.placing import greenest, interruptible, threshold
from greenai.logic.queue_room import Capacity, Room, fits_together
from greenai.logic.queue_times import left_at
from greenai.logic.queueing import Placement, Queue, place
from greenai.logic.sharing import dominant
from greenai.model.fleet import FleetJob
from greenai.model.plan import Window
from greenai.model.queue import Entry, JobEvent, Paused, Running, Status, Submitted, Waiting, after
from greenai.model.series import IntensitySeries, Source

SLOT = timedelta(minutes=30)
POLICIES = {"greenest": greenest, "interruptible": interruptible}


def series(values: Sequence[float], zone: str = "GB") -> IntensitySeries:
    source = Source(provider="list", url="", fetched_at=NOON, payload_sha256="")
    return IntensitySeries(start_at=NOON, step=SLOT, values=np.array(values, float), zone=zone, kind="forecast", source=source)


def job(number: int, slots: int = 2, slack: int = 8, gpus: float = 1.0, **given_: Any) -> Entry:
    draft = submission(str(number), duration=slots * SLOT, slack=slack * SLOT, demands={"gpus": gpus}, **given_)
    return after(None, JobEvent(job_id=str(number), version=1, at=NOON, change=Submitted(submission=draft)))


def as_(entry: Entry, *statuses: Status) -> Entry:
    return lived(entry, *((status, NOON) for status in statuses))


def plan(entries: Sequence[Entry], values: Sequence[float], *, gpus: float = 1.0, **changes: Any) -> dict[str, Placement]:
    capacity = Capacity(
        amounts={"gpus": gpus}, **{name: changes.pop(name) for name in tuple(changes) if "_w" in name or "_g_" in name}
    )
    known = changes.pop("series_by_zone", {"GB": series(values)})
    now_at, policies = changes.pop("now_at", NOON), changes.pop("policies", POLICIES)
    queue = Queue(movable=entries, capacity=capacity, series_by_zone=known, **changes)
    found = place(queue, now_at, policy=policies.__getitem__)
    uses = [(capacity.needs(entry), window) for entry in entries for window in found[entry.id].windows]
    uses += [(capacity.needs(entry), Window(start_at=now_at, end_at=now_at + left_at(entry, now_at))) for entry in queue.staying]
    # Within a slot that has begun a plan may overlap by what has passed of it: the launch waits for room.
    assert fits_together(uses, capacity.caps) or now_at != NOON or any(entry.duration < SLOT for entry in entries)
    return dict(found)


def starts(found: dict[str, Placement]) -> dict[str, float]:
    return {job_id: (placement.windows[0].start_at - NOON) / SLOT for job_id, placement in found.items()}


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[tuple[int, int, float]], list[float], int]:
    """Few jobs on few slots: (slots, slack, gpus) each, intensities, GPUs."""
    gpus = draw(st.integers(1, 2))
    jobs = draw(
        st.lists(st.tuples(st.integers(1, 3), st.integers(0, 6), st.sampled_from([1.0, float(gpus)])), min_size=1, max_size=5)
    )
    values = draw(st.lists(st.integers(1, 9).map(float), min_size=12, max_size=12))
    return jobs, values, gpus


def feasible(jobs: list[tuple[int, int, float]], gpus: int) -> bool:
    """Whether any choice of whole-slot starts has all in time: all of them are tried."""
    for chosen in product(*(range(slack + 1) for _, slack, _ in jobs)):
        used = np.zeros(16)
        for begin, (slots, _, need) in zip(chosen, jobs, strict=True):
            used[begin : begin + slots] += need
        if (used <= gpus).all():
            return True
    return False


@settings(max_examples=60, deadline=None)
@given(problems())
def test_none_is_late_where_any_schedule_exists(problem: tuple[list[tuple[int, int, float]], list[float], int]) -> None:
    jobs, values, gpus = problem
    entries = [job(number, slots, slack, need) for number, (slots, slack, need) in enumerate(jobs)]
    found = plan(entries, values, gpus=gpus)
    late = [placement for placement in found.values() if placement.late]
    assert bool(late) == (not feasible(jobs, gpus))
    for entry in entries:
        placement = found[entry.id]
        assert placement.late == (placement.windows[-1].end_at > entry.submission.job.constraints.deadline_at)


def test_a_tight_crowd_saves_three_quarters_of_what_the_packer_saves() -> None:
    rng = np.random.default_rng(5)
    values = 200 + 80 * np.sin(np.arange(192) / 48 * 2 * np.pi) + rng.normal(0, 20, 192)
    entries = [job(number, int(rng.integers(1, 6)), int(rng.integers(20, 150)), power_w=1000.0) for number in range(150)]
    found = plan(entries, list(values), gpus=5)
    grid = series(list(values))
    jobs = [
        FleetJob(id=entry.id, duration=entry.duration, earliest_at=NOON, deadline_at=entry.submission.job.constraints.deadline_at)
        for entry in entries
    ]
    best = pack(jobs, {"GB": grid}, {"GB": 5})
    assert best.at_once_g is not None
    used_g = sum(grid.integral_g_per_kw(w.start_at, w.end_at) for placement in found.values() for w in placement.windows)
    assert not any(placement.late for placement in found.values())
    assert 1 - used_g / best.at_once_g >= 0.75 * (1 - best.expected_g / best.at_once_g)


def test_thousands_of_equal_jobs_are_placed_in_time() -> None:
    values = [200 + 80 * np.sin(slot / 48 * 2 * np.pi) for slot in range(192)]
    entries = [job(number, 1 + number % 3, 140 + number % 2) for number in range(1500)]
    found = plan(entries, values, gpus=25)
    assert not any(placement.late for placement in found.values())


def test_more_jobs_than_fit_are_named() -> None:
    found = plan([job(1, 2, 0), job(2, 2, 1)], [100.0] * 24)
    late = [placement for placement in found.values() if placement.late]
    assert len(late) == 1
    assert "it does not fit before its deadline beside" in late[0].reason


def test_the_more_important_of_two_is_in_time() -> None:
    found = plan([job(1, 2, 0), job(2, 2, 0, priority=3)], [100.0] * 24)
    assert not found["2"].late
    assert starts(found) == {"2": 0, "1": 2}


def test_a_late_job_goes_first_if_that_makes_nobody_late() -> None:
    old = submission("9", duration=HOUR, slack=timedelta(0), submitted_at=NOON - HOUR, demands={"gpus": 1.0})
    late = after(None, JobEvent(job_id="9", version=1, at=NOON, change=Submitted(submission=old)))
    found = plan([late, job(1, 2, 2), job(2, 2, 20)], [100.0] * 24 + [50.0] * 24)
    assert starts(found)["9"] == 0
    assert found["9"].reason == "as soon as there is room: it cannot be done by its deadline any more"
    tight = plan([late, job(1, 2, 0), job(2, 2, 20)], [100.0] * 24 + [50.0] * 24)
    assert starts(tight)["1"] == 0
    assert not tight["1"].late


def test_whoever_runs_and_may_pause_makes_room_for_whoever_must() -> None:
    status = Running(run_id="r", started_at=NOON, windows=(Window(start_at=NOON, end_at=NOON + 4 * SLOT),), handle="h")
    running = as_(job(1, 4, 20, interruptible=True, policy="interruptible"), status)
    urgent = job(2, 2, 1)
    found = plan([running, urgent], [100.0] * 60)
    assert not found["2"].late
    assert not found["1"].late
    assert starts(found)["1"] > 0


def test_a_running_job_stays_where_there_is_room() -> None:
    status = Running(run_id="r", started_at=NOON, windows=(Window(start_at=NOON, end_at=NOON + 4 * SLOT),), handle="h")
    running = as_(job(1, 4, 20, interruptible=True, policy="interruptible"), status)
    found = plan([running, job(2, 2, 20), job(3, 2, 20)], [100.0] * 60)
    assert found["1"].reason == "goes on"
    assert starts(found)["1"] == 0


def test_a_job_that_may_be_cut_is_cut_around_the_others() -> None:
    values = ([50.0] * 2 + [300.0] * 2) * 15
    whole = [job(number, 2, 0) for number in (1,)]
    cut = job(2, 4, 24, interruptible=True, policy="interruptible")
    other = job(3, 2, 24)
    found = plan([*whole, cut, other], values)
    assert len(found["2"].windows) > 1


def test_jobs_shorter_than_a_slot_share_it() -> None:
    entries = [job(number, 1, 1) for number in range(8)]
    short = [replace(entry, duration=timedelta(minutes=7), submission=replace(entry.submission)) for entry in entries]
    found = plan(short, [100.0] * 4, gpus=2)
    assert not any(placement.late for placement in found.values())


def test_two_zones_share_the_machine() -> None:
    known = {"GB": series([100.0] * 24), "DE": series([300.0] * 8 + [50.0] * 16, "DE"), "XX": None}
    found = plan([job(1, 4, 16), job(2, 4, 16, zone="DE"), job(3, 4, 20, zone="XX")], [1.0], series_by_zone=known)
    begin = starts(found)
    assert begin["2"] >= 8
    assert len({begin["1"], begin["2"], begin["3"]}) == 3


def test_a_carbon_budget_moves_jobs_to_another_day() -> None:
    values = [100.0] * 24 + [120.0] * 48
    entries = [job(number, 4, 48, power_w=1000.0) for number in range(4)]
    free = starts(plan(entries, values, gpus=4))
    kept = starts(plan(entries, values, gpus=4, carbon_budget_g_per_day=500.0))
    assert all(begin < 24 for begin in free.values())
    # Two on the first day, and one of the others may begin a little before midnight.
    assert sum(begin >= 21 for begin in kept.values()) == 2


def test_a_power_cap_is_kept() -> None:
    found = plan([job(number, 2, 20, power_w=300.0) for number in range(3)], [100.0] * 48, gpus=8, power_cap_w=600.0)
    assert sorted(starts(found).values()) == [0, 0, 2]


def test_a_plan_that_stands_is_kept_where_a_new_one_saves_nothing() -> None:
    values = [300.0] * 10 + [100.0] * 20 + [300.0] * 30
    entries = [job(number, 2, 40) for number in (1, 2)]
    found = plan(entries, values)
    swapped = [as_(entries[0], Waiting(windows=found["2"].windows)), as_(entries[1], Waiting(windows=found["1"].windows))]
    again = plan(swapped, values)
    assert again["1"].windows == found["2"].windows
    better = plan(swapped, [300.0] * 30 + [100.0] * 30)
    assert all(begin >= 29 for begin in starts(better).values())
    sooner = plan(swapped, [100.0] * 60)
    assert sorted(starts(sooner).values()) == [0, 2]


def test_a_paused_job_pays_for_its_resume() -> None:
    entry = job(1, 4, 20, interruptible=True, policy="interruptible", resume_cost=timedelta(minutes=10))
    paused = as_(entry, Running(run_id="r", started_at=NOON), Paused(since_at=NOON))
    assert left_at(paused, NOON) == 4 * SLOT + timedelta(minutes=10)
    assert plan([paused], [100.0] * 60)["1"].windows[0].duration == 4 * SLOT + timedelta(minutes=10)


def test_nothing_to_place() -> None:
    assert plan([], [100.0] * 4) == {}


def test_whoever_passes_does_not_delay() -> None:
    capacity = Capacity(amounts={"gpus": 2.0})
    running = as_(job(1, 4, 0), Running(run_id="r", started_at=NOON, handle="h"))
    room = Room(capacity, [running], NOON)
    assert not room.take(job(2, 2, 0, 2.0))
    room.keep_for(job(2, 2, 0, 2.0))
    room.keep_for(job(5, 2, 0, 2.0))
    assert not room.take(job(3, 8, 0))
    assert room.take(job(4, 4, 0))


def test_whoever_leaves_enough_beside_passes_however_long_it_runs() -> None:
    capacity = Capacity(amounts={"gpus": 4.0})
    long, short = Running(run_id="r", started_at=NOON, handle="h"), Running(run_id="s", started_at=NOON, handle="h")
    room = Room(capacity, [as_(job(1, 8, 0, 2.0), long), as_(job(2, 2, 0), short)], NOON)
    assert not room.take(job(3, 2, 0, 2.0))
    # It begins when the short one ends, long before the other; beside it nothing is left then.
    room.keep_for(job(3, 2, 0, 2.0))
    assert not room.take(job(4, 3, 0))
    assert room.take(job(5, 2, 0))
    wide = Room(Capacity(amounts={"gpus": 4.0}), [as_(job(1, 8, 0, 2.0), long)], NOON)
    wide.keep_for(job(3, 2, 0, 3.0))
    assert wide.take(job(4, 20, 0))
    assert not wide.take(job(5, 20, 0))
    assert wide.take(job(6, 8, 0))


def test_a_cluster_has_its_own_room() -> None:
    entry = job(1, 2, 0, 8.0, executor="slurm")
    capacity = Capacity(amounts={"gpus": 1.0}, power_cap_w=100.0)
    assert capacity.lacks(entry) == ""
    assert capacity.lacks(job(2, 2, 0, 8.0)) == "8 gpus, and there are 1"
    assert (dominant(entry, capacity.amounts), dominant(job(2, 2, 0, 8.0), capacity.amounts)) == (0.0, 1.0)


def test_jobs_of_a_cluster_neither_wait_for_this_machine_nor_keep_others_waiting() -> None:
    elsewhere = [job(number, 2, 6, 8.0, executor="slurm") for number in range(3)]
    found = starts(plan([*elsewhere, job(9, 2, 0)], [300.0] * 2 + [50.0] * 2 + [300.0] * 20))
    assert found == {"0": 2.0, "1": 2.0, "2": 2.0, "9": 0.0}
    here = [job(number, 2, 2) for number in (4, 5)]
    found = starts(plan([*elsewhere, *here], [300.0] * 2 + [50.0] * 2 + [300.0] * 20))
    assert {found[name] for name in "012"} == {2.0}
    assert {found[name] for name in "45"} == {0.0, 2.0}


@pytest.mark.parametrize("at", [0, 7, 29])
def test_plans_made_within_a_slot_start_now(at: int) -> None:
    now_at = NOON + timedelta(minutes=at)
    found = plan([job(1, 2, 3), job(2, 2, 6)], [100.0] * 24, now_at=now_at)
    assert min(placement.windows[0].start_at for placement in found.values()) == now_at
    assert not any(placement.late for placement in found.values())


# Alone: by its own policy


def test_a_job_that_waits_by_our_own_forecast_is_moved_by_any_saving() -> None:
    waiting = as_(job(1, 2, 20), Waiting(windows=(Window(start_at=NOON + SLOT, end_at=NOON + 3 * SLOT),)))
    values = [100.0] * 10 + [98.0] * 50
    assert starts(plan([waiting], values, own_zones=frozenset({"GB"})))["1"] == 10
    assert starts(plan([waiting], values))["1"] < 10


def test_a_job_whose_policy_cannot_plan_runs_as_soon_as_there_is_room() -> None:
    found = plan([job(1, 2, 20)], [100.0] * 60, policies={"greenest": threshold})
    assert found["1"].late
    assert found["1"].reason.startswith("as soon as there is room: the threshold policy needs a limit")
    assert starts(found)["1"] == 0


RUNS = Running(run_id="r", started_at=NOON, windows=(Window(start_at=NOON, end_at=NOON + 4 * SLOT),), handle="h")
CUTTABLE: dict[str, Any] = {"interruptible": True, "policy": "interruptible"}


def test_a_running_job_goes_on_where_nothing_is_known() -> None:
    found = plan([as_(job(1, 4, 20, **CUTTABLE), RUNS)], [1.0], series_by_zone={"GB": None})
    assert found["1"] == Placement(windows=RUNS.windows, reason="goes on")


def test_a_running_job_pauses_only_where_the_resume_is_in_time_and_pays() -> None:
    dirty_now = [300.0] * 2 + [50.0] * 58
    in_time = plan([as_(job(1, 4, 20, **CUTTABLE), RUNS)], dirty_now)
    assert starts(in_time)["1"] == 2
    assert in_time["1"].reason == "pauses until Tue 24 Nov 13:00 UTC: that saves 71 % of what is left"
    no_room = plan([as_(job(1, 4, 2, resume_cost=3 * SLOT, **CUTTABLE), RUNS)], dirty_now)
    assert no_room["1"].reason == "goes on"
    dear = plan([as_(job(1, 4, 40, resume_cost=16 * SLOT, **CUTTABLE), RUNS)], dirty_now)
    assert dear["1"].reason == "goes on"


# In words


def test_a_joint_plan_says_what_it_meets_then_and_now() -> None:
    values = [341.0] * 10 + [112.0] * 2 + [150.0] * 2 + [400.0] * 46
    found = plan([job(1, 2, 20), job(2, 2, 20)], values)
    reasons = {placement.windows[0].start_at: placement.reason for placement in found.values()}
    assert reasons == {
        NOON + 10 * SLOT: "planned together with the other jobs: 112 g/kWh then, 341 now",
        NOON + 12 * SLOT: "planned together with the other jobs: 150 g/kWh then, 341 now",
    }


def test_a_joint_plan_says_what_it_meets_now_or_nothing_where_that_is_not_known() -> None:
    first, second = (plan([job(1, 2, 20), job(2, 2, 20)], [341.0] * 2 + [400.0] * many) for many in (58, 1))
    assert sorted(placement.reason for placement in first.values()) == [
        "planned together with the other jobs: 341 g/kWh now",
        "planned together with the other jobs: 400 g/kWh then, 341 now",
    ]
    assert "planned together with the other jobs" in {placement.reason for placement in second.values()}
    unknown = plan([job(1, 2, 20), job(2, 2, 20)], [1.0], series_by_zone={"GB": None})
    assert {placement.reason for placement in unknown.values()} == {"planned together with the other jobs"}


def test_what_rests_on_a_model_says_so_and_nothing_else_does() -> None:
    known = {"GB": replace(series([200.0] * 4 + [100.0] * 56), kind="modelled"), "DE": series([200.0] * 60, "DE"), "FR": None}
    found = plan([job(number, 2, 20, zone=zone) for number, zone in enumerate(known)], [1.0], gpus=9.0, series_by_zone=known)
    assert found["0"].reason.endswith("saves 50 %: 100 instead of 200 g/kWh (modelled, not a forecast)")
    assert "modelled" not in found["1"].reason + found["2"].reason
