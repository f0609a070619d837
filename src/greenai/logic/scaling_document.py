"""A scaling curve from words and from measured runs, the file of those (profile_scaling.schema.json), and beside a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from greenai.errors import InputError
from greenai.logic.elastic import Fixed, fixed_sizes
from greenai.model.energy import QUALITY_ORDER, Quality
from greenai.model.job import Constraints
from greenai.model.scaling import EXAMPLE, ScalingCurve
from greenai.model.series import IntensitySeries
from greenai.model.units import iso_utc

SCHEMA = "greenai.scaling/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRun:
    """One metered run of the command with so many workers; energies are the job's, with their interval."""

    workers: int
    duration_s: float
    energy_j: float
    low_j: float
    high_j: float
    quality: Quality
    meter: str

    @property
    def power_w(self) -> float:
        """Mean power of the run."""
        return self.energy_j / self.duration_s


def throughput_from_words(text: str) -> dict[int, float]:
    """`1=1,2=1.9,4=3.4` as throughput by number of workers.

    Raises:
        InputError: it is not written so, or names a number of workers twice.
    """
    throughput: dict[int, float] = {}
    for part in text.split(","):
        count, equals, value = part.partition("=")
        try:
            workers, speed = int(count), float(value)
        except ValueError:
            equals = ""
            workers, speed = 0, 0.0
        if not equals:
            raise InputError(
                f"a scaling curve is written WORKERS=THROUGHPUT, not {part.strip()!r}", hint=f"for example {EXAMPLE}"
            )
        if workers in throughput:
            raise InputError(f"the scaling curve names {workers} workers twice", hint=f"for example {EXAMPLE}")
        throughput[workers] = speed
    return throughput


def document_of(
    command: Sequence[str], runs: Sequence[ScalingRun], *, made_at: datetime, work_units: float | None = None
) -> dict[str, Any]:
    """What was measured: medians over the repeats, their extremes, and every run; extremes are null of one run.

    Throughput is the median time with the fewest workers over that with these:
    every run does the same work, `work_units` of it where that is said.
    """
    counts = sorted({run.workers for run in runs})
    base_s = median(run.duration_s for run in runs if run.workers == counts[0])
    points = [_point([run for run in runs if run.workers == count], base_s, work_units) for count in counts]
    return {
        "schema": SCHEMA,
        "command": list(command),
        "made_at": iso_utc(made_at),
        "repeats": len(runs) // len(counts),
        "work_units": work_units,
        "quality": max((run.quality for run in runs), key=QUALITY_ORDER.index),
        "meter": " + ".join(dict.fromkeys(run.meter for run in runs)),
        "points": points,
        "runs": [
            {
                "workers": run.workers,
                "duration_s": run.duration_s,
                "energy_j": run.energy_j,
                "low_j": run.low_j,
                "high_j": run.high_j,
            }
            for run in runs
        ],
    }


def _point(runs: Sequence[ScalingRun], base_s: float, work_units: float | None) -> dict[str, Any]:
    times_s, powers_w = [run.duration_s for run in runs], [run.power_w for run in runs]
    several = len(runs) > 1
    middle_s = median(times_s)
    return {
        "workers": runs[0].workers,
        "throughput": base_s / middle_s,
        "throughput_low": base_s / max(times_s) if several else None,
        "throughput_high": base_s / min(times_s) if several else None,
        "duration_s": middle_s,
        "units_per_s": None if work_units is None else work_units / middle_s,
        "power_w": median(powers_w),
        "power_low_w": min(powers_w) if several else None,
        "power_high_w": max(powers_w) if several else None,
        "energy_j": median(run.energy_j for run in runs),
    }


def measured_curve(document: Any) -> tuple[dict[int, float], dict[int, float] | None]:
    """Throughput, and power in W, by number of workers, of such a document; no power where none was seen.

    Raises:
        InputError: it is not what `greenai profile-scaling` writes.
    """
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        raise InputError("this is no scaling profile", hint="greenai profile-scaling --out FILE writes one")
    try:
        points = {int(point["workers"]): (float(point["throughput"]), float(point["power_w"])) for point in document["points"]}
    except (KeyError, TypeError, ValueError):
        raise InputError("the scaling profile is damaged", hint="measure again with greenai profile-scaling") from None
    throughput = {count: point[0] for count, point in points.items()}
    power_w = {count: point[1] for count, point in points.items()}
    return throughput, power_w if all(power > 0 for power in power_w.values()) else None


def broken_step(document: Mapping[str, Any]) -> str:
    """Which step of a measured curve breaks the rule on gains; empty where none does."""
    throughput, _ = measured_curve(document)
    try:
        ScalingCurve.of(throughput)
    except InputError as error:
        return str(error)
    return ""


def elastic_document(series: IntensitySeries | None, constraints: Constraints, *, made_at: datetime) -> dict[str, Any] | None:
    """The curve and what fixed numbers of workers would cost, as `plan --json` has it; None without a curve or a series."""
    curve = constraints.scaling
    if curve is None or series is None:
        return None
    return {
        "reference_workers": curve.reference_workers,
        "power_w": curve.power_w,
        "curve": [
            {"workers": point.workers, "throughput_ratio": point.throughput_ratio, "power_ratio": point.power_ratio}
            for point in curve.points
        ],
        "fixed": [_row(row) for row in fixed_sizes(series, constraints, made_at)],
    }


def _row(row: Fixed) -> dict[str, Any]:
    return {
        "manner": row.manner,
        "workers": row.workers,
        "start_at": iso_utc(row.start_at),
        "end_at": iso_utc(row.end_at),
        "cost_g_per_kw": row.cost_g_per_kw,
        "saving": row.saving,
    }
