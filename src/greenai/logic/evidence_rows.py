"""Evidence as the prototype's files had it: a row of evidence.csv, an entry of carbon_aware_decision.json.

The first 14 columns and the entry's first five keys are the prototype's, in its
order. `kWh` is the facility's energy, so that kgCO2e = kWh * ci_g_per_kwh / 1000
in every row; the hardware's own energy is `it_kWh`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Any

from greenai.model.units import SECONDS_PER_HOUR, parse_iso_utc

PROTOTYPE_COLUMNS = (
    "run_id",
    "phase",
    "task",
    "dataset",
    "hardware",
    "region",
    "timestamp_utc",
    "kWh",
    "kgCO2e",
    "water_L",
    "runtime_s",
    "quality_metric_name",
    "quality_metric_value",
    "notes",
)

LEARNED_COLUMNS = ("pair_id", "position", "repeats", "seed", "n_jobs", "feature_select", "recipe_sha256")
"""Of a training that greenai did itself: the run's labels of these names."""

COLUMNS = (
    *PROTOTYPE_COLUMNS,
    "exit_code",
    "it_kWh",
    "pue",
    "energy_source",
    "energy_quality",
    "kWh_low",
    "kWh_high",
    "ci_g_per_kwh",
    "ci_source",
    "ci_kind",
    "ci_basis",
    "ci_step",
    "kgCO2e_low",
    "kgCO2e_high",
    "embodied_kg",
    "sci_g",
    "sci_per",
    "actual_kg",
    "counterfactual_kg",
    "saving_kg",
    "saving_low_kg",
    "saving_high_kg",
    "random_start_kg",
    "verdict",
    "provisional",
    "deferred_seconds",
    "threshold_g_per_kwh",
    "forced_run",
    "simulated",
    "status",
    *LEARNED_COLUMNS,
    "version",
    "evidence_sha256",
)
"""Every column of evidence.csv in order."""

DECIMALS = 8
"""As the prototype wrote them; small values get more, never fewer than SIGNIFICANT digits."""

SIGNIFICANT = 6


def evidence_row(document: Mapping[str, Any]) -> dict[str, str]:
    """One row, by column in order, of an evidence document as shown (with its sha256).

    Phase, task, dataset, quality metric and notes come from the run's labels of
    those names. What is not known is an empty cell.
    """
    flat = {**document["inputs"], **document}
    labels = flat["labels"]
    first = {
        "run_id": flat["run_id"],
        "phase": labels.get("phase", "run"),
        "task": labels.get("task", ""),
        "dataset": labels.get("dataset", ""),
        "hardware": _hardware(flat["machine"]),
        "region": flat["place"]["zone"],
        "timestamp_utc": flat["started_at"],
        "kWh": decimal(flat["facility_kwh"]),
        "kgCO2e": _kg(flat["operational_g"]),
        "water_L": decimal(flat["water_l"]),
        "runtime_s": _runtime(flat),
        "quality_metric_name": labels.get("quality_metric_name", ""),
        "quality_metric_value": labels.get("quality_metric_value", ""),
        "notes": labels.get("notes", "") or "; ".join(flat["notes"]),
    }
    return {column: " ".join(_cell(value).split()) for column, value in {**first, **_more(flat)}.items()}


def _more(flat: Mapping[str, Any]) -> dict[str, Any]:
    energy_low, energy_high = flat["ranges"]["facility_kwh"] or (None, None)
    intensity = flat["intensity"] or {}
    return {
        "exit_code": flat["exit_code"],
        "it_kWh": decimal(flat["it_kwh"]),
        "pue": flat["place"]["pue"],
        "energy_source": _energy_source(flat["components"]),
        "energy_quality": flat["quality"]["energy"],
        "kWh_low": decimal(energy_low),
        "kWh_high": decimal(energy_high),
        "ci_g_per_kwh": decimal(flat["sci"]["intensity_g_per_kwh"]),
        "ci_source": intensity.get("provider"),
        "ci_kind": intensity.get("kind"),
        "ci_basis": intensity.get("basis"),
        "ci_step": flat["step"],
        "kgCO2e_low": _kg(flat["low_g"]),
        "kgCO2e_high": _kg(flat["high_g"]),
        "embodied_kg": _kg(flat["embodied_g"]),
        "sci_g": decimal(flat["sci"]["value_g"]),
        "sci_per": flat["sci"]["per"],
        "actual_kg": _kg(flat["actual_g"]),
        "counterfactual_kg": _kg(flat["counterfactual_g"]),
        "saving_kg": _kg(flat["saving_g"]),
        "saving_low_kg": _kg(flat["saving_low_g"]),
        "saving_high_kg": _kg(flat["saving_high_g"]),
        "random_start_kg": _kg(flat["random_start_g"]),
        "verdict": flat["verdict"],
        "provisional": flat["provisional"],
        "deferred_seconds": decimal(flat["claim"]["deferred_s"]),
        "threshold_g_per_kwh": flat["threshold_g_per_kwh"],
        "forced_run": forced(flat),
        "simulated": flat["simulated"],
        "status": _status(flat["exit_code"]),
        **{column: flat["labels"].get(column) for column in LEARNED_COLUMNS},
        "version": flat["version"],
        "evidence_sha256": flat["sha256"],
    }


def _status(exit_code: int | None) -> str:
    """How the run ended; nobody saw the end of one without an exit code."""
    if exit_code is None:
        return "interrupted"
    return "failed" if exit_code else "ok"


def _energy_source(components: Sequence[Mapping[str, Any]]) -> str:
    """The meters by name; "proxy", the prototype's word, where a power was only assumed."""
    names = ("proxy" if part["meter"] == "assumed" else part["meter"] for part in components)
    return "+".join(sorted(set(names)))


def forced(flat: Mapping[str, Any]) -> bool:
    """Whether the run started at its limit although the intensity was not below the threshold."""
    threshold, expected = flat["threshold_g_per_kwh"], (flat["decision"] or {}).get("expected_g_per_kwh")
    return threshold is not None and expected is not None and expected >= threshold


def decimal(value: float | None) -> str:
    """Fixed point, never an exponent, and never a small value lost to zero; empty for None."""
    if value is None:
        return ""
    size = floor(log10(abs(value))) if value else 0
    return f"{value:.{max(DECIMALS, SIGNIFICANT - 1 - size)}f}"


def _kg(grams: float | None) -> str:
    return decimal(grams / 1000 if grams is not None else None)


def _runtime(flat: Mapping[str, Any]) -> str:
    if flat["started_at"] is None or flat["ended_at"] is None:
        return ""
    return f"{(parse_iso_utc(flat['ended_at']) - parse_iso_utc(flat['started_at'])).total_seconds():.6f}"


def _hardware(machine: Mapping[str, str]) -> str:
    return machine.get("hardware") or "; ".join(machine.values())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def changed_cells(row: Mapping[str, str], document: Mapping[str, Any]) -> list[str]:
    """What a row of evidence.csv says otherwise than its evidence, in words; columns of the user's own are left alone."""
    return [
        f"{column} is {row.get(column)!r}, the evidence says {value!r}"
        for column, value in evidence_row(document).items()
        if row.get(column) != value
    ]


def decision_entry(document: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of carbon_aware_decision.json, of an evidence document or of the facts of a run (run_started).

    Intensities in g/kWh as forecast when the decision was made: `savings` are
    expected ones, never a claim.
    """
    flat = {**document.get("inputs", {}), **document}
    decision = flat["decision"] or {}
    naive, green = decision.get("at_once_g_per_kwh"), decision.get("expected_g_per_kwh")
    return {
        "timestamp": flat["started_at"],
        "region": flat["place"]["zone"],
        "naive_run": {"carbon_intensity": naive},
        "green_run": {
            "carbon_intensity": green,
            "deferred_seconds": _seconds(flat["runnable_at"], flat["started_at"]),
            "horizon_hours": _seconds(flat["runnable_at"], flat["latest_start_at"]) / SECONDS_PER_HOUR,
        },
        "savings": _expected_savings(naive, green),
        "threshold": flat["threshold_g_per_kwh"],
        "action": decision.get("action", "run"),
        "forced_run": forced(flat),
        "run_id": flat["run_id"],
        "source": decision.get("source"),
    }


def _seconds(earlier: str, later: str | None) -> float:
    return max(0.0, (parse_iso_utc(later) - parse_iso_utc(earlier)).total_seconds()) if later else 0.0


def _expected_savings(naive: float | None, green: float | None) -> dict[str, float]:
    if naive is None or green is None:
        return {}
    share = {"percent": 100 * (naive - green) / naive} if naive else {}
    return {"carbon_intensity": naive - green, **share}
