"""Experiments and searches, recorded: `greenai experiment` and `greenai optimize`.

Each measured training of an experiment is a run in the ledger with its pair, so
that whoever has the ledger can compare the arms again; warm-ups are runs too,
named so. A search is one run: what it used is what it costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from greenai import wiring
from greenai.api.asking import Running, new_run_id
from greenai.config import Settings
from greenai.engine.doors import Doors, tell_nobody
from greenai.engine.progress import Progress
from greenai.engine.run import RunOutcome
from greenai.engine.wait import Choice
from greenai.ports import Clock
from greenai.training.baseline import baseline_of
from greenai.training.candidates import Candidate
from greenai.training.comparing import ExperimentResult, Intensities, Run, check_runs, experiment
from greenai.training.optimising import Budget, OptimiseResult, optimise
from greenai.training.recipe import Recipe
from greenai.training.recording import Recorder
from greenai.training.running import Treatment, books_of, data_labels, job_now, metered_by
from greenai.training.workload import Workload

WARM_UPS = 2
"""One training of each arm, as `experiment` does before it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experimented:
    """An experiment, its id in the labels of its runs, and those runs in the order made, warm-ups first."""

    experiment_id: str
    result: ExperimentResult
    outcomes: tuple[RunOutcome, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong with the books, each once."""
        return tuple(dict.fromkeys(warning for outcome in self.outcomes for warning in outcome.warnings))


def experiment_when_clean(
    workload: Workload,
    treatment: Treatment,
    *,
    runs: int,
    command: tuple[str, ...],
    ask: Running | None = None,
    repeats: int | None = None,
    require_live: bool = False,
    clock: Clock | None = None,
    tell: Callable[[Progress], None] = tell_nobody,
    tell_run: Callable[[Run], None] = lambda run: None,
    doors: Doors | None = None,
    settings: Settings | None = None,
) -> Experimented:
    """Wait once for the start that `ask` allows, then train both arms in randomised pairs, each run in the ledger.

    Raises:
        InputError: no runs, or what `train_when_clean` raises.
    """
    check_runs(runs)
    ask = ask or {}
    known = wiring.settings_with(settings, meter=ask.get("meter"))
    clock = clock or wiring.system_clock()
    experiment_id = new_run_id(clock.now())
    # Phase, seed and recipe differ from run to run: each run's end states its own.
    own = ("phase", "seed", "recipe_sha256")
    known_now = {name: value for name, value in treatment.labels(workload).items() if name not in own}
    labels = {**ask.get("labels", {}), **known_now, "experiment": experiment_id}
    books = books_of(command, labels, ask, known)
    arm, base = treatment.arms(workload)
    arm.ready()
    base.ready()
    recorder = Recorder(known, doors or wiring.open_doors(known, clock=clock, tell=tell), books, warm_ups=WARM_UPS)
    choice = recorder.wait(job_now(command, ask, known, clock), require_live=require_live)
    # One answer of the grid prices all runs: between two trainings nothing is asked.
    recorder.doors = _quiet(recorder.doors)

    def kept(run: Run) -> None:
        recorder.finish(_run_labels(run, recorder, treatment.chosen(workload)))
        tell_run(run)

    try:
        result = experiment(
            workload,
            baseline=base,
            optimized=arm,
            runs=runs,
            seed=treatment.seed,
            repeats=repeats,
            margin_share=treatment.margin_share,
            intensities=_intensities(choice),
            measure=recorder,
            tell=kept,
        )
    finally:
        recorder.close()
    return Experimented(experiment_id=experiment_id, result=result, outcomes=tuple(recorder.outcomes))


def optimise_recorded(
    workload: Workload,
    treatment: Treatment,
    *,
    budget: Budget,
    command: tuple[str, ...],
    ask: Running | None = None,
    tell: Callable[[Candidate], None] | None = None,
    settings: Settings | None = None,
) -> tuple[OptimiseResult, RunOutcome]:
    """Search for the least energy that is not worse; the whole search is one run in the ledger, phase "optimize".

    Raises:
        InputError: something cannot be used or is not installed; nothing was started.
    """
    ask = ask or {}
    known = wiring.settings_with(settings, meter=ask.get("meter"))
    labels = {**data_labels(workload), "phase": "optimize", "seed": str(treatment.seed)}
    books = books_of(command, labels, ask, known)
    base = baseline_of(treatment.baseline, classes=len(workload.classes))
    base.ready()
    recorder = Recorder(known, wiring.open_doors(known), books)

    def search() -> OptimiseResult:
        return optimise(
            workload,
            measure=metered_by(known),
            baseline=base,
            margin_share=treatment.margin_share,
            budget=budget,
            seed=treatment.seed,
            tell=tell,
        )

    result, _use = recorder(search)
    return result, recorder.finish(_search_labels(result))


def _quiet(doors: Doors) -> Doors:
    """The same doors without the network, telling nobody."""
    return replace(doors, sources=replace(doors.sources, network=False), tell=tell_nobody)


def _run_labels(run: Run, recorder: Recorder, recipe: Recipe) -> dict[str, str]:
    """What the evidence of one run learns; a measurement of several trainings says how many."""
    use = run.scored.use
    whole_s = recorder.last.duration_s if recorder.last else use.duration_s
    repeats = max(1, round(whole_s / use.duration_s)) if use.duration_s > 0 else 1
    trained = {"estimator": "baseline"}
    if run.arm == "optimized":
        trained = {"estimator": recipe.family, "recipe_sha256": recipe.sha256}
    return {
        **trained,
        "phase": run.arm,
        "pair_id": str(run.pair),
        "position": str(run.position),
        "seed": str(run.scored.seed),
        "repeats": str(repeats),
        "quality_metric_value": repr(run.scored.loss),
        "noise_floor_j": repr(use.noise_floor_j * repeats),
    }


def _intensities(choice: Choice) -> Intensities | None:
    """At submission and at the chosen start, of one series; None where nothing is known."""
    decision, series = choice.decision, choice.reading.series
    if series is None or decision.at_once_g_per_kwh is None or decision.expected_g_per_kwh is None:
        return None
    waited = decision.action == "wait"
    return Intensities(
        baseline_g_per_kwh=decision.at_once_g_per_kwh,
        optimized_g_per_kwh=decision.expected_g_per_kwh if waited else decision.at_once_g_per_kwh,
        source=f"{series.source.provider}, as known when the start was chosen",
    )


def _search_labels(result: OptimiseResult) -> dict[str, str]:
    found: dict[str, Any] = {"notes": "nothing was confirmed to be as good: the baseline stays"}
    if result.chosen is not None:
        verdict = result.finals[-1].verdict
        found = {"recipe_sha256": result.chosen.sha256, "estimator": result.chosen.family, "notes": verdict.sentence()}
    return {**found, "pays_back_after": str(result.pays_back_after or "")}
