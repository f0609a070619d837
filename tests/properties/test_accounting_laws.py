"""Laws of accounting for any run on any grid: conservation, linearity, and what a shift can and cannot save."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence_world import HOUR, SERVER, START, meter, series, trace

from greenai.logic.accounting import account, compare
from greenai.logic.attributing import job_energy_j
from greenai.logic.evidence_rows import decimal
from greenai.logic.spreading import slot_kwh, spans_of, without
from greenai.model.footprint import Estimate
from greenai.model.plan import Window
from greenai.model.units import J_PER_KWH, kwh_from_j
from greenai.model.zone import Place

WATTS = st.lists(st.floats(0, 5000, allow_subnormal=False), min_size=1, max_size=20)
SECONDS = st.floats(0.001, 3000)
GRIDS = st.lists(st.floats(0, 1500, allow_subnormal=False), min_size=96, max_size=96)
DELAYS = st.timedeltas(timedelta(0), 12 * HOUR)
PLACES = st.builds(lambda pue: Place(zone="GB", pue=pue, pue_source="setting"), st.floats(1, 3))
STEPS = st.sampled_from([timedelta(minutes=5), timedelta(minutes=30), HOUR])


def grid(values, step=timedelta(minutes=30)):
    """Enough of the values, over and over, for a day and a half."""
    count = int(36 * HOUR / step)
    return series((values * (count // len(values) + 1))[:count], step=step)


@given(WATTS, SECONDS, DELAYS, GRIDS, STEPS)
def test_slots_hold_all_the_energy(power_w, step_s, delay, values, step):
    run = trace(start_at=START + delay, power_w=power_w, step_s=step_s)
    by_slot = slot_kwh(spans_of(run), grid(values, step), START + delay)
    assert by_slot.sum() * J_PER_KWH == pytest.approx(job_energy_j(run).sum(), rel=1e-12, abs=1e-12)
    assert (by_slot >= 0).all()


@given(WATTS, SECONDS, DELAYS, GRIDS, PLACES)
def test_emissions_are_the_sum_over_intervals_of_energy_times_mean_intensity(power_w, step_s, delay, values, place):
    run, known = trace(start_at=START + delay, power_w=power_w, step_s=step_s), grid(values)
    each = [
        energy_j / J_PER_KWH * known.mean_g_per_kwh(interval.start_at, interval.end_at)
        for interval, energy_j in zip(run.intervals, job_energy_j(run), strict=True)
    ]
    assert account(run, known, place).operational_g.value == pytest.approx(place.pue * sum(each), rel=1e-7, abs=1e-9)


@given(WATTS, SECONDS, GRIDS)
def test_pue_is_linear_and_leaves_water_alone(power_w, step_s, values):
    run, known = trace(power_w=power_w, step_s=step_s), grid(values)
    one, two = (account(run, known, Place(zone="GB", pue=pue, pue_source="x", wue_l_per_kwh=0.7)) for pue in (1.0, 2.0))
    assert two.operational_g.value == pytest.approx(2 * one.operational_g.value)
    assert two.facility_kwh == pytest.approx(2 * one.facility_kwh)
    assert two.water_use_l == one.water_use_l


@given(st.lists(WATTS, min_size=2, max_size=3), SECONDS, GRIDS, PLACES)
def test_the_sci_of_the_whole_is_the_sum_of_its_components(watts, step_s, values, place):
    """Each component as a run of its own; the hardware's share is the run's, so it is shared out once."""
    count = min(len(power_w) for power_w in watts)
    known = grid(values)
    parts = [trace(power_w=power_w[:count], step_s=step_s, meters=(meter(f"m{n}"),)) for n, power_w in enumerate(watts)]
    intervals = tuple(
        replace(together[0], machine_j={name: joules for part in together for name, joules in part.machine_j.items()})
        for together in zip(*(part.intervals for part in parts), strict=True)
    )
    whole = replace(parts[0], meters=tuple(part.meters[0] for part in parts), intervals=intervals)
    share = replace(SERVER, resource_share=1 / len(parts))
    apart = [account(part, known, place, embodied=share).sci.value_g for part in parts]
    assert account(whole, known, place, embodied=SERVER).sci.value_g == pytest.approx(sum(apart), rel=1e-9)


@given(WATTS, SECONDS, DELAYS, GRIDS, PLACES, st.floats(0, 2000))
def test_an_immediate_run_saves_exactly_nothing(power_w, step_s, delay, values, place, hold_w):
    start_at = START + delay
    run = trace(start_at=start_at, power_w=power_w, step_s=step_s)
    found = compare(run, grid(values), place, runnable_at=start_at, latest_start_at=start_at, hold_w=hold_w, embodied=SERVER)
    assert found.saving_g == Estimate.exact(0.0)
    assert found.actual_g == found.counterfactual_g
    assert found.random_start_g == pytest.approx(found.actual_g.value)


@given(WATTS, SECONDS, st.timedeltas(timedelta(minutes=2), 12 * HOUR), st.floats(0, 1500), PLACES, st.floats(0, 2000))
def test_on_a_flat_grid_a_shift_costs_the_hold(power_w, step_s, delay, level, place, hold_w):
    run = trace(start_at=START + delay, power_w=power_w, step_s=step_s)
    found = compare(run, grid([level]), place, runnable_at=START, latest_start_at=None, hold_w=hold_w)
    hold_g = place.pue * hold_w / 1000 * (delay / HOUR) * level
    assert found.hold_g.value == pytest.approx(hold_g, rel=1e-9, abs=1e-9)
    assert found.saving_g.value == pytest.approx(-hold_g, rel=1e-9, abs=1e-6)


@given(WATTS, SECONDS, DELAYS, GRIDS, PLACES, st.floats(0, 2000))
def test_intervals_hold_their_values_and_arms_differ_by_the_saving(power_w, step_s, delay, values, place, hold_w):
    run = trace(start_at=START + delay, power_w=power_w, step_s=step_s)
    found = compare(run, grid(values), place, runnable_at=START, latest_start_at=None, hold_w=hold_w, embodied=SERVER)
    for known in (found.actual_g, found.counterfactual_g, found.saving_g, found.hold_g):
        assert known.low <= known.value <= known.high
    scale = abs(found.counterfactual_g.value) + abs(found.actual_g.value)
    assert found.counterfactual_g.value - found.actual_g.value == pytest.approx(found.saving_g.value, abs=1e-9 + 1e-12 * scale)


@st.composite
def standing(draw):
    """Spans in the first hours of a run, in order and apart."""
    edges = sorted(draw(st.lists(st.integers(0, 20_000), max_size=8, unique=True)))
    return tuple(
        Window(start_at=START + timedelta(seconds=begins), end_at=START + timedelta(seconds=ends))
        for begins, ends in zip(edges[::2], edges[1::2], strict=False)
    )


@given(WATTS, SECONDS, standing(), standing(), GRIDS)
def test_standing_still_is_cut_out_and_nothing_else(power_w, step_s, first, second, values):
    """Conservation: what is left and what was cut is the whole; cutting twice is cutting both; order and length are kept."""
    run = spans_of(trace(power_w=power_w, step_s=step_s))
    work = without(run, first)
    outside_s = run.length_s - sum(
        max(0.0, min((span.end_at - START).total_seconds(), run.length_s) - (span.start_at - START).total_seconds())
        for span in first
    )
    assert work.length_s == pytest.approx(outside_s, abs=1e-6)
    assert (work.job_j >= 0).all()
    assert (work.job_j <= run.job_j * (1 + 1e-12)).all()
    at_power_j = np.array(power_w) * (work.end_s - work.start_s)
    assert work.job_j == pytest.approx(at_power_j, rel=1e-6, abs=1e-6), "power is constant within an interval"
    assert (work.start_s[1:] >= work.start_s[:-1]).all()
    both = without(run, (*first, *second))
    assert both.job_j.sum() <= work.job_j.sum() * (1 + 1e-9)
    assert slot_kwh(work, grid(values), START).sum() * J_PER_KWH == pytest.approx(work.job_j.sum(), rel=1e-9, abs=1e-9)


@given(WATTS, SECONDS, DELAYS, GRIDS, PLACES, st.floats(0, 2000))
def test_no_frozen_spans_change_no_bit(power_w, step_s, delay, values, place, hold_w):
    run = trace(start_at=START + delay, power_w=power_w, step_s=step_s)
    limits = {"runnable_at": START, "latest_start_at": START + HOUR, "hold_w": hold_w, "embodied": SERVER}
    assert compare(run, grid(values), place, **limits, frozen=()) == compare(run, grid(values), place, **limits)


@given(WATTS, SECONDS, standing(), GRIDS, PLACES)
def test_arms_differ_by_the_saving_also_of_a_frozen_run(power_w, step_s, frozen, values, place):
    run, known = trace(power_w=power_w, step_s=step_s), grid(values)
    found = compare(run, known, place, runnable_at=START, latest_start_at=None, embodied=SERVER, frozen=frozen)
    assert found.saving_g.low <= found.saving_g.value <= found.saving_g.high
    scale = abs(found.counterfactual_g.value) + abs(found.actual_g.value)
    assert found.counterfactual_g.value - found.actual_g.value == pytest.approx(found.saving_g.value, abs=1e-9 + 1e-12 * scale)
    work_j = without(spans_of(run), frozen).job_j.sum()
    flat = compare(run, grid([100.0]), place, runnable_at=START, latest_start_at=None, frozen=frozen)
    assert flat.counterfactual_g.value == pytest.approx(work_j / J_PER_KWH * 100 * place.pue, rel=1e-9, abs=1e-12)


@given(st.floats(1e-12, 1e12))
def test_units_round_trip(energy_kwh):
    assert kwh_from_j(energy_kwh * J_PER_KWH) == pytest.approx(energy_kwh, rel=1e-15)
    assert float(decimal(energy_kwh)) == pytest.approx(energy_kwh, rel=1e-5)
    assert "e" not in decimal(energy_kwh)
