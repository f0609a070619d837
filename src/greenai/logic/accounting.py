"""From joules to grams: the footprint of a run, and what shifting it saved.

Design. A trace is first laid over the slots of the series (logic/spreading.py);
emissions are then a sum over slots of kWh times the slot's intensity. A saving
is the same trace laid down twice on one series, where it ran and from the first
runnable moment. Intervals come from logic/doubting.py.

Formulas: SCI = (O + M) per R, O = E*I, M = TE*TiR/EL*RR/ToR (Green Software
Foundation, SCI specification 1.1.0); on-site water = WUE times IT energy (The
Green Grid, WUE, 2011); facility energy = PUE times IT energy (ISO/IEC 30134-2).
"""

from __future__ import annotations

from dataclasses import dataclass
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
)
from greenai.model.energy import QUALITY_ORDER, EnergyTrace
from greenai.model.footprint import Comparison, Embodied, Estimate, Footprint, Sci
from greenai.model.series import FloatArray, IntensitySeries
from greenai.model.units import iso_utc
from greenai.model.zone import Place

AT_ONCE = timedelta(minutes=1)
"""A start this soon after the first runnable moment is a start at once: reading the grid and launching take seconds."""

NOTHING = Estimate(value=0.0, low=0.0, high=0.0)


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
    _check(trace, count)
    parts = components(trace)
    it = energy_kwh(parts)
    scale = combined([ratios_of(it), pue_ratios(place)])
    operational = _operational(trace, series, place, scale) if series else None
    made = embodied.over(fsum(interval.duration_s for interval in trace.intervals)) if embodied else None
    score = operational.plus(made).scaled(1 / count) if operational and made else None
    return Footprint(
        components=parts,
        it_energy_kwh=it,
        facility_energy_kwh=estimate(it.value * place.pue, scale),
        operational_g=operational,
        embodied_g=made,
        water_use_l=it.scaled(place.wue_l_per_kwh) if place.wue_l_per_kwh is not None else None,
        sci=Sci(
            value_g=score.value if score else None,
            per=per,
            count=count,
            energy_kwh=it.value * place.pue,
            intensity_g_per_kwh=_run_intensity(trace, series, operational, it.value * place.pue),
            embodied_g=made.value if made else None,
        ),
        sci_g=score,
        quality=max((part.quality for part in parts), key=QUALITY_ORDER.index),
        uncertainty=_uncertainty(series, place, it),
    )


def _check(trace: EnergyTrace, count: float) -> None:
    if not trace.intervals or not trace.meters:
        raise InputError("a run without energy samples has no footprint")
    if not 0 < count < inf:
        raise InputError(f"the functional unit needs a count above zero, not {count}")


def _operational(trace: EnergyTrace, series: IntensitySeries, place: Place, scale: Ratios) -> Estimate:
    spans = _covered_spans(trace, series)
    grid_g = grams(slot_kwh(spans, series, spans.first_at), series)
    return estimate(grid_g * place.pue, combined([scale, band(INTENSITY_BAND[series.kind])]))


def _covered_spans(trace: EnergyTrace, series: IntensitySeries) -> Spans:
    spans = spans_of(trace)
    if not reaches(series, spans, spans.first_at):
        end_at = spans.first_at + timedelta(seconds=spans.length_s)
        raise SeriesGap(
            f"the {series.source.provider} series of {series.zone} covers {iso_utc(series.start_at)} to "
            f"{iso_utc(series.end_at)}, not all of the run from {iso_utc(spans.first_at)} to {iso_utc(end_at)}"
        )
    return spans


def _run_intensity(
    trace: EnergyTrace, series: IntensitySeries | None, operational: Estimate | None, facility_kwh: float
) -> float | None:
    """I of the SCI: the intensity weighted by the run's energy; of a run that used none, by its time."""
    if series is None or operational is None:
        return None
    if facility_kwh > 0:
        return operational.value / facility_kwh
    spans = spans_of(trace)
    return series.mean_g_per_kwh(spans.first_at, spans.first_at + timedelta(seconds=spans.length_s))


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


def covers_run(series: IntensitySeries, trace: EnergyTrace) -> bool:
    """Whether a trace that has samples can be priced from the series."""
    spans = spans_of(trace)
    return reaches(series, spans, spans.first_at)


def held_back(runnable_at: datetime, started_at: datetime) -> timedelta:
    """How long a run was deferred: zero for a start within AT_ONCE."""
    waited = started_at - runnable_at
    return waited if waited > AT_ONCE else timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shift:
    """A run on a series, and the limits within which it could have started."""

    spans: Spans
    series: IntensitySeries
    place: Place
    scale: Ratios
    runnable_at: datetime
    hold_w: float
    embodied: Embodied | None

    @property
    def deferred(self) -> timedelta:
        """How long the run was held back; a start within AT_ONCE was not."""
        return held_back(self.runnable_at, self.spans.first_at)

    @property
    def holds(self) -> bool:
        """Whether hardware was reserved while the job waited."""
        return self.hold_w > 0

    def priced(self, energy_kwh: FloatArray) -> Estimate:
        """The emissions of the job's energy by slot, with the building's overhead and every error."""
        return estimate(
            grams(energy_kwh, self.series) * self.place.pue, combined([self.scale, band(INTENSITY_BAND[self.series.kind])])
        )

    def held_made(self, held: timedelta) -> Estimate:
        """The embodied share of hardware reserved for so long."""
        return self.embodied.over(held.total_seconds()) if self.embodied and self.holds else NOTHING


def compare(
    trace: EnergyTrace,
    series: IntensitySeries,
    place: Place,
    *,
    runnable_at: datetime,
    latest_start_at: datetime | None,
    hold_w: float = 0.0,
    embodied: Embodied | None = None,
) -> Comparison:
    """The run against the same samples at the first runnable moment, and against a random start in the slack.

    `hold_w` is what reserved hardware drew from `runnable_at` to the start; its
    energy, at each slot's intensity, and its share of `embodied` are charged to
    the actual run. The job's own embodied share is the same in both arms and left
    out. Raises SeriesGap when the series does not cover the run itself.
    """
    spans = _covered_spans(trace, series)
    shift = _Shift(
        spans=spans,
        series=series,
        place=place,
        scale=combined([ratios_of(energy_kwh(components(trace))), pue_ratios(place)]),
        runnable_at=runnable_at,
        hold_w=hold_w,
        embodied=embodied,
    )
    hold = _hold(shift)
    ran_kwh = slot_kwh(spans, series, spans.first_at)
    ran = shift.priced(ran_kwh)
    moved_kwh = _counterfactual_kwh(shift)
    moved = shift.priced(moved_kwh) if moved_kwh is not None else None
    saving = None
    if moved_kwh is not None and moved is not None and hold is not None:
        differences_g = (moved_kwh - ran_kwh) * series.values * place.pue
        gain = saving_estimate(moved.value - ran.value, differences_g, kind=series.kind, scale=shift.scale)
        saving = minus(gain, hold)
    return Comparison(
        deferred=shift.deferred,
        actual_g=ran.plus(hold) if hold is not None else None,
        counterfactual_g=moved,
        saving_g=saving,
        random_start_g=_random_start_g(shift, latest_start_at),
        hold_g=hold,
    )


def _counterfactual_kwh(shift: _Shift) -> FloatArray | None:
    """The run's energy by slot had it started when it could; None where the series does not reach."""
    start_at = shift.runnable_at if shift.deferred else shift.spans.first_at
    return slot_kwh(shift.spans, shift.series, start_at) if reaches(shift.series, shift.spans, start_at) else None


def _hold(shift: _Shift) -> Estimate | None:
    """What the reserved hardware cost while the job waited; None where the series does not reach back."""
    if not shift.holds or not shift.deferred:
        return NOTHING
    start_at, end_at = shift.runnable_at, shift.spans.first_at
    if not shift.series.covers(start_at, end_at):
        return None
    grid_g = grams(constant_kwh(shift.hold_w, shift.series, start_at, end_at), shift.series)
    errors = combined([pue_ratios(shift.place), band(INTENSITY_BAND[shift.series.kind])])
    return estimate(grid_g * shift.place.pue, errors).plus(shift.held_made(shift.deferred))


def _random_start_g(shift: _Shift, latest_start_at: datetime | None) -> float | None:
    """Mean emissions over all starts from runnable to latest, hold included; None while the series does not reach."""
    first_at = shift.runnable_at
    if latest_start_at is None or latest_start_at < first_at:
        return None
    if not (reaches(shift.series, shift.spans, first_at) and reaches(shift.series, shift.spans, latest_start_at)):
        return None
    run_g = mean_g_over_starts(shift.spans, shift.series, first_at, latest_start_at)
    hold_g = mean_waiting_g_per_kw(shift.series, first_at, latest_start_at) * shift.hold_w / 1000
    made_g = shift.held_made((latest_start_at - first_at) / 2).value
    return (run_g + hold_g) * shift.place.pue + made_g
