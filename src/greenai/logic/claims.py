"""What may be claimed about one run, and why not.

A claim is "this run emitted less because it was shifted". The rules are asked in
order of importance and the first that objects gives the reason. They follow
docs/explanation/accounting.md; in short: the command succeeded, it was really
held back, its energy was metered or modelled without a gap, the intensities were
measured, hourly or finer, and the interval of the saving lies above zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from greenai.model.energy import Quality
from greenai.model.footprint import Estimate
from greenai.model.queue import PAUSED_EXIT_CODE
from greenai.model.series import IntensitySeries

CLAIMABLE = "claimable"
COARSEST_STEP = timedelta(hours=1)
"""Coarser intensities hide the very variation a shift uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a claim is judged by.

    `series` is None when the run could not be priced, `saving_g` when it could not
    be compared. `quality` is the energy's, None without samples. `gaps` are the
    meters' own words for what they missed.
    """

    exit_code: int | None
    simulated: bool
    zone: str
    quality: Quality | None
    samples_kept: bool
    gaps: tuple[str, ...]
    deferred: timedelta
    series: IntensitySeries | None
    provisional: bool
    saving_g: Estimate | None


def verdict(case: Case) -> str:
    """The word "claimable", or "not claimable: " and the most important reason."""
    for objection in OBJECTIONS:
        reason = objection(case)
        if reason is not None:
            return f"not {CLAIMABLE}: {reason}"
    return CLAIMABLE


def relative_only(quality: Quality | None) -> bool:
    """Whether a claim may state the share saved but not the grams.

    Both arms of a shift use the same energy, so its error cancels in the share;
    with modelled energy the grams are a guess, the share is not.
    """
    return quality == "modelled"


def _failed(case: Case) -> str | None:
    if case.exit_code is None:
        return "nobody saw how the command ended"
    if case.exit_code == PAUSED_EXIT_CODE:
        return "the command was paused (exit code 75): what it saved counts once a later leg has completed the job"
    return f"the command failed with exit code {case.exit_code}, and a failed run saves nothing" if case.exit_code else None


def _simulated(case: Case) -> str | None:
    return "the run is simulated: its intensities are not those of its time and place" if case.simulated else None


def _unmetered(case: Case) -> str | None:
    if case.quality is None:
        return "nothing is known of the energy"
    if not case.samples_kept:
        return "the samples could not be kept, so nobody can recompute the energy"
    if case.gaps:
        return f"the meters have a gap: {case.gaps[0]}"
    return "the energy is assumed, neither measured nor modelled" if case.quality == "assumed" else None


def _at_once(case: Case) -> str | None:
    return None if case.deferred else "the run started at once, so nothing was shifted"


def _unpriced(case: Case) -> str | None:
    if case.series is None:
        remedy = " yet (greenai evidence settle)" if case.provisional else ""
        return f"the grid's intensity during the run is not known{remedy}"
    if case.series.zone != case.zone:
        return f"the intensities are those of {case.series.zone}, the run was in {case.zone}"
    return None


def _unobserved(case: Case) -> str | None:
    if case.provisional:
        return "provisional: the measured intensities are not there yet (greenai evidence settle)"
    if case.series is not None and case.series.kind != "observed":
        return f"the intensities are {case.series.kind}, not measured"
    return None


def _coarse(case: Case) -> str | None:
    if case.series is not None and case.series.step > COARSEST_STEP:
        return f"the intensities have steps of {case.series.step}, coarser than an hour"
    return None


def _insignificant(case: Case) -> str | None:
    saving = case.saving_g
    if saving is None:
        return "the intensities do not reach back to when the run could have started"
    if saving.value <= 0:
        return f"the shift saved nothing: {saving.value:.3g} g"
    return f"no significant saving: {saving.low:.3g} to {saving.high:.3g} g includes zero" if saving.low <= 0 else None


OBJECTIONS: tuple[Callable[[Case], str | None], ...] = (
    _failed,
    _simulated,
    _unmetered,
    _at_once,
    _unpriced,
    _unobserved,
    _coarse,
    _insignificant,
)
