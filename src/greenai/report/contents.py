"""Everything a report shows, gathered from the ledger once and handed to the templates as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greenai import api
from greenai.config import Settings
from greenai.errors import InputError
from greenai.model.energy import EnergyTrace
from greenai.model.series import IntensitySeries
from greenai.report.impact import Impact, impacts, intensity_g_per_kwh
from greenai.report.statistics import Paired, duration_of, energy_of, loss_of
from greenai.report.trainings import Document, Experiment, Training, experiments_of, training_of

NO_EVIDENCE = "greenai run --mode optimized, greenai experiment and greenai run -- COMMAND make some"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An experiment and what may be said of it; `quality` is None where its runs state none."""

    experiment: Experiment
    energy: Paired
    duration: Paired
    quality: Paired | None
    metric: str
    g_per_kwh: float | None
    efficiency_g: float | None
    impacts: Sequence[Impact]

    @property
    def sentence(self) -> str:
        """The conclusion in one line, or why there is none."""
        if self.energy.refusal:
            return f"Nothing is concluded about energy: {self.energy.refusal}."
        word = "less" if self.energy.mean < 0 else "more"
        return f"The optimised training used {abs(self.energy.change_ratio):.1%} {word} energy than the baseline."

    @property
    def quality_sentence(self) -> str:
        """What happened to the quality, in one line."""
        if self.quality is None:
            return "The runs state no quality."
        if self.quality.refusal:
            return f"{self.metric} changed by {self.quality.change_ratio:+.1%}; nothing is concluded: {self.quality.refusal}."
        word = "better" if self.quality.mean < 0 else "WORSE"
        return f"{self.metric} changed by {self.quality.change_ratio:+.1%}: {word} (less is better)."


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The run in the spotlight, the comparison, and every run of the ledger.

    `series` and `trace` are what the decision saw and what the meters sampled,
    None where they are not kept.
    """

    run: Document
    series: IntensitySeries | None
    trace: EnergyTrace | None
    comparison: Comparison | None
    model: Training | None
    documents: Sequence[Document]
    problems: Sequence[str]
    records: int

    @property
    def failed(self) -> list[Document]:
        """Runs that did not end well: reported like all others."""
        return [document for document in self.documents if document["exit_code"] != 0]


def contents_of(
    *, run: str | None, experiment: str | None, scenarios: Mapping[str, int], settings: Settings | None = None
) -> Contents:
    """Read the ledger and verify it.

    Raises:
        InputError: there is no evidence, or no such run or experiment.
        StoreError: the ledger cannot be read.
    """
    documents = api.evidence_list(settings=settings)
    if not documents:
        raise InputError("there is no evidence to report on", hint=NO_EVIDENCE)
    shown = api.evidence_show(run, settings=settings) if run else _spotlight(documents)
    chosen = _chosen(experiments_of(documents), experiment)
    verified = api.verify(settings=settings)
    decision = shown["decision"]
    return Contents(
        run=shown,
        series=api.series_of(decision["source"], settings=settings) if decision else None,
        trace=api.trace_of_run(shown["run_id"], settings=settings),
        comparison=_comparison(chosen, scenarios) if chosen else None,
        model=_model(documents),
        documents=documents,
        problems=verified.problems,
        records=verified.records,
    )


def _spotlight(documents: Sequence[Document]) -> Document:
    """The newest run that was decided about, warm-ups and pairs aside; else the newest."""
    own = [document for document in documents if not document["inputs"]["labels"].get("experiment")]
    decided = [document for document in own if document["decision"] is not None and document["exit_code"] == 0]
    return (decided or own or documents)[-1]


def _chosen(found: Sequence[Experiment], wanted: str | None) -> Experiment | None:
    if wanted is None:
        return found[-1] if found else None
    fitting = [experiment for experiment in found if experiment.id.startswith(wanted)]
    if len(fitting) != 1:
        known = ", ".join(experiment.id for experiment in found) or "none"
        raise InputError(f"{len(fitting)} experiments begin with {wanted!r}", hint=f"in the ledger: {known}")
    return fitting[0]


def _comparison(experiment: Experiment, scenarios: Mapping[str, int]) -> Comparison:
    energy = energy_of(experiment)
    g_per_kwh = intensity_g_per_kwh(experiment.of("baseline"))
    saved_kwh = sum(pair.baseline.facility_kwh - pair.optimized.facility_kwh for pair in experiment.pairs) / len(experiment.pairs)
    return Comparison(
        experiment=experiment,
        energy=energy,
        duration=duration_of(experiment),
        quality=loss_of(experiment),
        metric=experiment.pairs[0].baseline.labels.get("quality_metric_name", "loss"),
        g_per_kwh=g_per_kwh,
        efficiency_g=None if g_per_kwh is None or energy.refusal else saved_kwh * g_per_kwh,
        impacts=impacts(experiment, scenarios),
    )


def _model(documents: Sequence[Document]) -> Training | None:
    """The newest training of greenai's own that stands for a model: what the model card is about."""
    found = [training_of(document) for document in documents if _makes_a_model(document["inputs"]["labels"])]
    trained = [training for training in found if training is not None]
    return trained[-1] if trained else None


def _makes_a_model(labels: Mapping[str, Any]) -> bool:
    return labels.get("phase") in {"baseline", "optimized", "predict"} and not labels.get("experiment")
