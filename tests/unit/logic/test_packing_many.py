"""Packing jobs that hold several resources: against brute force, with running jobs, caps, budgets and priorities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations, product

import numpy as np
import pytest

from greenai.errors import InputError
from greenai.logic import packing_conflict, packing_prices
from greenai.logic.packing import pack
from greenai.logic.packing_occupancy import occupancy
from greenai.model.fleet import FleetJob, Held, Packing
from greenai.model.series import IntensitySeries, Source

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
Cells = list[tuple[int, int]]


def series(values: Sequence[float], step: timedelta = HOUR) -> IntensitySeries:
    source = Source(provider="test", url="", fetched_at=T0, payload_sha256="0" * 64)
    return IntensitySeries(start_at=T0, step=step, values=np.array(values, float), zone="GB", source=source)


def job(name: str, hours: float, first: float, end: float, **more: object) -> FleetJob:
    limits = {"duration": hours * HOUR, "earliest_at": T0 + first * HOUR, "deadline_at": T0 + end * HOUR}
    return FleetJob(id=name, **limits, **more)  # type: ignore[arg-type]  # keyword by keyword in each test


def hours_of(packing: Packing) -> dict[str, list[int]]:
    return {
        allotment.job_id: [t for w in allotment.windows for t in range((w.start_at - T0) // HOUR, (w.end_at - T0) // HOUR)]
        for allotment in packing.allotments
    }


def options(task: FleetJob, places: Sequence[str]) -> Iterator[Cells]:
    first, end, hours = ((span // HOUR) for span in (task.earliest_at - T0, task.deadline_at - T0, task.duration))
    rooms = [k for k, place in enumerate(places) if not task.places or place in task.places]
    if task.interruptible:
        for times in combinations(range(first, end), hours):
            yield from ([*zip(where, times, strict=True)] for where in product(rooms, repeat=hours))
    else:
        yield from ([(k, t) for t in range(s, s + hours)] for k in rooms for s in range(first, end - hours + 1))


def least_g(jobs: Sequence[FleetJob], rates: np.ndarray, free: Mapping[str, np.ndarray], places: Sequence[str]) -> float:
    """Brute force: the least emissions of any schedule, inf where there is none."""
    if not jobs:
        return 0.0
    task, best = jobs[0], np.inf
    needs = {**task.demands, "W": task.power_w}
    for cells in options(task, places):
        if all(free[name][cell] >= need - 1e-9 for cell in cells for name, need in needs.items()):
            rest = {name: amounts.copy() for name, amounts in free.items()}
            for cell in cells:
                for name, need in needs.items():
                    rest[name][cell] -= need
            own = sum(float(rates[cell]) for cell in cells) * task.power_w / 1000
            best = min(best, own + least_g(jobs[1:], rates, rest, places))
    return best


def check_lawful(packing: Packing, jobs: Sequence[FleetJob], free: Mapping[str, np.ndarray], places: Sequence[str]) -> None:
    rest, by_id = {name: amounts.copy() for name, amounts in free.items()}, {task.id: task for task in jobs}
    for allotment in packing.allotments:
        task = by_id[allotment.job_id]
        assert sum((w.duration for w in allotment.windows), timedelta(0)) == task.duration
        assert task.earliest_at <= allotment.windows[0].start_at
        assert allotment.windows[-1].end_at <= task.deadline_at
        assert task.interruptible or len(allotment.windows) == 1
        for window, place in zip(allotment.windows, allotment.places, strict=True):
            assert not task.places or place in task.places
            span = slice((window.start_at - T0) // HOUR, (window.end_at - T0) // HOUR)
            for name, need in {**task.demands, "W": task.power_w}.items():
                rest[name][places.index(place), span] -= need
    assert all((amounts >= -1e-6).all() for amounts in rest.values())
    assert packing.expected_g == pytest.approx(sum(a.emissions_g for a in packing.allotments))


def draw(rng: np.random.Generator) -> tuple[list[FleetJob], dict[str, IntensitySeries], dict[str, np.ndarray]]:
    places = "AB"[: rng.integers(1, 3)]
    free = {
        "gpus": rng.integers(0, 4, (len(places), 6)).astype(float),
        "cpus": rng.integers(2, 9, (len(places), 6)).astype(float),
        "W": np.full((len(places), 6), float(rng.integers(4, 9) * 500)),
    }
    jobs = []
    for name in "wxyz"[: rng.integers(2, 5)]:
        hours = int(rng.integers(1, 4))
        first = int(rng.integers(0, 7 - hours))
        jobs.append(
            job(
                name,
                hours,
                first,
                int(rng.integers(first + hours, 7)),
                interruptible=bool(rng.random() < 0.5),
                power_w=float(rng.integers(1, 5) * 500),
                places=("A",) if rng.random() < 0.3 else (),
                demands={"gpus": float(rng.integers(0, 3)), "cpus": float(rng.integers(1, 5))},
            )
        )
    return jobs, {place: series(rng.integers(1, 20, 6)) for place in places}, free


def capacities(free: Mapping[str, np.ndarray], places: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    return {place: {name: free[name][k] for name in ("gpus", "cpus")} for k, place in enumerate(places)}


@pytest.mark.parametrize("seed", range(120))
def test_against_brute_force(seed: int) -> None:
    jobs, grid, free = draw(np.random.default_rng([seed, 77]))
    places = list(grid)
    packing = pack(jobs, grid, capacities(free, places), power_caps_w={place: free["W"][k] for k, place in enumerate(places)})
    check_lawful(packing, jobs, free, places)
    rates = np.stack([each.values for each in grid.values()])
    least = least_g(jobs, rates, free, places)
    if packing.unplaced and packing.proved:
        named = [task for task in jobs if task.id in packing.conflict]
        assert np.isinf(least_g(named, rates, free, places))
    if np.isinf(least):
        assert packing.unplaced
    elif not packing.unplaced:
        assert packing.expected_g >= least - 1e-9


def test_nearly_all_small_problems_that_can_be_solved_are_and_cleanly() -> None:
    solved = possible = 0
    grams = best = 0.0
    for seed in range(120):
        jobs, grid, free = draw(np.random.default_rng([seed, 78]))
        places, rates = list(grid), np.stack([each.values for each in grid.values()])
        least = least_g(jobs, rates, free, places)
        if np.isinf(least):
            continue
        caps = {place: free["W"][k] for k, place in enumerate(places)}
        packing = pack(jobs, grid, capacities(free, places), power_caps_w=caps)
        possible, solved = possible + 1, solved + (not packing.unplaced)
        if not packing.unplaced:
            grams, best = grams + packing.expected_g, best + least
    assert possible > 20
    assert solved >= 0.97 * possible
    assert grams <= 1.02 * best


def test_what_runs_already_stays_and_the_others_go_around_it() -> None:
    held = [Held(job_id="old", place="A", start_at=T0 - HOUR, end_at=T0 + 1.5 * HOUR, demands={"gpus": 2})]
    packing = pack([job("new", 1, 0, 4, demands={"gpus": 1})], {"A": series([1, 1, 5, 9])}, {"A": {"gpus": 2}}, held=held)
    assert hours_of(packing) == {"new": [2]}
    with pytest.raises(InputError, match="not offered: B"):
        pack([], {"A": series([1])}, {"A": 1}, held=[Held(job_id="x", place="B", start_at=T0, end_at=T0 + HOUR)])


def test_nothing_starts_in_a_slot_that_has_begun() -> None:
    packing = pack([job("a", 1, 0, 4)], {"A": series([1, 1, 5, 9])}, {"A": 1}, T0 + 1.2 * HOUR)
    assert hours_of(packing) == {"a": [2]}


def test_the_power_cap_keeps_heavy_jobs_apart() -> None:
    jobs = [job("a", 1, 0, 3, power_w=600), job("b", 1, 0, 3, power_w=600), job("c", 1, 0, 3, power_w=300)]
    packing = pack(jobs, {"A": series([1, 2, 9])}, {"A": 3}, power_caps_w={"A": 900})
    assert sorted(len({name for name, at in hours_of(packing).items() if hour in at}) for hour in range(3)) == [0, 1, 2]
    assert packing.expected_g == pytest.approx(0.6 + 0.3 + 1.2)


def test_a_place_without_a_cap_beside_one_with() -> None:
    jobs = [job(name, 1, 0, 1, power_w=600) for name in "abc"]
    packing = pack(jobs, {"A": series([1]), "B": series([2])}, {"A": 3, "B": 3}, power_caps_w={"A": 700})
    assert sorted(a.places[0] for a in packing.allotments) == ["A", "B", "B"]


def test_priority_gets_the_clean_slot_and_a_deadline_beats_priority() -> None:
    low, high = job("low", 1, 0, 3), job("high", 1, 0, 3, priority=5)
    assert hours_of(pack([low, high], {"A": series([9, 1, 5])}, {"A": 1})) == {"low": [2], "high": [1]}
    heavy = job("low", 1, 0, 3, power_w=9000)
    assert hours_of(pack([heavy, high], {"A": series([9, 1, 5])}, {"A": 1})) == {"low": [2], "high": [1]}
    urgent = job("low", 1, 1, 2)
    assert hours_of(pack([urgent, high], {"A": series([9, 1, 5])}, {"A": 1})) == {"low": [1], "high": [2]}


@pytest.mark.parametrize("cut", [True, False])
def test_where_not_all_fit_the_lower_priority_stays_out(*, cut: bool) -> None:
    jobs = [job(name, 1, 0, 2, priority=p, interruptible=cut) for name, p in (("a", 1), ("b", 9), ("c", 3), ("d", 2))]
    packing = pack(jobs, {"A": series([1, 2])}, {"A": 1})
    assert packing.unplaced == ("a", "d")
    assert packing.conflict == ("a", "b", "c", "d")
    assert packing.proved


@pytest.mark.parametrize("cut", [True, False])
def test_a_days_carbon_budget_is_kept_where_deadlines_allow(*, cut: bool) -> None:
    values = [1.0] * 24 + [2.0] * 24
    jobs = [job(str(k), 2, 0, 48, interruptible=cut) for k in range(3)]
    packing = pack(jobs, {"A": series(values)}, {"A": 3}, carbon_budget_g_per_day=4)
    assert sorted(max(at) // 24 for at in hours_of(packing).values()) == [0, 0, 1]
    assert packing.over_budget_g == ()
    urgent = [job(str(k), 2, 0, 24, interruptible=cut) for k in range(3)]
    over = pack(urgent, {"A": series(values)}, {"A": 3}, carbon_budget_g_per_day=4)
    assert not over.unplaced
    assert over.over_budget_g == ((T0.date(), pytest.approx(2.0)),)


def test_what_runs_already_uses_up_the_budget() -> None:
    held = [Held(job_id="old", place="A", start_at=T0 - HOUR, end_at=T0 + 2 * HOUR)]
    grid = {"A": series([1.0] * 24 + [2.0] * 24)}
    packing = pack([job("a", 2, 0, 48)], grid, {"A": 2}, held=held, carbon_budget_g_per_day=3.5)
    assert min(hours_of(packing)["a"]) >= 23 - 1
    assert packing.over_budget_g == ()


def test_an_overload_of_one_resource_is_named() -> None:
    jobs = [job("a", 2, 0, 3, demands={"gpus": 1, "cpus": 8}), job("b", 2, 0, 3, demands={"gpus": 1, "cpus": 9})]
    jobs.append(job("other", 1, 0, 3, demands={"gpus": 1}))
    packing = pack(jobs, {"A": series([1, 1, 1])}, {"A": {"gpus": 4, "cpus": 12}})
    assert packing.conflict == ("a", "b")
    assert packing.proved


def test_an_overload_of_one_place_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing_conflict, "MOST_SPANS", 0)
    jobs = [job("a", 1, 0, 1, places=("A",), demands={"cpus": 2}), job("b", 1, 0, 1, places=("A",), demands={"cpus": 3})]
    packing = pack(jobs, {"A": series([1]), "B": series([1])}, {"A": {"cpus": 4}, "B": {"cpus": 4}})
    assert packing.conflict == ("a", "b")
    assert packing.proved


def test_no_schedule_found_and_no_overload_is_no_proof() -> None:
    # 3 cpus and two jobs of 2 each for 1 of 2 h, and one of 2: sums fit (6 <= 6), the jobs do not.
    jobs = [job(name, 1, 0, 2, demands={"cpus": 2}) for name in "ab"] + [job("c", 1, 0, 2, demands={"cpus": 1.9})]
    packing = pack(jobs, {"A": series([1, 1])}, {"A": {"cpus": 3}})
    assert len(packing.unplaced) == 1
    assert packing.conflict == packing.unplaced
    assert not packing.proved


def test_jobs_that_need_nothing_are_always_placed_at_their_best() -> None:
    packing = pack([job(str(k), 1, 0, 2, demands={}) for k in range(3)], {"A": series([2, 1])}, {"A": 1})
    assert hours_of(packing) == {"0": [1], "1": [1], "2": [1]}


def test_a_demand_nobody_offers_is_a_mistake() -> None:
    with pytest.raises(InputError, match="job a needs gpus, of which no place") as caught:
        pack([job("a", 1, 0, 1, demands={"gpus": 1})], {"A": series([1])}, {"A": {"cpus": 1}})
    assert "cpus" in str(caught.value.hint)


@pytest.mark.parametrize("amount", [-1, np.inf, np.nan])
def test_an_amount_is_a_number_from_0_on(amount: float) -> None:
    with pytest.raises(InputError, match="cannot need"):
        job("a", 1, 0, 1, demands={"gpus": amount})
    with pytest.raises(InputError, match="the capacity of A"):
        pack([], {"A": series([1])}, {"A": {"gpus": -1}})
    with pytest.raises(InputError, match="carbon budget"):
        pack([], {"A": series([1])}, {"A": 1}, carbon_budget_g_per_day=amount)


def test_more_than_seven_priorities_are_still_packed() -> None:
    jobs = [job(str(k), 1, 0, 12, priority=k) for k in range(10)]
    packing = pack(jobs, {"A": series(range(12, 0, -1))}, {"A": 1})
    assert hours_of(packing)["9"] == [11]


def test_prices_are_sought_less_long_where_there_are_very_many_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing_prices, "MOST_CHOICES", 1)
    assert not pack([job(str(k), 1, 0, 3) for k in range(3)], {"A": series([1, 2, 3])}, {"A": 1}).unplaced


def test_cells_at_the_seam_of_two_places_are_two_windows() -> None:
    jobs = [job("a", 2, 0, 3, interruptible=True)]
    packing = pack(jobs, {"A": series([9, 9, 1]), "B": series([1, 9, 9])}, {"A": 1, "B": 1})
    assert packing.allotments[0].places == ("B", "A")


@pytest.mark.parametrize("seed", range(10))
def test_what_the_jobs_hold_adds_up_and_keeps_to_what_there_is(seed: int) -> None:
    jobs, grid, free = draw(np.random.default_rng([seed, 79]))
    places = list(grid)
    packing = pack(jobs, grid, capacities(free, places))
    held = {place: occupancy(jobs, packing, grid[place], (place, "cpus")) for place in places}
    taken = {task.id: task.demands["cpus"] * (task.duration / HOUR) for task in jobs if task.id not in packing.unplaced}
    assert sum(float(amounts.sum()) for amounts in held.values()) == pytest.approx(sum(taken.values()))
    for k, place in enumerate(places):
        assert (held[place] <= free["cpus"][k] + 1e-9).all()
    assert not occupancy(jobs, packing, grid[places[0]], (places[0], "llamas")).any()
