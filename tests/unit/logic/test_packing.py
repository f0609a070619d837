"""Packing many jobs: all in time where that is possible, then clean; against brute force and a linear programme."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise, product

import numpy as np
import pytest

from greenai.errors import InputError
from greenai.logic import packing_placing
from greenai.logic.packing import pack
from greenai.model.fleet import FleetJob, Packing
from greenai.model.series import IntensitySeries, Source

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def series(values: Sequence[float], **more: object) -> IntensitySeries:
    source = Source(provider="test", url="", fetched_at=T0, payload_sha256="0" * 64)
    given = {"start_at": T0, "step": HOUR, "values": np.array(values, float), "zone": "GB", "source": source, **more}
    return IntensitySeries(**given)  # type: ignore[arg-type]  # keyword by keyword in each test


def job(name: str, hours: float, first: float, end: float, **more: object) -> FleetJob:
    limits = {"duration": hours * HOUR, "earliest_at": T0 + first * HOUR, "deadline_at": T0 + end * HOUR}
    return FleetJob(id=name, **limits, **more)  # type: ignore[arg-type]  # keyword by keyword in each test


def options(task: FleetJob, places: Sequence[str]) -> Iterator[list[tuple[int, int]]]:
    """Every set of (place, hour) the job could use."""
    first, end, hours = ((span // HOUR) for span in (task.earliest_at - T0, task.deadline_at - T0, task.duration))
    rooms = [k for k, place in enumerate(places) if not task.places or place in task.places]
    if task.interruptible:
        for times in combinations(range(first, end), hours):
            yield from ([*zip(where, times, strict=True)] for where in product(rooms, repeat=hours))
    else:
        yield from ([(k, t) for t in range(s, s + hours)] for k in rooms for s in range(first, end - hours + 1))


def least_g(jobs: Sequence[FleetJob], rates: np.ndarray, free: np.ndarray, places: Sequence[str]) -> float:
    """Brute force: the least emissions of any schedule, inf where there is none."""
    if not jobs:
        return 0.0
    best = np.inf
    for cells in options(jobs[0], places):
        if all(free[cell] > 0 for cell in cells):
            rest = free.copy()
            for cell in cells:
                rest[cell] -= 1
            own = sum(float(rates[cell]) for cell in cells) * jobs[0].power_w / 1000
            best = min(best, own + least_g(jobs[1:], rates, rest, places))
    return best


def check_lawful(packing: Packing, jobs: Sequence[FleetJob], capacities: Mapping[str, np.ndarray]) -> None:
    """Whole durations, inside the limits, in allowed places, one place at a time, no cell over its capacity."""
    used = {place: np.zeros(len(limit), int) for place, limit in capacities.items()}
    by_id = {task.id: task for task in jobs}
    for allotment in packing.allotments:
        task = by_id[allotment.job_id]
        windows = allotment.windows
        assert sum((w.duration for w in windows), timedelta(0)) == task.duration
        assert task.earliest_at <= windows[0].start_at
        assert windows[-1].end_at <= task.deadline_at
        assert all(a.end_at <= b.start_at for a, b in pairwise(windows))
        assert task.interruptible or len(windows) == 1
        for window, place in zip(windows, allotment.places, strict=True):
            assert not task.places or place in task.places
            used[place][(window.start_at - T0) // HOUR : (window.end_at - T0) // HOUR] += 1
    assert all((used[place] <= capacities[place]).all() for place in used)
    assert packing.expected_g == pytest.approx(sum(a.emissions_g for a in packing.allotments))


def draw(rng: np.random.Generator, kind: str) -> tuple[list[FleetJob], dict[str, IntensitySeries], dict[str, np.ndarray]]:
    places = "AB"[: rng.integers(1, 3)]
    grid = {place: series(rng.integers(1, 20, 6).astype(float)) for place in places}
    limits = {place: rng.integers(0, 3, 6) for place in places}
    jobs = []
    for name in "wxyz"[: rng.integers(2, 5)]:
        hours = int(rng.integers(1, 4))
        first = int(rng.integers(0, 7 - hours))
        more = {
            "interruptible": kind == "cut" or (kind == "mixed" and bool(rng.random() < 0.5)),
            "power_w": 1000.0 if kind != "weighted" else float(rng.integers(1, 5) * 500),
            "places": ("A",) if rng.random() < 0.3 else (),
        }
        jobs.append(job(name, hours, first, int(rng.integers(first + hours, 7)), **more))
    return jobs, grid, limits


@pytest.mark.parametrize("kind", ["cut", "whole", "weighted", "mixed"])
@pytest.mark.parametrize("seed", range(40))
def test_against_brute_force(kind: str, seed: int) -> None:
    jobs, grid, limits = draw(np.random.default_rng([seed, len(kind)]), kind)
    packing = pack(jobs, grid, limits)
    check_lawful(packing, jobs, limits)
    rates, free = np.stack([each.values for each in grid.values()]), np.stack(list(limits.values()))
    least = least_g(jobs, rates, free, list(grid))
    if np.isinf(least):
        assert packing.unplaced
        assert set(packing.conflict) <= {task.id for task in jobs}
        named = [task for task in jobs if task.id in packing.conflict]
        if packing.proved:
            relaxed = [FleetJob(**{**{f: getattr(t, f) for f in t.__slots__}, "interruptible": True}) for t in named]
            whole = [task for task in named if np.isinf(least_g([task], rates, free, list(grid)))]
            assert whole or np.isinf(least_g(relaxed, rates, free, list(grid)))
        return
    if kind != "mixed":
        assert not packing.unplaced
    assert packing.unplaced or packing.expected_g >= least - 1e-9
    if kind == "cut":
        assert packing.expected_g == pytest.approx(least)
    if packing.unplaced:
        assert not packing.proved


def test_the_optimum_of_interruptible_jobs_is_that_of_the_linear_programme() -> None:
    linprog = pytest.importorskip("scipy.optimize").linprog
    rng = np.random.default_rng(5)
    values, slots = rng.uniform(50, 400, 48), 48
    jobs = [
        job(str(k), n := int(rng.integers(1, 6)), a := int(rng.integers(0, 30)), a + n + 12, interruptible=True)
        for k in range(30)
    ]
    x = [(k, t) for k, task in enumerate(jobs) for t in range((task.earliest_at - T0) // HOUR, (task.deadline_at - T0) // HOUR)]
    rows, use = np.zeros((30, len(x))), np.zeros((slots, len(x)))
    for column, (k, t) in enumerate(x):
        rows[k, column] = use[t, column] = 1
    bound = linprog(
        [values[t] for _, t in x],
        A_ub=use,
        b_ub=np.full(slots, 4),
        A_eq=rows,
        b_eq=[t.duration / HOUR for t in jobs],
        bounds=(0, 1),
    )
    assert pack(jobs, {"GB": series(values)}, {"GB": 4}).expected_g == pytest.approx(bound.fun)


def test_urgent_jobs_keep_the_room_they_need() -> None:
    # Hour 1 is the cleanest, but only the urgent job has no other.
    packing = pack([job("free", 1, 0, 4), job("urgent", 1, 1, 2)], {"GB": series([9, 1, 5, 9])}, {"GB": 1})
    hours = {a.job_id: (a.windows[0].start_at - T0) // HOUR for a in packing.allotments}
    assert hours == {"free": 2, "urgent": 1}
    assert packing.proved
    assert packing.at_once_g == 10
    assert packing.expected_saving == pytest.approx(1 - 6 / 10)


def test_what_cannot_be_is_named() -> None:
    jobs = [job("a", 1, 0, 1), job("b", 1, 0, 1), job("c", 1, 2, 4)]
    packing = pack(jobs, {"GB": series([1, 1, 1, 1])}, {"GB": 1})
    assert packing.conflict == ("a", "b")
    assert packing.unplaced in {("a",), ("b",)}
    assert packing.proved
    assert packing.at_once_g is None
    assert packing.expected_saving is None


def test_a_job_longer_than_its_window_stands_alone_and_the_rest_runs() -> None:
    jobs = [job("long", 3, 0, 2), job("late", 1, 3, 2.5), job("ok", 1, 0, 4)]
    packing = pack(jobs, {"GB": series([3, 2, 1, 1])}, {"GB": 1})
    assert packing.conflict == packing.unplaced == ("long", "late")
    assert packing.allotments[0].windows[0].start_at == T0 + 2 * HOUR


def test_a_run_in_one_piece_needs_an_unbroken_stretch() -> None:
    packing = pack([job("a", 2, 0, 3)], {"GB": series([1, 1, 1])}, {"GB": np.array([1, 0, 1])})
    assert packing.conflict == ("a",)
    assert packing.proved


def test_no_schedule_in_one_piece_found_is_no_proof() -> None:
    # Each would fit if cut; in one piece two of three runs of 2 h cannot share 3 h of one unit and 3 of another.
    jobs = [job(name, 2, 0, 3) for name in "abc"]
    packing = pack(jobs, {"A": series([1, 1, 1]), "B": series([1, 1, 1])}, {"A": 1, "B": 1})
    assert len(packing.unplaced) == 1
    assert packing.conflict == packing.unplaced
    assert not packing.proved


def test_many_that_fit_only_when_cut_are_not_searched_for_ever() -> None:
    jobs = [job(str(k), 2, 0, 3) for k in range(packing_placing.SEARCH_JOBS + 2)]
    packing = pack(jobs, {"GB": series([1, 1, 1])}, {"GB": np.array([42, 41, 41])})
    assert packing.unplaced
    assert not packing.proved


def test_jobs_in_one_piece_leave_room_for_those_that_may_be_cut() -> None:
    jobs = [job("whole", 1, 0, 3), job("cut", 2, 0, 2, interruptible=True)]
    packing = pack(jobs, {"GB": series([1, 2, 9])}, {"GB": 1})
    check_lawful(packing, jobs, {"GB": np.ones(3, int)})
    assert not packing.unplaced


def test_the_queue_at_once_may_outlast_the_series() -> None:
    jobs = [job("b", 1, 0, 3), job("a", 2, 1, 3)]
    assert pack(jobs, {"GB": series([1, 1, 1])}, {"GB": np.array([0, 1, 2])}).at_once_g is None


def test_heavy_jobs_take_the_clean_hours() -> None:
    jobs = [job("light", 1, 0, 2, power_w=100, interruptible=True), job("heavy", 1, 0, 3, power_w=5000, interruptible=True)]
    packing = pack(jobs, {"GB": series([1, 5, 9])}, {"GB": 1})
    assert packing.expected_g == pytest.approx(5 + 0.5)


def test_a_heavy_job_moved_aside_takes_the_next_best() -> None:
    jobs = [
        job("heavy", 1, 0, 3, power_w=5000, interruptible=True),
        job("light", 1, 0, 3, power_w=100, interruptible=True),
        job("urgent", 1, 0, 1, power_w=100, interruptible=True),
    ]
    packing = pack(jobs, {"GB": series([1, 5, 9])}, {"GB": 1})
    assert packing.expected_g == pytest.approx(0.1 + 25 + 0.9)


@pytest.mark.parametrize("seed", range(40))
def test_the_search_finds_what_repair_did_not(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing_placing, "EJECTIONS", 0)
    monkeypatch.setattr(packing_placing, "FEW", 0)
    jobs, grid, limits = draw(np.random.default_rng([seed, 9]), "whole")
    packing = pack(jobs, grid, limits)
    check_lawful(packing, jobs, limits)
    rates, free = np.stack([each.values for each in grid.values()]), np.stack(list(limits.values()))
    assert bool(packing.unplaced) == bool(np.isinf(least_g(jobs, rates, free, list(grid))))


def test_the_search_goes_back_where_greedy_orders_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing_placing, "EJECTIONS", 0)
    monkeypatch.setattr(packing_placing, "FEW", 0)
    jobs = [job("w", 2, 1, 7), job("x", 1, 0, 4), job("y", 1, 0, 4), job("z", 1, 5, 7)]
    limits = {"GB": np.array([0, 1, 1, 1, 1, 1, 0])}
    packing = pack(jobs, {"GB": series([6, 5, 1, 1, 7, 7, 7])}, limits)
    check_lawful(packing, jobs, limits)
    assert not packing.unplaced


@pytest.mark.parametrize(
    ("jobs", "values"),
    [
        ([("a", 1, 4, 6), ("b", 1, 2, 4), ("c", 2, 0, 7)], [4, 8, 4, 2, 1, 4, 8, 7]),  # earliest deadline first finds it
        ([("a", 1, 4, 6), ("b", 3, 0, 6), ("c", 2, 0, 6)], [5, 7, 4, 2, 1, 8, 8, 3]),  # only the search does
    ],
)
def test_what_the_prices_leave_out_is_placed_another_way(
    jobs: list[tuple[str, int, int, int]], values: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing_placing, "EJECTIONS", 0)
    monkeypatch.setattr(packing_placing, "FEW", 0)
    tasks, limits = [job(*each) for each in jobs], {"GB": np.ones(8, int)}
    packing = pack(tasks, {"GB": series(values)}, limits)
    check_lawful(packing, tasks, limits)
    assert not packing.unplaced


def test_a_push_that_an_earlier_one_made_needless_is_left() -> None:
    spec = [("a", 2, 0, 7), ("b", 3, 0, 12), ("c", 2, 0, 6), ("d", 1, 0, 12), ("e", 2, 0, 10), ("f", 1, 0, 8)]
    tasks, limits = [job(*each) for each in spec], {"GB": np.full(12, 2)}
    grid = {"GB": series([10, 17, 8, 24, 3, 26, 18, 23, 2, 26, 11, 4])}
    packing = pack(tasks, grid, limits)
    check_lawful(packing, tasks, limits)
    assert packing.expected_g == pytest.approx(least_g(tasks, grid["GB"].values[None], np.full((1, 12), 2), ["GB"]))


def test_who_could_not_run_even_alone_is_left_out_and_pushes_nobody() -> None:
    packing = pack([job("a", 1, 0, 2), job("long", 3, 0, 2)], {"GB": series([2, 1, 1])}, {"GB": np.array([1, 1, 0])})
    assert [allotment.job_id for allotment in packing.allotments] == ["a"]
    assert packing.conflict == ("long",)
    assert packing.expected_g == pytest.approx(1.0)


def test_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing_placing, "SEARCH_NODES", 1)
    jobs = [job(name, 2, 0, 3) for name in "abc"]
    packing = pack(jobs, {"A": series([1, 1, 1]), "B": series([1, 1, 1])}, {"A": 1, "B": 1})
    assert len(packing.unplaced) == 1
    assert not packing.proved


def test_moving_stops_after_its_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing_placing, "MOVE_ROUNDS", 0)
    assert not pack([job("a", 1, 0, 2)], {"GB": series([1, 2])}, {"GB": 1}).unplaced


def test_nothing_to_do() -> None:
    packing = pack([], {"GB": series([1])}, {"GB": 1})
    assert packing.allotments == ()
    assert packing.proved


@pytest.mark.parametrize(
    ("jobs", "grid", "limits", "words"),
    [
        ([job("a", 1, 0, 1)] * 2, {"A": series([1])}, {"A": 1}, "same name: a"),
        ([], {}, {}, "at least one place"),
        ([], {"A": series([1]), "B": series([1, 2])}, {"A": 1, "B": 1}, "same start"),
        ([], {"A": series([1])}, {}, "no capacity"),
        ([], {"A": series([1])}, {"A": 0.5}, "whole number"),
        ([], {"A": series([1])}, {"A": -1}, "whole number"),
        ([], {"A": series([1])}, {"A": [1, 2]}, "whole number"),
        ([job("a", 1, 0, 1, places=("C",))], {"A": series([1])}, {"A": 1}, "not offered: C"),
    ],
)
def test_what_does_not_fit_together_is_refused(jobs: list[FleetJob], grid: dict, limits: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        pack(jobs, grid, limits)


@pytest.mark.parametrize(
    ("more", "words"), [({"hours": 0}, "duration"), ({"power_w": 0}, "power"), ({"power_w": np.inf}, "power")]
)
def test_a_job_needs_time_and_power(more: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        job("a", more.pop("hours", 1), 0, 1, **more)
