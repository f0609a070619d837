"""impact_math.csv: what a measured difference comes to over many runs, with its interval and its assumptions.

total = runs x mean paired difference. The interval is the 95 % interval of the
mean, times the band that the meters leave open (it is common to both arms, so it
scales the difference). Emissions take the mean intensity over the baseline's
runs. The columns of the prototype come first, in its order.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from greenai.logic.evidence_rows import decimal
from greenai.report.statistics import Paired, duration_of, facility_kwh_of
from greenai.report.trainings import Experiment, Training

PROTOTYPE_COLUMNS = (
    "scenario",
    "annual_runs",
    "hardware",
    "avg_runtime_s",
    "baseline_kwh_per_run",
    "optimized_kwh_per_run",
    "baseline_co2e_kg_per_run",
    "optimized_co2e_kg_per_run",
    "annual_savings_kwh",
    "annual_savings_co2e_kg",
    "trees_equivalent",
    "miles_not_driven",
)
COLUMNS = (
    *PROTOTYPE_COLUMNS,
    "annual_savings_kwh_low",
    "annual_savings_kwh_high",
    "annual_savings_co2e_kg_low",
    "annual_savings_co2e_kg_high",
    "ci_g_per_kwh",
    "energy_quality",
    "pairs",
    "experiment",
    "evidence",
    "statement",
)

SCENARIOS: Mapping[str, int] = {"low": 1_000, "medium": 50_000, "high": 1_000_000}
"""Trainings a year: a laboratory, a team that retrains daily, a platform. Stated, not measured."""

KG_PER_TREE_YEAR = 6.0
"""60 kg over ten years for an urban seedling, EPA greenhouse gas equivalencies."""

KG_PER_MILE = 0.400
"""An average passenger vehicle, EPA greenhouse gas equivalencies, 2024."""

LEAST_KG_TO_COMPARE = 1.0
"""Below a kilogram a comparison with trees and cars says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """One scenario: total kWh and kg saved with their intervals; None where nothing may be concluded."""

    scenario: str
    runs: int
    saved_kwh: float | None
    low_kwh: float | None
    high_kwh: float | None
    saved_kg: float | None
    low_kg: float | None
    high_kg: float | None


def impacts(experiment: Experiment, scenarios: Mapping[str, int]) -> list[Impact]:
    """The scenarios' totals."""
    energy = facility_kwh_of(experiment)
    if energy.refusal:
        return [Impact(scenario=name, runs=runs, **_nothing()) for name, runs in scenarios.items()]
    return [_impact(name, runs, energy, experiment) for name, runs in scenarios.items()]


def impact_csv(experiment: Experiment, scenarios: Mapping[str, int], *, equivalences: bool = False) -> str:
    """The file."""
    known = _known(experiment)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for impact in impacts(experiment, scenarios):
        writer.writerow({**known, **_row(impact, equivalences=equivalences), "statement": _statement(impact, experiment)})
    return text.getvalue()


def intensity_g_per_kwh(trainings: Sequence[Training]) -> float | None:
    """Mean intensity of runs, weighted by their energy; None where nothing is known."""
    known = [(one.emissions_g, one.facility_kwh) for one in trainings if one.emissions_g is not None]
    kwh = sum(energy for _, energy in known)
    return sum(grams for grams, _ in known) / kwh if kwh else None


def _impact(name: str, runs: int, energy: Paired, experiment: Experiment) -> Impact:
    saved = -energy.mean * runs
    band = _widest([training.band for training in experiment.trainings])
    ends = _stretched((-energy.high * runs, -energy.low * runs), band)
    g_per_kwh = intensity_g_per_kwh(experiment.of("baseline"))
    if g_per_kwh is None:
        return Impact(scenario=name, runs=runs, **{**_nothing(), "saved_kwh": saved, "low_kwh": ends[0], "high_kwh": ends[1]})
    co2_ends = _stretched((-energy.high * runs, -energy.low * runs), _widest([one.co2_band for one in experiment.trainings]))
    kg_per_kwh = g_per_kwh / 1000
    return Impact(
        scenario=name,
        runs=runs,
        saved_kwh=saved,
        low_kwh=ends[0],
        high_kwh=ends[1],
        saved_kg=saved * kg_per_kwh,
        low_kg=co2_ends[0] * kg_per_kwh,
        high_kg=co2_ends[1] * kg_per_kwh,
    )


def _stretched(ends: tuple[float, float], band: tuple[float, float]) -> tuple[float, float]:
    """The interval when the scale may be anything in the band; on either side of zero."""
    corners = [end * scale for end in ends for scale in band]
    return min(corners), max(corners)


def _widest(bands: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(low for low, _ in bands), max(high for _, high in bands)


def _nothing() -> dict[str, None]:
    return dict.fromkeys(("saved_kwh", "low_kwh", "high_kwh", "saved_kg", "low_kg", "high_kg"))


def _known(experiment: Experiment) -> dict[str, str]:
    first = experiment.pairs[0].baseline
    energy, duration = facility_kwh_of(experiment), duration_of(experiment)
    g_per_kwh = intensity_g_per_kwh(experiment.of("baseline"))
    kg_per_kwh = None if g_per_kwh is None else g_per_kwh / 1000
    return {
        "hardware": "; ".join(first.document["inputs"]["machine"].values()),
        "avg_runtime_s": decimal(duration.baseline_mean),
        "baseline_kwh_per_run": decimal(energy.baseline_mean),
        "optimized_kwh_per_run": decimal(energy.optimized_mean),
        "baseline_co2e_kg_per_run": decimal(None if kg_per_kwh is None else energy.baseline_mean * kg_per_kwh),
        "optimized_co2e_kg_per_run": decimal(None if kg_per_kwh is None else energy.optimized_mean * kg_per_kwh),
        "ci_g_per_kwh": decimal(g_per_kwh),
        "energy_quality": first.document["quality"]["energy"],
        "pairs": str(energy.pairs),
        "experiment": experiment.id,
        "evidence": " ".join(training.sha256[:12] for training in experiment.trainings),
    }


def _row(impact: Impact, *, equivalences: bool) -> dict[str, str]:
    kg = impact.saved_kg
    compared = equivalences and kg is not None and kg >= LEAST_KG_TO_COMPARE
    return {
        "scenario": impact.scenario,
        "annual_runs": str(impact.runs),
        "annual_savings_kwh": decimal(impact.saved_kwh),
        "annual_savings_kwh_low": decimal(impact.low_kwh),
        "annual_savings_kwh_high": decimal(impact.high_kwh),
        "annual_savings_co2e_kg": decimal(kg),
        "annual_savings_co2e_kg_low": decimal(impact.low_kg),
        "annual_savings_co2e_kg_high": decimal(impact.high_kg),
        "trees_equivalent": decimal(kg / KG_PER_TREE_YEAR) if compared and kg else "",
        "miles_not_driven": decimal(kg / KG_PER_MILE) if compared and kg else "",
    }


def _statement(impact: Impact, experiment: Experiment) -> str:
    energy = facility_kwh_of(experiment)
    if energy.refusal:
        return f"nothing is concluded: {energy.refusal}"
    return f"{impact.runs} runs a year are assumed; each saves the measured mean paired difference of {decimal(-energy.mean)} kWh"
