"""One plan for all jobs of a queue: where the quick way leaves some out, where a plan stands, and who may be cut."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import numpy as np
import pytest
from tests.queue_world import HOUR, NOON, lived, submission

from greenai.errors import NoFeasibleWindow
from greenai.logic import queue_packed, segments
from greenai.logic.placing import greenest, interruptible
from greenai.logic.queue_joint import BARRED_G_PER_KWH, Joint, joint_plan
from greenai.logic.queue_room import Capacity, fits_together
from greenai.model.fleet import Packing
from greenai.model.job import Constraints
from greenai.model.plan import Plan, Window
from greenai.model.queue import Entry, JobEvent, Running, Submitted, Waiting, after
from greenai.model.series import IntensitySeries, Source

SLOT = timedelta(minutes=30)
POLICIES = {"greenest": greenest, "interruptible": interruptible}

Shape = tuple[int, int, float]
"""Slots, slack in slots, GPUs."""

PUZZLE: tuple[Shape, ...] = ((2, 7, 1.0), (4, 4, 2.0), (4, 7, 2.0), (1, 8, 1.0), (2, 2, 1.0), (1, 0, 1.0))
"""Fits on two GPUs, but in none of the orders that the quick way tries."""

TOO_MUCH: tuple[Shape, ...] = ((2, 2, 1.0), (1, 5, 1.0), (2, 5, 1.0), (4, 2, 1.0), (1, 5, 1.0), (1, 5, 1.0))
"""More than one GPU can do in time, and the quick way leaves out more than it must."""

TWO_ZONES: tuple[Shape, ...] = ((3, 1, 1.0), (1, 3, 2.0), (4, 5, 2.0), (4, 3, 1.0))
"""Fits on two GPUs, and the quick way leaves one out."""


def series(values: Sequence[float], zone: str = "GB") -> IntensitySeries:
    source = Source(provider="list", url="", fetched_at=NOON, payload_sha256="")
    return IntensitySeries(start_at=NOON, step=SLOT, values=np.array(values, float), zone=zone, kind="forecast", source=source)


def job(number: int, slots: int = 2, slack: int = 8, gpus: float = 1.0, **given: Any) -> Entry:
    draft = submission(str(number), duration=slots * SLOT, slack=slack * SLOT, demands={"gpus": gpus}, **given)
    return after(None, JobEvent(job_id=str(number), version=1, at=NOON, change=Submitted(submission=draft)))


def jobs_of(shapes: Sequence[Shape], **given: Any) -> list[Entry]:
    return [job(number, *shape, **given) for number, shape in enumerate(shapes)]


def joint(entries: Sequence[Entry], *, gpus: float, now_at: datetime = NOON, **changes: Any) -> Joint:
    zones = dict.fromkeys(entry.submission.job.zone for entry in entries)
    known = changes.pop("series_by_zone", {zone: series([100.0] * 60, zone) for zone in zones})
    policy = changes.pop("policy", POLICIES.__getitem__)
    capacity = Capacity(amounts={"gpus": gpus})
    found = joint_plan(entries, (), known, capacity=capacity, now_at=now_at, used={}, policy=policy)
    uses = [(capacity.needs(entry), window) for entry in entries for window in found.windows[entry.id]]
    assert fits_together(uses, capacity.caps)
    return found


def late(found: Joint, entries: Sequence[Entry]) -> list[str]:
    return [entry.id for entry in entries if found.windows[entry.id][-1].end_at > entry.submission.job.constraints.deadline_at]


def fits(shapes: Sequence[Shape], starts: Sequence[int], gpus: float) -> bool:
    used = np.zeros(24)
    for begin, (slots, _, need) in zip(starts, shapes, strict=True):
        used[begin : begin + slots] += need
    return bool((used <= gpus).all())


def any_schedule(shapes: Sequence[Shape], gpus: float) -> tuple[int, ...] | None:
    """The first of all choices of starts that has these in time."""
    spans = [range(slack + 1) for _, slack, _ in shapes]
    return next((starts for starts in product(*spans) if fits(shapes, starts, gpus)), None)


def windows_at(entries: Sequence[Entry], starts: Sequence[int]) -> list[Window]:
    begins = [NOON + begin * SLOT for begin in starts]
    return [Window(start_at=begin, end_at=begin + entry.duration) for entry, begin in zip(entries, begins, strict=True)]


# Where the quick way leaves some out


def test_the_packer_finds_room_that_the_quick_way_missed() -> None:
    assert any_schedule(PUZZLE, 2) is not None
    entries = jobs_of(PUZZLE)
    found = joint(entries, gpus=2)
    assert (late(found, entries), found.conflict) == ([], ())


def fewest_late(shapes: Sequence[Shape], gpus: float) -> int:
    """How many must be left out so that the others can be in time."""
    masks = sorted(product([True, False], repeat=len(shapes)), key=lambda mask: mask.count(False))
    kept = ([shape for shape, kept in zip(shapes, mask, strict=True) if kept] for mask in masks)
    return len(shapes) - len(next(each for each in kept if any_schedule(each, gpus) is not None))


def test_where_not_all_fit_the_packer_leaves_fewer_out(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = jobs_of(TOO_MUCH)
    found = joint(entries, gpus=1)
    assert set(late(found, entries)) <= set(found.conflict)
    # Those that are late follow at once: the machine never waits.
    assert max(found.windows[entry.id][-1].end_at for entry in entries) == NOON + sum(slots for slots, _, _ in TOO_MUCH) * SLOT
    monkeypatch.setattr(queue_packed, "PACKED_AT_MOST", 0)
    quick = joint(entries, gpus=1)
    assert 1 == fewest_late(TOO_MUCH, 1) <= len(late(found, entries)) < len(late(quick, entries))


def two_zones() -> list[Entry]:
    return [*jobs_of(TWO_ZONES[:-1]), job(len(TWO_ZONES) - 1, *TWO_ZONES[-1], zone="DE")]


def test_in_two_zones_the_packer_finds_room_on_the_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = two_zones()
    found = joint(entries, gpus=2)
    assert (late(found, entries), found.conflict) == ([], ())
    monkeypatch.setattr(queue_packed, "PACKED_AT_MOST", 0)
    assert len(late(joint(entries, gpus=2), entries)) == 1


@pytest.mark.parametrize("seed", range(60))
def test_none_is_late_where_any_schedule_exists_and_else_those_are_named_that_cannot_all_be(seed: int) -> None:
    rng = np.random.default_rng([seed, 5])
    number, gpus = int(rng.integers(3, 6)), int(rng.integers(1, 4))
    draws = (rng.integers(1, 5, number), rng.integers(0, 8, number), rng.integers(1, gpus + 1, number))
    shapes = [(int(slots), int(slack), float(need)) for slots, slack, need in zip(*draws, strict=True)]
    zones = [("GB", "DE")[choice] for choice in rng.integers(0, 2, number).tolist()]
    entries = [job(place, *shape, zone=zone) for place, (shape, zone) in enumerate(zip(shapes, zones, strict=True))]
    known = {zone: series(rng.uniform(50, 400, 60).tolist(), zone) for zone in dict.fromkeys(zones)}
    found = joint(entries, gpus=gpus, series_by_zone=known)
    if any_schedule(shapes, gpus) is not None:
        assert (late(found, entries), found.conflict) == ([], ())
    else:
        assert set(late(found, entries)) & set(found.conflict)
        assert any_schedule([shapes[int(job_id)] for job_id in found.conflict], gpus) is None


def test_one_that_must_start_now_and_one_that_is_late_leave_the_packer_the_rest() -> None:
    now_at = NOON + 3 * SLOT
    puzzle = [job(place, *shape, submitted_at=now_at) for place, shape in enumerate(PUZZLE)]
    entries = [*puzzle, job(8, 4, 2, submitted_at=NOON), job(9, 1, 0, 1.0, submitted_at=now_at + 20 * SLOT)]
    found = joint(entries, gpus=2, now_at=now_at)
    assert late(found, entries) == ["8"]
    assert found.windows["8"][0].start_at >= max(found.windows[entry.id][0].start_at for entry in puzzle)


def test_who_runs_gives_way_to_one_that_must_start_now() -> None:
    window = Window(start_at=NOON - SLOT, end_at=NOON + 3 * SLOT)
    limits = {"submitted_at": NOON - SLOT, "interruptible": True, "policy": "interruptible"}
    running = lived(job(1, 4, 20, **limits), (Running(run_id="r", started_at=NOON - SLOT, windows=(window,), handle="h"), NOON))
    urgent = job(2, 2, 0)
    found = joint([running, urgent], gpus=1)
    assert late(found, [running, urgent]) == []
    assert found.windows["2"][0].start_at == NOON


# As clean as the packer has it


def grams(found: Joint, known: IntensitySeries) -> float:
    return sum(known.integral_g_per_kw(window.start_at, window.end_at) for (window,) in found.windows.values())


def least_g(shapes: Sequence[Shape], values: np.ndarray, gpus: float) -> float:
    """Of all schedules that have these in time."""
    edges = np.concatenate(([0.0], np.cumsum(values))) / 2
    spans = [range(slack + 1) for _, slack, _ in shapes]
    lawful = (starts for starts in product(*spans) if fits(shapes, starts, gpus))
    return min(
        sum(edges[begin + slots] - edges[begin] for begin, (slots, _, _) in zip(starts, shapes, strict=True)) for starts in lawful
    )


def tight(seed: int) -> tuple[list[Shape], np.ndarray]:
    rng = np.random.default_rng([seed, 11])
    return [(int(rng.integers(1, 4)), int(rng.integers(3, 8)), 1.0) for _ in range(4)], rng.uniform(50, 400, 60)


def test_a_plan_is_as_clean_as_the_packer_has_it_beside_all_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    packed, quick, least = [], [], []
    for seed in range(8):
        shapes, values = tight(seed)
        entries, known = jobs_of(shapes), series(values.tolist())
        if any_schedule(shapes, 1) is None:
            continue
        least.append(least_g(shapes, values, 1))
        packed.append(grams(joint(entries, gpus=1, series_by_zone={"GB": known}), known))
        with monkeypatch.context() as patch:
            patch.setattr(queue_packed, "CLEANED_CELLS", 0)
            quick.append(grams(joint(entries, gpus=1, series_by_zone={"GB": known}), known))
    assert all(each <= other * (1 + 1e-9) for each, other in zip(packed, quick, strict=True))
    assert sum(least) <= sum(packed) <= 1.005 * sum(least)
    assert sum(packed) < sum(quick)


def test_a_packer_that_leaves_some_out_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes, values = tight(0)
    entries, known = jobs_of(shapes), {"GB": series(values.tolist())}
    monkeypatch.setattr(queue_packed, "CLEANED_CELLS", 0)
    quick = joint(entries, gpus=1, series_by_zone=known)
    monkeypatch.undo()
    nothing = Packing(allotments=(), expected_g=0.0, at_once_g=None, unplaced=("0",), conflict=("0",), proved=False)
    monkeypatch.setattr(queue_packed, "pack", lambda *_: nothing)
    assert joint(entries, gpus=1, series_by_zone=known) == quick


def test_where_there_are_several_users_turns_come_before_the_packer(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes, values = tight(0)
    shared = [job(place, *shape, share_of=f"user {place % 2}") for place, shape in enumerate(shapes)]
    found = joint(shared, gpus=1, series_by_zone={"GB": series(values.tolist())})
    monkeypatch.setattr(queue_packed, "CLEANED_CELLS", 0)
    assert found == joint(shared, gpus=1, series_by_zone={"GB": series(values.tolist())})


def test_a_plan_that_has_all_in_time_stands_where_a_new_one_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_packed, "PACKED_AT_MOST", 0)
    entries, starts = two_zones(), any_schedule(TWO_ZONES, 2)
    assert starts is not None
    planned = windows_at(entries, starts)
    waiting = [lived(entry, (Waiting(windows=(window,)), NOON)) for entry, window in zip(entries, planned, strict=True)]
    found = joint(waiting, gpus=2)
    assert [found.windows[entry.id] for entry in waiting] == [(window,) for window in planned]
    assert found.conflict == ()


def test_plans_that_cannot_be_had_together_do_not_stand() -> None:
    window = Window(start_at=NOON + SLOT, end_at=NOON + 3 * SLOT)
    found = joint([lived(entry, (Waiting(windows=(window,)), NOON)) for entry in jobs_of([(2, 8, 1.0)] * 2)], gpus=1)
    assert found.windows["0"] != found.windows["1"]


# In pieces

CUTTABLE: dict[str, Any] = {"interruptible": True, "policy": "interruptible"}
STRIPES = ([50.0] * 2 + [300.0] * 2) * 15


def test_a_job_that_is_late_is_not_cut() -> None:
    now_at = NOON + 6 * SLOT
    found = joint([job(1, 4, 4, **CUTTABLE)], gpus=1, now_at=now_at, series_by_zone={"GB": series([9.0] * 7 + STRIPES)})
    assert found.windows["1"] == (Window(start_at=now_at, end_at=now_at + 4 * SLOT),)


def test_a_job_that_runs_goes_on_where_no_room_is_left_for_its_resume() -> None:
    window = Window(start_at=NOON, end_at=NOON + 4 * SLOT)
    status = Running(run_id="r", started_at=NOON, windows=(window,), handle="h")
    values = {"GB": series([300.0] * 2 + [50.0] * 58)}
    dear = lived(job(1, 4, 2, resume_cost=3 * SLOT, **CUTTABLE), (status, NOON))
    assert joint([dear], gpus=1, series_by_zone=values).windows["1"] == (window,)
    cheap = lived(job(1, 4, 4, resume_cost=SLOT / 30, **CUTTABLE), (status, NOON))
    assert joint([cheap], gpus=1, series_by_zone=values).windows["1"][0].start_at >= NOON + 2 * SLOT


def test_a_policy_that_finds_nothing_leaves_a_job_in_one_piece() -> None:
    def nothing(series: IntensitySeries, constraints: Constraints, now_at: datetime) -> Plan:
        raise NoFeasibleWindow("nowhere")

    entry = job(1, 4, 24, **CUTTABLE)
    values = {"GB": series(STRIPES)}
    assert len(joint([entry], gpus=1, series_by_zone=values).windows["1"]) == 2
    assert len(joint([entry], gpus=1, series_by_zone=values, policy=lambda _: nothing).windows["1"]) == 1


def test_barred_slots_leave_the_search_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    day = np.tile(np.repeat(200 + 60 * np.sin(np.arange(48) / 24 * np.pi), 6), 2)
    values = np.where(np.arange(576) % 70 < 18, BARRED_G_PER_KWH, day)
    source = Source(provider="list", url="", fetched_at=NOON, payload_sha256="")
    barred = IntensitySeries(start_at=NOON, step=SLOT / 6, values=values, zone="GB", kind="forecast", source=source)
    begin_at = NOON + timedelta(minutes=2)
    limits = Constraints(earliest_at=begin_at, deadline_at=begin_at + 47 * HOUR, duration=10 * HOUR, interruptible=True)
    looks, look_at = [], segments._Search.look_at
    monkeypatch.setattr(segments._Search, "look_at", lambda search, count: looks.append(count) or look_at(search, count))
    plan = interruptible(barred, limits, begin_at)
    assert plan.cost_g_per_kw < 10 * 200
    assert len(looks) < 20
