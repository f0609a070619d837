"""Footprints and comparisons by hand: PUE, water, SCI, hold, losses, and what stays unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.evidence_world import HALL, HOUR, SERVER, SLOT, START, meter, series, trace

from greenai.errors import InputError, SeriesGap
from greenai.logic.accounting import AT_ONCE, account, compare, held_back, measured
from greenai.model.energy import EnergyTrace
from greenai.model.footprint import Embodied, Estimate
from greenai.model.zone import Place

PLAIN = Place(zone="GB")
FLAT = series([200.0] * 48)
STEPPED = series([300.0] * 8 + [100.0] * 40)


def test_grams_are_summed_over_slots():
    """0.05 kWh at 300 g/kWh, 0.05 kWh at 100 g/kWh."""
    footprint = account(trace(start_at=START + 3.5 * HOUR), STEPPED, PLAIN)
    assert footprint.it_kwh == pytest.approx(0.1)
    assert footprint.operational_g.value == pytest.approx(0.05 * 300 + 0.05 * 100)
    assert footprint.sci.intensity_g_per_kwh == pytest.approx(200)


def test_pue_counts_once_and_leaves_water_alone():
    footprint = account(trace(), FLAT, HALL)
    assert footprint.facility_kwh == pytest.approx(0.12)
    assert footprint.operational_g.value == pytest.approx(24.0)
    assert footprint.water_l == pytest.approx(0.05), "WUE is per kWh of IT energy"


def test_the_sci_is_energy_times_intensity_plus_embodied_per_r():
    footprint = account(trace(), FLAT, HALL, embodied=SERVER, per="image", count=10)
    made_g = 1_000_000 / 35_064
    assert footprint.embodied_g.value == pytest.approx(made_g)
    sci = footprint.sci
    assert sci.value_g == pytest.approx((sci.energy_kwh * sci.intensity_g_per_kwh + sci.embodied_g) / 10)
    assert sci.value_g == pytest.approx((24 + made_g) / 10)
    assert (sci.per, sci.count) == ("image", 10)
    assert footprint.sci_g.low < sci.value_g < footprint.sci_g.high


def test_the_sci_specification_example():
    """1000 kg over 4 years, one hour: about 28 g (GSF SCI 1.1.0)."""
    assert SERVER.over(3600).value == pytest.approx(28.5, abs=0.1)


def test_a_share_of_the_hardware():
    assert replace(SERVER, resource_share=0.125).over(3600).value == pytest.approx(28.5 / 8, abs=0.02)


def test_without_embodied_there_is_no_score():
    footprint = account(trace(), FLAT, PLAIN)
    assert footprint.sci.value_g is None
    assert footprint.sci_g is None
    assert footprint.embodied_g is None
    assert footprint.water_l is None, "unknown is not zero"


def test_without_a_series_emissions_are_unknown_and_energy_is_not():
    footprint = account(trace(), None, HALL, embodied=SERVER)
    assert footprint.operational_g is None
    assert footprint.sci.value_g is None
    assert footprint.sci.intensity_g_per_kwh is None
    assert footprint.facility_kwh == pytest.approx(0.12)
    assert footprint.uncertainty["intensity"] == "unknown"


def test_a_run_that_used_nothing_has_the_mean_intensity_of_its_time():
    footprint = account(trace(start_at=START + 3.5 * HOUR, power_w=(0.0,) * 12), STEPPED, PLAIN)
    assert footprint.operational_g == Estimate.exact(0.0)
    assert footprint.sci.intensity_g_per_kwh == pytest.approx(200)


def sleeping():
    """A job that used no CPU on a machine whose idle power nobody knows: anything from nothing to all of it."""
    awake = trace(power_w=(100.0,) * 12)
    return replace(awake, intervals=tuple(replace(interval, job_cpu_s=0.0) for interval in awake.intervals))


def test_a_sleeping_job_may_have_used_something():
    footprint = account(sleeping(), FLAT, HALL)
    assert footprint.it_kwh == 0
    assert footprint.it_energy_kwh.high == pytest.approx(0.1 * 1.05)
    assert footprint.facility_energy_kwh.high == pytest.approx(0.105 * 1.2 * 1.03)
    assert footprint.operational_g.value == 0
    assert footprint.operational_g.high > 0.105 * 1.2 * 200
    found = compare(sleeping(), FLAT, HALL, runnable_at=START, latest_start_at=None)
    assert found.actual_g.value == 0
    assert found.actual_g.high > 0.105 * 1.2 * 200


def test_intervals_hold_the_value_and_widen_with_the_kind():
    by_kind = [
        account(trace(), series([200.0] * 48, kind=kind), PLAIN).operational_g for kind in ("observed", "forecast", "modelled")
    ]
    assert all(known.low < known.value < known.high for known in by_kind)
    widths = [known.high - known.low for known in by_kind]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


def test_the_quality_is_the_worst_of_the_components():
    meters = (meter("a"), meter("b", quality="modelled", band=0.4), meter("c", quality="attributed"))
    assert account(trace(meters=meters), FLAT, PLAIN).quality == "modelled"


def test_uncertainty_is_said_in_words():
    said = account(trace(), FLAT, HALL).uncertainty
    assert said["pue"] == "within 3% (stated), never below 1"
    assert said["intensity"] == "within 10% (observed)"
    assert "0.95 to 1.05" in said["energy"]
    assert account(trace(), FLAT, PLAIN).uncertainty["pue"] == "within 15% (assumed), never below 1"


def test_a_series_that_ends_too_soon_is_refused():
    with pytest.raises(SeriesGap, match="not all of the run from 2026-11-24T09:00:00Z to 2026-11-24T10:00:00Z"):
        account(trace(), series([200.0]), PLAIN)
    assert not measured(trace()).covered_by(series([200.0]))
    assert measured(trace()).covered_by(series([200.0, 200.0]))


@pytest.mark.parametrize("empty", [EnergyTrace(meters=(meter(),)), replace(trace(), meters=())])
def test_no_samples_no_footprint(empty):
    with pytest.raises(InputError, match="without energy samples"):
        account(empty, FLAT, PLAIN)


@pytest.mark.parametrize("count", [0, -1, float("inf"), float("nan")])
def test_r_must_be_above_zero(count):
    with pytest.raises(InputError, match="count above zero"):
        account(trace(), FLAT, PLAIN, count=count)


def shifted(known=STEPPED, *, delay=5 * HOUR, place=PLAIN, **changes):
    given = {"runnable_at": START, "latest_start_at": START + 6 * HOUR, **changes}
    return compare(trace(start_at=START + delay), known, place, **given)


def test_a_shift_is_the_same_samples_at_two_times():
    found = shifted(place=HALL)
    assert found.actual_g.value == pytest.approx(0.12 * 100)
    assert found.counterfactual_g.value == pytest.approx(0.12 * 300)
    assert found.saving_g.value == pytest.approx(24.0)
    assert found.saving_g.value == pytest.approx(found.counterfactual_g.value - found.actual_g.value)
    assert 0 < found.saving_g.low < 24 < found.saving_g.high
    assert found.deferred == 5 * HOUR


def test_a_loss_stays_negative():
    found = shifted(series([100.0] * 8 + [300.0] * 40))
    assert found.saving_g.value == pytest.approx(-20.0)
    assert found.saving_g.high < 0


def test_an_immediate_run_saves_exactly_nothing():
    for delay in (timedelta(0), AT_ONCE):
        found = shifted(STEPPED, delay=delay, hold_w=500.0)
        assert found.saving_g == Estimate.exact(0.0)
        assert found.deferred == timedelta(0)
        assert found.hold_g == Estimate.exact(0.0)


def test_a_flat_grid_costs_the_hold():
    found = shifted(FLAT, place=HALL, hold_w=50.0)
    hold_g = 1.2 * 0.050 * 5 * 200
    assert found.hold_g.value == pytest.approx(hold_g)
    assert found.saving_g.value == pytest.approx(-hold_g)
    assert found.actual_g.value == pytest.approx(24 + hold_g)
    assert found.saving_g.low < -hold_g < found.saving_g.high


def test_hold_is_priced_slot_by_slot_and_pays_its_share_of_the_hardware():
    found = shifted(STEPPED, hold_w=1000.0, embodied=SERVER)
    made = 5 * 1_000_000 / 35_064
    assert found.hold_g.value == pytest.approx(4 * 300 + 1 * 100 + made)
    assert shifted(STEPPED, embodied=SERVER).hold_g == Estimate.exact(0.0), "hardware nobody reserved is not charged"


def test_what_the_series_does_not_reach_stays_unknown():
    late = series([100.0] * 20, start_at=START + 5 * HOUR)
    found = shifted(late)
    assert found.counterfactual_g is None
    assert found.saving_g is None
    assert found.random_start_g is None
    assert found.actual_g.value == pytest.approx(10.0)
    held = shifted(late, hold_w=10.0)
    assert held.hold_g is None
    assert held.actual_g is None


def test_the_run_itself_must_be_covered():
    with pytest.raises(SeriesGap):
        shifted(series([100.0] * 4))


def test_the_random_start_is_the_mean_over_the_slack():
    found = shifted(STEPPED)
    assert found.random_start_g == pytest.approx(0.1 * (3 * 300 + 1 * 200 + 2 * 100) / 6)


def test_a_random_start_holds_the_hardware_too():
    """On a flat grid the mean wait is half the slack: 3 h of 1 kW at 200 g/kWh, and 3 h of the server."""
    bare, held = shifted(FLAT), shifted(FLAT, hold_w=1000.0, embodied=SERVER)
    assert held.random_start_g - bare.random_start_g == pytest.approx(600 + 3 * 1_000_000 / 35_064)


def test_the_random_start_needs_a_limit_and_a_series_that_reaches():
    assert shifted(latest_start_at=None).random_start_g is None
    assert shifted(latest_start_at=START - HOUR).random_start_g is None
    assert shifted(latest_start_at=START + 23 * HOUR).random_start_g is not None
    assert shifted(latest_start_at=START + 23 * HOUR + timedelta(seconds=1)).random_start_g is None


@pytest.mark.parametrize(("waited", "deferred"), [(AT_ONCE, timedelta(0)), (2 * AT_ONCE, 2 * AT_ONCE), (-SLOT, timedelta(0))])
def test_a_minute_is_at_once(waited, deferred):
    assert held_back(START, START + waited) == deferred


@pytest.mark.parametrize(
    "changes",
    [
        {"life_h": 0},
        {"resource_share": -1},
        {"total_g": Estimate(value=float("nan"), low=0, high=1)},
        {"total_g": Estimate(value=5, low=6, high=7)},
    ],
)
def test_embodied_figures_must_make_sense(changes):
    with pytest.raises(InputError, match="embodied"):
        Embodied(**{"total_g": Estimate.exact(1.0), "life_h": 1, "resource_share": 1, "source": "", **changes})
