"""From joules to grams: the footprint of a run, and what shifting it saved.

Design. A trace is first laid over the slots of the series (logic/spreading.py);
emissions are then a sum over slots of kWh times the slot's intensity. A saving
is the same trace laid down twice on one series, where it ran and from the first
runnable moment. What a command drew while it was frozen is in the first and not
in the second: a job that runs at once is not frozen. Intervals come from
logic/doubting.py.

Formulas: SCI = (O + M) per R, O = E*I, M = TE*TiR/EL*RR/ToR (Green Software
Foundation, SCI specification 1.1.0); on-site water = WUE times IT energy (The
Green Grid, WUE, 2011); facility energy = PUE times IT energy (ISO/IEC 30134-2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import fsum, inf

from greenai.errors import InputError, SeriesGap
from greenai.logic.attributing import components
from greenai.logic.doubting import (
    INTENSITY_BAND,
    PUE_ASSUMED_BAND,
    PUE_STATED_BAND,
    Ratios,
    band,
    combined,
    energy_kwh,
    estimate,
    minus,
    pue_ratios,
    ratios_of,
    saving_estimate,
    times,
)
from greenai.logic.spreading import (
    Spans,
    constant_kwh,
    grams,
    mean_g_over_starts,
    mean_waiting_g_per_kw,
    reaches,
    slot_kwh,
    spans_of,
    without,
)
from greenai.model.energy import QUALITY_ORDER, EnergyTrace
from greenai.model.evidence import RunFacts
from greenai.model.footprint import Comparison, ComponentEnergy, Embodied, Estimate, Footprint, Sci
from greenai.model.plan import Window, total_of
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.units import iso_utc
from greenai.model.zone import Place

AT_ONCE = timedelta(minutes=1)
"""A start this soon after the first runnable moment is a start at once: reading the grid and launching take seconds."""

NOTHING = Estimate(value=0.0, low=0.0, high=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A metered run as all that follows needs it: the components, their sum in kWh, and the job's joules over time."""

    parts: tuple[ComponentEnergy, ...]
    it_kwh: Estimate
    spans: Spans
    reserved_s: float

    @property
    def start_at(self) -> datetime:
        """The first moment of the samples."""
        return self.spans.first_at

    @property
    def end_at(self) -> datetime:
        """The last moment of the samples."""
        return self.spans.first_at + timedelta(seconds=self.spans.length_s)

    def covered_by(self, series: IntensitySeries) -> bool:
        """Whether the series can price the run."""
        return reaches(series, self.spans, self.start_at)


def measured(trace: EnergyTrace) -> Measured:
    """The run out of its trace; raises InputError when there are no samples in it."""
    if not trace.intervals or not trace.meters:
        raise InputError("a run without energy samples has no footprint")
    parts = components(trace)
    reserved_s = fsum(interval.duration_s for interval in trace.intervals)
    return Measured(parts=parts, it_kwh=energy_kwh(parts), spans=spans_of(trace), reserved_s=reserved_s)


def account(
    trace: EnergyTrace,
    series: IntensitySeries | None,
    place: Place,
    *,
    embodied: Embodied | None = None,
    per: str = "run",
    count: float = 1.0,
) -> Footprint:
    """The footprint of a metered run; without a series its emissions are None, not zero.

    R of the SCI is `count` units named by `per`. Raises SeriesGap when the series
    does not cover the whole trace, InputError for a trace without samples or a
    count that is not above zero.
    """
    return footprint_of(measured(trace), series, place, embodied=embodied, per=per, count=count)


def footprint_of(
    run: Measured, series: IntensitySeries | None, place: Place, *, embodied: Embodied | None, per: str, count: float
) -> Footprint:
    """As `account`, of a run that is measured already."""
    if not 0 < count < inf:
        raise InputError(f"the functional unit needs a count above zero, not {count}")
    facility = times(run.it_kwh, run.it_kwh.value * place.pue, [pue_ratios(place)], factor=place.pue)
    intensity = _run_intensity(run, series) if series else None
    operational = _operational(run, series, place, intensity) if series and intensity is not None else None
    made = embodied.over(run.reserved_s) if embodied else None
    score = operational.plus(made).scaled(1 / count) if operational and made else None
    return Footprint(
        components=run.parts,
        it_energy_kwh=run.it_kwh,
        facility_energy_kwh=facility,
        operational_g=operational,
        embodied_g=made,
        water_use_l=run.it_kwh.scaled(place.wue_l_per_kwh) if place.wue_l_per_kwh is not None else None,
        sci=Sci(
            value_g=score.value if score else None,
            per=per,
            count=count,
            energy_kwh=facility.value,
            intensity_g_per_kwh=intensity,
            embodied_g=made.value if made else None,
        ),
        sci_g=score,
        quality=max((part.quality for part in run.parts), key=QUALITY_ORDER.index),
        uncertainty=_uncertainty(series, place, run.it_kwh),
    )


def _operational(run: Measured, series: IntensitySeries, place: Place, g_per_kwh: float) -> Estimate:
    grid_g = grams(slot_kwh(run.spans, series, run.start_at), series)
    errors = [pue_ratios(place), band(INTENSITY_BAND[series.kind])]
    return times(run.it_kwh, grid_g * place.pue, errors, factor=g_per_kwh * place.pue)


def _run_intensity(run: Measured, series: IntensitySeries) -> float:
    """I of the SCI: the intensity weighted by the run's energy; of a run that used none, by its time."""
    _check_covered(run, series)
    if run.it_kwh.value > 0:
        return grams(slot_kwh(run.spans, series, run.start_at), series) / run.it_kwh.value
    return series.mean_g_per_kwh(run.start_at, run.end_at)


def _check_covered(run: Measured, series: IntensitySeries) -> None:
    if not run.covered_by(series):
        raise SeriesGap(
            f"the {series.source.provider} series of {series.zone} covers {iso_utc(series.start_at)} to "
            f"{iso_utc(series.end_at)}, not all of the run from {iso_utc(run.start_at)} to {iso_utc(run.end_at)}"
        )


def _uncertainty(series: IntensitySeries | None, place: Place, it: Estimate) -> dict[str, str]:
    """What each interval rests on, in words."""
    low, high = ratios_of(it)
    pue_band = PUE_STATED_BAND if place.pue_stated else PUE_ASSUMED_BAND
    return {
        "energy": f"times {low:.2f} to {high:.2f}, from the meters; components add",
        "pue": f"within {pue_band:.0%} ({'stated' if place.pue_stated else 'assumed'}), never below 1",
        "intensity": f"within {INTENSITY_BAND[series.kind]:.0%} ({series.kind})" if series else "unknown",
        "combination": "independent factors, root of the sum of squares of logarithms",
    }


def held_back(runnable_at: datetime, started_at: datetime) -> timedelta:
    """How long a run was deferred: zero for a start within AT_ONCE."""
    waited = started_at - runnable_at
    return waited if waited > AT_ONCE else timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shift:
    """A run on a series, and the limits within which it could have started."""

    run: Measured
    series: IntensitySeries
    place: Place
    runnable_at: datetime
    hold_w: float
    embodied: Embodied | None
    frozen: tuple[Window, ...]

    @property
    def waited(self) -> timedelta:
        """How long the start was held back; a start within AT_ONCE was not."""
        return held_back(self.runnable_at, self.run.start_at)

    @property
    def stood_still(self) -> timedelta:
        """How long the command was frozen."""
        return total_of(self.frozen)

    @property
    def work(self) -> Spans:
        """The run without the spans in which it stood still."""
        return without(self.run.spans, self.frozen)

    @property
    def holds(self) -> bool:
        """Whether hardware was reserved while the job waited."""
        return self.hold_w > 0

    @property
    def errors(self) -> list[Ratios]:
        """Of the building and of the grid."""
        return [pue_ratios(self.place), band(INTENSITY_BAND[self.series.kind])]

    def priced(self, by_slot_kwh: FloatArray) -> Estimate:
        """The emissions of the job's energy by slot, with the building's overhead and every error."""
        value_g = grams(by_slot_kwh, self.series) * self.place.pue
        return times(self.run.it_kwh, value_g, self.errors, factor=float(self.series.values.max()) * self.place.pue)

    def held_made(self, held: timedelta) -> Estimate:
        """The embodied share of hardware reserved for so long."""
        return self.embodied.over(held.total_seconds()) if self.embodied and self.holds else NOTHING

    @property
    def frozen_made(self) -> Estimate:
        """The embodied share of the time in which the command stood still and kept its memory."""
        return self.embodied.over(self.stood_still.total_seconds()) if self.embodied and self.frozen else NOTHING


def compare(
    trace: EnergyTrace,
    series: IntensitySeries,
    place: Place,
    *,
    runnable_at: datetime,
    latest_start_at: datetime | None,
    hold_w: float = 0.0,
    embodied: Embodied | None = None,
    frozen: tuple[Window, ...] = (),
) -> Comparison:
    """The run against the same samples at the first runnable moment, and against a random start in the slack.

    `hold_w` is what reserved hardware drew from `runnable_at` to the start; its
    energy, at each slot's intensity, and its share of `embodied` are charged to
    the actual run. So is the share of `embodied` over the `frozen` spans, whose
    energy the other arms do not have; of the job's own embodied emissions the rest
    is the same in all arms and left out. Raises SeriesGap when the series does not
    cover the run itself.
    """
    shift = _Shift(
        run=measured(trace),
        series=series,
        place=place,
        runnable_at=runnable_at,
        hold_w=hold_w,
        embodied=embodied,
        frozen=frozen,
    )
    return _compared(shift, latest_start_at)


def comparison_of(run: Measured, series: IntensitySeries, facts: RunFacts) -> Comparison:
    """As `compare`, of a run that is measured already and the facts about it."""
    shift = _Shift(
        run=run,
        series=series,
        place=facts.place,
        runnable_at=facts.runnable_at,
        hold_w=facts.hold_w,
        embodied=facts.embodied,
        frozen=facts.frozen,
    )
    return _compared(shift, facts.latest_start_at)


def _compared(shift: _Shift, latest_start_at: datetime | None) -> Comparison:
    run, series = shift.run, shift.series
    _check_covered(run, series)
    hold = _hold(shift)
    ran_kwh = slot_kwh(run.spans, series, run.start_at)
    ran = shift.priced(ran_kwh)
    worked_kwh = slot_kwh(replace(run.spans, job_j=shift.work.job_j), series, run.start_at)
    stood = shift.priced(ran_kwh - worked_kwh) if shift.frozen else NOTHING
    moved_kwh = _counterfactual_kwh(shift)
    moved = shift.priced(moved_kwh) if moved_kwh is not None else None
    saving = None
    if moved_kwh is not None and moved is not None and hold is not None:
        differences_g = (moved_kwh - worked_kwh) * series.values * shift.place.pue
        scale = combined([ratios_of(run.it_kwh), pue_ratios(shift.place)])
        gain_g = moved.value - (ran.value - stood.value)
        shifted = saving_estimate(gain_g, differences_g, kind=series.kind, scale=scale)
        # What was drawn while it stood still is in one arm only, so its error does not cancel as that of the work does.
        saving = minus(minus(shifted, stood), hold)
    return Comparison(
        deferred=shift.waited + shift.stood_still,
        actual_g=ran.plus(hold) if hold is not None else None,
        counterfactual_g=moved,
        saving_g=saving,
        random_start_g=_random_start_g(shift, latest_start_at),
        hold_g=hold,
    )


def _counterfactual_kwh(shift: _Shift) -> FloatArray | None:
    """The run's energy by slot had it started when it could; None where the series does not reach."""
    start_at = shift.runnable_at if shift.waited else shift.run.start_at
    spans = shift.work
    return slot_kwh(spans, shift.series, start_at) if reaches(shift.series, spans, start_at) else None


def _hold(shift: _Shift) -> Estimate | None:
    """What the reserved hardware cost while the job waited or stood still; None where the series does not reach back."""
    if not shift.holds or not shift.waited:
        return shift.frozen_made
    start_at, end_at = shift.runnable_at, shift.run.start_at
    if not shift.series.covers(start_at, end_at):
        return None
    grid_g = grams(constant_kwh(shift.hold_w, shift.series, start_at, end_at), shift.series)
    return estimate(grid_g * shift.place.pue, combined(shift.errors)).plus(shift.held_made(shift.waited)).plus(shift.frozen_made)


def _random_start_g(shift: _Shift, latest_start_at: datetime | None) -> float | None:
    """Mean emissions over all starts from runnable to latest, hold included; None while the series does not reach."""
    first_at = shift.runnable_at
    if latest_start_at is None or latest_start_at < first_at:
        return None
    work = shift.work
    if not (reaches(shift.series, work, first_at) and reaches(shift.series, work, latest_start_at)):
        return None
    run_g = mean_g_over_starts(work, shift.series, first_at, latest_start_at)
    hold_g = mean_waiting_g_per_kw(shift.series, first_at, latest_start_at) * shift.hold_w / 1000
    made_g = shift.held_made((latest_start_at - first_at) / 2).value
    return (run_g + hold_g) * shift.place.pue + made_g
