"""Intervals: how factors combine, and what a saving's interval may and may not do."""

from __future__ import annotations

import math

import pytest

from greenai.logic.doubting import (
    CERTAIN,
    INTENSITY_BAND,
    band,
    combined,
    energy_kwh,
    estimate,
    minus,
    pue_ratios,
    ratios_of,
    saving_estimate,
)
from greenai.model.footprint import ComponentEnergy, Estimate
from greenai.model.zone import Place


def test_one_factor_combines_to_itself():
    assert combined([band(0.1)]) == pytest.approx((0.9, 1.1))


def test_independent_factors_combine_by_the_root_of_squares():
    low, high = combined([(0.9, 1.1), (0.9, 1.1)])
    assert low == pytest.approx(math.exp(-math.sqrt(2) * math.log(1 / 0.9)))
    assert high == pytest.approx(math.exp(math.sqrt(2) * math.log(1.1)))
    assert low > 0.81
    assert high < 1.21


def test_a_factor_that_may_be_zero_makes_the_low_zero():
    assert combined([(0.0, 2.0), (0.9, 1.1)])[0] == 0


def test_components_add_and_so_do_the_ends():
    parts = [
        ComponentEnergy(
            component="cpu", meter="a", quality="attributed", machine_j=9e6, job_j=3.6e6, idle_j=None, low_j=1.8e6, high_j=7.2e6
        ),
        ComponentEnergy(
            component="gpu", meter="b", quality="modelled", machine_j=9e6, job_j=3.6e6, idle_j=None, low_j=3.6e6, high_j=3.6e6
        ),
    ]
    assert energy_kwh(parts) == Estimate(value=2.0, low=1.5, high=3.0)


def test_nothing_used_is_certain():
    assert ratios_of(Estimate.exact(0.0)) == CERTAIN


@pytest.mark.parametrize(
    ("place", "ratios"),
    [
        (Place(zone="GB"), (1.0, 1.15)),
        (Place(zone="GB", pue=1.5, pue_source="setting"), (0.97, 1.03)),
        (Place(zone="GB", pue=1.01, pue_source="setting"), (1 / 1.01, 1.03)),
    ],
)
def test_a_pue_is_never_below_one(place, ratios):
    assert pue_ratios(place) == pytest.approx(ratios)


def test_no_difference_has_no_interval():
    assert saving_estimate(0.0, [0.0, 0.0], kind="observed", scale=(0.5, 2.0)) == Estimate.exact(0.0)


def test_an_error_common_to_both_arms_scales_and_cannot_change_the_sign():
    sure = saving_estimate(50.0, [100.0, -50.0], kind="observed", scale=CERTAIN)
    loose = saving_estimate(50.0, [100.0, -50.0], kind="observed", scale=(0.33, 3.0))
    assert sure.low > 0
    assert loose.low == pytest.approx(sure.low * 0.33)
    assert loose.high == pytest.approx(sure.high * 3)


def test_a_loss_is_stretched_outwards_too():
    loss = saving_estimate(-50.0, [-100.0, 50.0], kind="observed", scale=(0.5, 2.0))
    sure = saving_estimate(-50.0, [-100.0, 50.0], kind="observed", scale=CERTAIN)
    assert (loss.low, loss.high) == pytest.approx((sure.low * 2, sure.high * 0.5))
    assert loss.high < 0


def test_the_intensity_error_is_partly_common():
    """By hand: r * sqrt(3/4 * (100-50)^2 + 1/4 * (100^2 + 50^2))."""
    known = saving_estimate(50.0, [100.0, -50.0], kind="observed", scale=CERTAIN)
    assert known.high - 50 == pytest.approx(0.1 * math.sqrt(0.75 * 2500 + 0.25 * 12500))


def test_a_small_saving_is_not_significant():
    assert saving_estimate(3.0, [100.0, -97.0], kind="observed", scale=CERTAIN).low < 0


def test_measured_is_surest():
    assert INTENSITY_BAND["observed"] < INTENSITY_BAND["forecast"] < INTENSITY_BAND["modelled"]


def test_differences_of_estimates_are_conservative():
    assert minus(Estimate(value=5, low=4, high=6), Estimate(value=2, low=1, high=4)) == Estimate(value=3, low=0, high=5)
    assert estimate(10.0, (0.5, 2.0)) == Estimate(value=10.0, low=5.0, high=20.0)
