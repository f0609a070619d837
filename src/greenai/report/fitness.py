"""Data fitness in five dimensions, judged from what the ledger says of training data, energy and grid data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from greenai.report.contents import Contents
from greenai.report.trainings import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One dimension: what it asks, and what the records answer."""

    name: str
    question: str
    training: str
    energy: str
    grid: str


def fitness_of(contents: Contents) -> list[Dimension]:
    """Completeness, accuracy, timeliness, representativeness, traceability."""
    runs = contents.documents
    return [
        Dimension(
            name="Completeness",
            question="Is anything missing?",
            training=_datasets(runs, "dataset_rows", "rows"),
            energy=_gaps(runs),
            grid=f"{sum(run['intensity'] is not None for run in runs)} of {len(runs)} runs have an intensity",
        ),
        Dimension(
            name="Accuracy",
            question="How far may the numbers be off?",
            training="as loaded; not audited by greenai",
            energy=_counted("grade of the energy", [run["quality"]["energy"] or "none" for run in runs]),
            grid=_counted("grade of the intensity", [run["quality"]["intensity"] or "none" for run in runs]),
        ),
        Dimension(
            name="Timeliness",
            question="Is it of the time it is used for?",
            training="the age of the data is not known to greenai",
            energy="sampled while the runs ran",
            grid=f"{sum(bool(run['provisional']) for run in runs)} of {len(runs)} runs wait for measured values (provisional)",
        ),
        Dimension(
            name="Representativeness",
            question="Does it stand for what is claimed?",
            training=_datasets(runs, "task", ""),
            energy=_counted("machines", ["; ".join(run["inputs"]["machine"].values()) for run in runs]),
            grid=_counted("zones", [run["inputs"]["place"]["zone"] for run in runs])
            + (", some simulated by an hour-of-day table" if any(run["inputs"]["simulated"] for run in runs) else ""),
        ),
        Dimension(
            name="Traceability",
            question="Can anyone check where it came from?",
            training=_datasets(runs, "dataset_sha256", "sha256"),
            energy=_counted("meters", [part["meter"] for run in runs for part in run["components"]]),
            grid=_counted("sources", [run["intensity"]["provider"] for run in runs if run["intensity"]]),
        ),
    ]


def _datasets(runs: Sequence[Document], label: str, unit: str) -> str:
    known = {
        run["inputs"]["labels"]["dataset"]: run["inputs"]["labels"].get(label, "")[:12]
        for run in runs
        if run["inputs"]["labels"].get("dataset")
    }
    if not known:
        return "no run of this ledger names its data"
    return ", ".join(f"{name}: {value} {unit}".strip() for name, value in known.items())


def _gaps(runs: Sequence[Document]) -> str:
    gaps = sum(len(run["inputs"]["gaps"]) for run in runs)
    unmetered = sum(run["it_kwh"] is None for run in runs)
    return f"{gaps} gaps in the samples, {unmetered} of {len(runs)} runs without energy"


def _counted(what: str, values: Sequence[str]) -> str:
    counted = Counter(values).most_common()
    return f"{what}: " + ", ".join(f"{value} ({count})" for value, count in counted) if counted else f"{what}: none"
