"""Evidence documents as trainings, and trainings as experiments: what a report compares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from greenai.model.units import J_PER_KWH, parse_iso_utc

ArmName = Literal["baseline", "optimized"]
ARMS: tuple[ArmName, ArmName] = ("baseline", "optimized")

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One recorded run as a training: energies per training, where a measurement holds several (`repeats`).

    `energy_j` is the job's own, `facility_kwh` with the building's overhead;
    `band` is (low, high) of the facility's energy as shares of it, `co2_band` the
    same of the emissions: what the meters and the grid data leave open.
    """

    run_id: str
    sha256: str
    phase: str
    repeats: int
    energy_j: float
    facility_kwh: float
    emissions_g: float | None
    duration_s: float
    loss: float | None
    noise_floor_j: float
    band: tuple[float, float]
    co2_band: tuple[float, float]
    document: Document = field(repr=False)

    @property
    def reference(self) -> str:
        """How every number names the record it came from: the run and the beginning of its record's hash."""
        return f"{self.run_id} sha256:{self.sha256[:12]}"

    @property
    def labels(self) -> Mapping[str, str]:
        """The run's labels."""
        labels: Mapping[str, str] = self.document["inputs"]["labels"]
        return labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two trainings on the same split."""

    number: int
    baseline: Training
    optimized: Training


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """The pairs of one experiment in order."""

    id: str
    pairs: tuple[Pair, ...]

    @property
    def trainings(self) -> list[Training]:
        """Both arms, pair by pair."""
        return [training for pair in self.pairs for training in (pair.baseline, pair.optimized)]

    def of(self, arm: ArmName) -> list[Training]:
        """One arm in the order of the pairs."""
        return [pair.baseline if arm == "baseline" else pair.optimized for pair in self.pairs]


def training_of(document: Document) -> Training | None:
    """An evidence document as a training; None if it failed or has no energy."""
    labels = document["inputs"]["labels"]
    if document["exit_code"] != 0 or document["it_kwh"] is None or document["started_at"] is None:
        return None
    repeats = int(labels.get("repeats") or 1)
    value = labels.get("quality_metric_value")
    duration = parse_iso_utc(document["ended_at"]) - parse_iso_utc(document["started_at"])
    emissions_g = document["operational_g"]
    return Training(
        run_id=document["run_id"],
        sha256=document["sha256"],
        phase=labels.get("phase", "run"),
        repeats=repeats,
        energy_j=document["it_kwh"] * J_PER_KWH / repeats,
        facility_kwh=document["facility_kwh"] / repeats,
        emissions_g=None if emissions_g is None else emissions_g / repeats,
        duration_s=duration.total_seconds() / repeats,
        loss=float(value) if value else None,
        noise_floor_j=float(labels.get("noise_floor_j") or 0.0) / repeats,
        band=_shares(document["ranges"]["facility_kwh"], document["facility_kwh"]),
        co2_band=_shares(document["ranges"]["operational_g"], emissions_g),
        document=document,
    )


def experiments_of(documents: Iterable[Document]) -> list[Experiment]:
    """The experiments of a ledger, oldest first; runs whose partner is missing are left out."""
    arms: dict[str, dict[int, dict[str, Training]]] = {}
    for document in documents:
        labels = document["inputs"]["labels"]
        training = training_of(document) if labels.get("pair_id") and labels.get("experiment") else None
        if training is not None:
            arms.setdefault(labels["experiment"], {}).setdefault(int(labels["pair_id"]), {})[training.phase] = training
    found = [Experiment(id=name, pairs=_pairs(numbered)) for name, numbered in arms.items()]
    return [experiment for experiment in found if experiment.pairs]


def _pairs(numbered: Mapping[int, Mapping[str, Training]]) -> tuple[Pair, ...]:
    return tuple(
        Pair(number=number, baseline=arms["baseline"], optimized=arms["optimized"])
        for number, arms in sorted(numbered.items())
        if set(ARMS) <= set(arms)
    )


def _shares(ends: Sequence[float] | None, value: float | None) -> tuple[float, float]:
    if not ends or not value:
        return (1.0, 1.0)
    return (ends[0] / value, ends[1] / value)
