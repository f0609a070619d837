"""How sure a number is: intervals as ratios, and how they combine.

Every input is a positive factor with a low and a high multiple of its value.
Factors multiply, so their logarithms add; independent ones combine by the root
of the sum of squares there (first-order propagation, as JCGM 100:2008 (GUM),
5.1.2, in logarithms). The bands are judgements, argued in
docs/explanation/accounting.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, fsum, log, sqrt

from greenai.model.footprint import ComponentEnergy, Estimate
from greenai.model.series import Kind
from greenai.model.units import kwh_from_j
from greenai.model.zone import Place

Ratios = tuple[float, float]
"""Low and high of a factor as multiples of its value: 0 <= low <= 1 <= high."""

CERTAIN: Ratios = (1.0, 1.0)

INTENSITY_BAND: dict[Kind, float] = {"observed": 0.10, "forecast": 0.20, "modelled": 0.30}
"""Relative error of an intensity by kind."""

INTENSITY_CORRELATION = 0.75
"""Share of an intensity's error variance that is common to all moments of one series."""

PUE_STATED_BAND = 0.03
PUE_ASSUMED_BAND = 0.15


def estimate(value: float, ratios: Ratios) -> Estimate:
    """A value with the interval its ratios give."""
    return Estimate(value=value, low=value * ratios[0], high=value * ratios[1])


def band(relative: float) -> Ratios:
    """The ratios of a symmetric relative error."""
    return (1 - relative, 1 + relative)


def combined(factors: Sequence[Ratios]) -> Ratios:
    """The ratios of a product of independent factors."""
    lows = [low for low, _ in factors]
    low = exp(-_root(log(low) for low in lows)) if min(lows) > 0 else 0.0
    return (low, exp(_root(log(high) for _, high in factors)))


def _root(errors: Iterable[float]) -> float:
    return sqrt(fsum(error * error for error in errors))


def energy_kwh(parts: Sequence[ComponentEnergy]) -> Estimate:
    """The job's energy: components add, and so do the ends of their intervals, which is conservative."""
    return Estimate(
        value=kwh_from_j(fsum(part.job_j for part in parts)),
        low=kwh_from_j(fsum(part.low_j for part in parts)),
        high=kwh_from_j(fsum(part.high_j for part in parts)),
    )


def ratios_of(known: Estimate) -> Ratios:
    """An interval as multiples of its value; of a value of zero, none."""
    return (known.low / known.value, known.high / known.value) if known.value > 0 else CERTAIN


def times(energy: Estimate, value: float, factors: Sequence[Ratios], *, factor: float) -> Estimate:
    """`value`, which is the energy times `factor`, with the errors of the energy and of the other factors.

    A sleeping job may have used nothing and yet reach up to something: there the
    high end is that of the energy, times `factor` and the others' high.
    """
    if energy.value > 0:
        return estimate(value, combined([ratios_of(energy), *factors]))
    return Estimate(value=value, low=0.0, high=energy.high * factor * combined(factors)[1])


def pue_ratios(place: Place) -> Ratios:
    """How sure the PUE is; it is never below 1."""
    low, high = band(PUE_STATED_BAND if place.pue_stated else PUE_ASSUMED_BAND)
    return (max(low, 1 / place.pue), high)


def saving_estimate(gain_g: float, slot_differences_g: Iterable[float], *, kind: Kind, scale: Ratios) -> Estimate:
    """The interval of what shifting the run saved, hold aside.

    `slot_differences_g` is counterfactual minus actual in each slot, so slots in
    which both arms ran cancel. The intensity's error has a part common to both
    arms, which scales the difference, and a part of its own in each arm, taken as
    lasting as long as the arm. Energy and PUE (`scale`) are the same in both arms:
    they stretch the interval and cannot change its sign.
    """
    differences = list(slot_differences_g)
    dirtier_g = fsum(max(difference, 0.0) for difference in differences)
    cleaner_g = fsum(max(-difference, 0.0) for difference in differences)
    common = INTENSITY_CORRELATION * (dirtier_g - cleaner_g) ** 2
    own = (1 - INTENSITY_CORRELATION) * (dirtier_g**2 + cleaner_g**2)
    error_g = INTENSITY_BAND[kind] * sqrt(common + own)
    return Estimate(value=gain_g, low=_stretched(gain_g - error_g, scale)[0], high=_stretched(gain_g + error_g, scale)[1])


def _stretched(end_g: float, scale: Ratios) -> Ratios:
    ends = (end_g * scale[0], end_g * scale[1])
    return (min(ends), max(ends))


def minus(whole: Estimate, part: Estimate) -> Estimate:
    """The difference of two independent estimates; intervals add, which is conservative."""
    return Estimate(value=whole.value - part.value, low=whole.low - part.high, high=whole.high - part.low)
