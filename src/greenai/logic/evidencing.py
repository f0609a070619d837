"""The evidence of a run as a JSON document: the contract of docs/reference/evidence-format.md.

A pure function of the facts, the samples and the reading, so that whoever has
these three gets the same document again: verification is nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from greenai.logic.accounting import comparison_of, footprint_of, held_back, measured
from greenai.logic.claims import CLAIMABLE, Case, relative_only, verdict
from greenai.logic.facts_documents import facts_document, facts_from_document, reading_document
from greenai.model.energy import EnergyTrace
from greenai.model.evidence import RunFacts, sha256_of
from greenai.model.footprint import Comparison, ComponentEnergy, Estimate, Footprint
from greenai.model.intensity import Reading
from greenai.model.series import IntensitySeries
from greenai.model.units import iso_utc

__all__ = ["SCHEMA", "evidence_document", "facts_document", "facts_from_document", "span_to_price"]

SCHEMA = "greenai.evidence/1"
"""A formula or a text that changes gets a new number here; a verifier then knows which rules to apply."""

NO_SAMPLES_SHA256 = sha256_of(b"")

TOP_LEVEL_FACTS = ("run_id", "command", "started_at", "ended_at", "exit_code", "decision")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Everything one document is made from. `series` is None where it does not cover the run."""

    facts: RunFacts
    trace: EnergyTrace
    reading: Reading
    series: IntensitySeries | None
    footprint: Footprint | None
    comparison: Comparison | None
    settles: str | None

    @property
    def provisional(self) -> bool:
        """Whether measured intensities may still come."""
        if self.footprint is None:
            return False
        return self.series is None or (self.series.kind != "observed" and self.settles is None)

    @property
    def samples_kept(self) -> bool:
        return self.facts.samples_sha256 != NO_SAMPLES_SHA256

    @property
    def gaps(self) -> tuple[str, ...]:
        return tuple(interval.gap for interval in self.trace.intervals if interval.gap)

    @property
    def deferred(self) -> timedelta:
        if self.comparison is not None:
            return self.comparison.deferred
        waited = held_back(self.facts.runnable_at, self.facts.started_at or self.facts.runnable_at)
        return waited + self.facts.stood_still


def evidence_document(facts: RunFacts, trace: EnergyTrace, reading: Reading, *, settles: str | None = None) -> dict[str, Any]:
    """The payload of an evidence record, or with `settles` (the hash of the record it replaces) of a settlement.

    Energy in kWh and J, emissions in gCO2e, water in L. What is not known is
    None. The caller adds previous_sha256 and sha256 of the record when showing it.
    """
    case = _case(facts, trace, reading, settles)
    judged = _verdict(case)
    known = facts_document(facts)
    document = {
        "schema": SCHEMA,
        **{name: known[name] for name in TOP_LEVEL_FACTS},
        **_energy(case.footprint),
        **_emissions(case.footprint, facts),
        **_shift(case.comparison),
        "verdict": judged,
        "claim": _claim(case, judged),
        "intensity": _intensity(reading.series),
        "provisional": case.provisional,
        "quality": _quality(case),
        "ranges": _ranges(case.footprint, case.comparison),
        "uncertainty": dict(case.footprint.uncertainty) if case.footprint else {},
        "notes": list(_notes(case, judged)),
        "inputs": _inputs(case, known),
    }
    return {**document, "settles": settles} if settles is not None else document


def span_to_price(facts: RunFacts) -> tuple[datetime, datetime]:
    """From the first moment an ended run could have started to the last one that any of its numbers needs.

    The random-start mean needs the intensities up to the end of the latest start.
    """
    started_at = facts.started_at or facts.runnable_at
    ended_at = facts.ended_at or started_at
    latest_at = facts.latest_start_at or started_at
    worked = ended_at - started_at - facts.stood_still
    return (min(facts.runnable_at, started_at), max(ended_at, latest_at + worked))


def _case(facts: RunFacts, trace: EnergyTrace, reading: Reading, settles: str | None) -> _Case:
    run = measured(trace) if trace.intervals and trace.meters else None
    series = reading.series if run and reading.series and run.covered_by(reading.series) else None
    footprint = comparison = None
    if run is not None:
        footprint = footprint_of(run, series, facts.place, embodied=facts.embodied, per=facts.per, count=facts.count)
    if run is not None and series is not None:
        comparison = comparison_of(run, series, facts)
    return _Case(
        facts=facts,
        trace=trace,
        reading=reading,
        series=series,
        footprint=footprint,
        comparison=comparison,
        settles=settles,
    )


def _verdict(case: _Case) -> str:
    return verdict(
        Case(
            exit_code=case.facts.exit_code,
            simulated=case.facts.simulated,
            zone=case.facts.place.zone,
            quality=case.footprint.quality if case.footprint else None,
            samples_kept=case.samples_kept,
            gaps=case.gaps,
            deferred=case.deferred,
            series=case.series,
            provisional=case.provisional,
            saving_g=case.comparison.saving_g if case.comparison else None,
        )
    )


def _energy(footprint: Footprint | None) -> dict[str, Any]:
    return {
        "components": [_component(part) for part in footprint.components] if footprint else [],
        "it_kwh": footprint.it_kwh if footprint else None,
        "facility_kwh": footprint.facility_kwh if footprint else None,
        "water_l": footprint.water_l if footprint else None,
    }


def _component(part: ComponentEnergy) -> dict[str, Any]:
    return {
        "component": part.component,
        "machine_j": part.machine_j,
        "job_j": part.job_j,
        "idle_j": part.idle_j,
        "meter": part.meter,
        "quality": part.quality,
        "low_j": part.low_j,
        "high_j": part.high_j,
    }


def _emissions(footprint: Footprint | None, facts: RunFacts) -> dict[str, Any]:
    operational = footprint.operational_g if footprint else None
    sci = footprint.sci if footprint else None
    return {
        "operational_g": _value(operational),
        "low_g": operational.low if operational else None,
        "high_g": operational.high if operational else None,
        "embodied_g": _value(footprint.embodied_g) if footprint else None,
        "sci": {
            "value_g": sci.value_g if sci else None,
            "per": facts.per,
            "count": facts.count,
            "energy_kwh": sci.energy_kwh if sci else None,
            "intensity_g_per_kwh": sci.intensity_g_per_kwh if sci else None,
            "embodied_g": sci.embodied_g if sci else None,
        },
    }


def _shift(comparison: Comparison | None) -> dict[str, Any]:
    saving = comparison.saving_g if comparison else None
    return {
        "actual_g": _value(comparison.actual_g) if comparison else None,
        "counterfactual_g": _value(comparison.counterfactual_g) if comparison else None,
        "saving_g": _value(saving),
        "saving_low_g": saving.low if saving else None,
        "saving_high_g": saving.high if saving else None,
        "random_start_g": comparison.random_start_g if comparison else None,
        "hold_g": _value(comparison.hold_g) if comparison else None,
    }


def _claim(case: _Case, judged: str) -> dict[str, Any]:
    """What the verdict extends to, and the share saved of the emissions of a run at once."""
    comparison = case.comparison
    saving = comparison.saving_g if comparison else None
    base = comparison.counterfactual_g if comparison else None
    extent = None
    if judged == CLAIMABLE and case.footprint:
        extent = "share" if relative_only(case.footprint.quality) else "grams and share"
    return {
        "extent": extent,
        "saving_share": saving.value / base.value if saving and base and base.value > 0 else None,
        "deferred_s": case.deferred.total_seconds(),
    }


def _intensity(series: IntensitySeries | None) -> dict[str, Any] | None:
    if series is None:
        return None
    return {
        "provider": series.source.provider,
        "zone": series.zone,
        "kind": series.kind,
        "basis": series.basis,
        "scope": series.scope,
    }


def _quality(case: _Case) -> dict[str, Any]:
    """The grade of each input; which number rests on which is in the reference."""
    return {
        "energy": case.footprint.quality if case.footprint else None,
        "intensity": case.series.kind if case.series else None,
        "pue": "stated" if case.facts.place.pue_stated else "assumed",
        "embodied": "stated" if case.facts.embodied else None,
        "water": "stated" if case.facts.place.wue_l_per_kwh is not None else None,
    }


def _ranges(footprint: Footprint | None, comparison: Comparison | None) -> dict[str, Any]:
    """[low, high] of each number, in its unit."""
    return {
        "it_kwh": _ends(footprint.it_energy_kwh if footprint else None),
        "facility_kwh": _ends(footprint.facility_energy_kwh if footprint else None),
        "operational_g": _ends(footprint.operational_g if footprint else None),
        "embodied_g": _ends(footprint.embodied_g if footprint else None),
        "water_l": _ends(footprint.water_use_l if footprint else None),
        "sci_g": _ends(footprint.sci_g if footprint else None),
        "actual_g": _ends(comparison.actual_g if comparison else None),
        "counterfactual_g": _ends(comparison.counterfactual_g if comparison else None),
        "saving_g": _ends(comparison.saving_g if comparison else None),
        "hold_g": _ends(comparison.hold_g if comparison else None),
    }


def _value(known: Estimate | None) -> float | None:
    return known.value if known else None


def _ends(known: Estimate | None) -> list[float] | None:
    return [known.low, known.high] if known else None


def _inputs(case: _Case, known: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the numbers were computed from, the samples by hash."""
    series = case.reading.series
    return {
        **{name: value for name, value in known.items() if name not in TOP_LEVEL_FACTS},
        "intervals": len(case.trace.intervals),
        "meters": [
            {"name": meter.name, "component": meter.component, "quality": meter.quality, "detail": meter.detail}
            for meter in case.trace.meters
        ],
        "rejected_meters": [
            {"name": meter.name, "component": meter.component, "reason": meter.reason, "remedy": meter.remedy}
            for meter in case.trace.rejected
        ],
        "gaps": list(case.gaps),
        "step_s": series.step_s if series else None,
        "issued_at": iso_utc(series.issued_at) if series and series.issued_at else None,
        **reading_document(case.reading),
    }


def _notes(case: _Case, judged: str) -> Iterator[str]:
    """What a reader must know beside the numbers, one sentence each."""
    yield from _notes_on_energy(case)
    yield from _notes_on_intensity(case)
    place = case.facts.place
    if not place.pue_stated:
        yield "no PUE was stated: the building's overhead is taken as none"
    if case.facts.embodied is None:
        yield "no embodied emissions were stated: there is no SCI score, which needs them"
    if place.wue_l_per_kwh is None:
        yield "no WUE was stated: the water is not known"
    if judged == CLAIMABLE and case.footprint and relative_only(case.footprint.quality):
        yield "the energy is modelled: state the share saved, not the grams"
    if judged == CLAIMABLE and case.series and case.series.basis == "average":
        yield "average intensities: emissions were shifted in the accounts, which does not show that they were avoided"


def _notes_on_energy(case: _Case) -> Iterator[str]:
    if case.footprint is None:
        yield "there are no energy samples: nothing is known of the energy"
    elif not case.samples_kept:
        yield "the samples could not be written: the energy cannot be recomputed"
    if case.facts.frozen:
        stood_s = case.facts.stood_still.total_seconds()
        yield f"frozen for {stood_s:.0f} s in all: in what was used, not in what would have been used by a run at once"
    if case.facts.end_note:
        yield f"how it ended: {case.facts.end_note}"
    yield from (f"meters: {note}" for note in case.trace.notes)
    yield from (f"gap: {gap}" for gap in dict.fromkeys(case.gaps))


def _notes_on_intensity(case: _Case) -> Iterator[str]:
    reading = case.reading
    if reading.fallback_reason:
        yield f"the intensities are from {reading.step}: {reading.fallback_reason}"
    if case.footprint and reading.series and case.series is None:
        series = reading.series
        yield f"the intensities reach from {iso_utc(series.start_at)} to {iso_utc(series.end_at)}, not over the whole run"
    if case.comparison and case.facts.latest_start_at and case.comparison.random_start_g is None:
        yield "the intensities do not reach over all possible starts: no random-start mean"
