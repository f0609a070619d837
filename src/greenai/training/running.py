"""One training of greenai's own, recorded: `greenai run --mode`, `greenai train`.

The data is loaded before, the quality gate judges before (its energy is a run of
its own, phase "gate"), then the training waits for its start as a command would,
and only from its preprocessing to its predictions is it metered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from greenai import wiring
from greenai.api import measured
from greenai.api.asking import Running, job_of, new_run_id
from greenai.config import Settings
from greenai.engine.doors import Doors, tell_nobody
from greenai.engine.progress import Progress
from greenai.engine.run import RunOutcome
from greenai.engine.wait import choose
from greenai.errors import GreenaiError
from greenai.model.job import Job
from greenai.ports import Clock
from greenai.training.arms import Arm, arm_of
from greenai.training.baseline import baseline_of
from greenai.training.extras import import_lightgbm_alone
from greenai.training.fitting import METRIC_NAMES, Mode, TrainResult, train
from greenai.training.gate import Check, Verdicts, check
from greenai.training.measuring import EnergyUse
from greenai.training.recipe import Goal, Recipe, packaged_recipe
from greenai.training.recording import Books, Recorder
from greenai.training.threads import threads_of
from greenai.training.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """How to train: what `greenai.training.train` may be asked, the data aside."""

    mode: Mode
    recipe: Recipe | None = None
    goal: Goal = "best"
    seed: int = 42
    n_jobs: int | None = None
    feature_select: bool = False
    baseline: str | None = None
    margin_share: float = 0.0

    def arms(self, workload: Workload) -> tuple[Arm, Arm]:
        """The optimised arm and the baseline, as `train` would make them.

        Raises:
            InputError: a recipe or baseline that cannot be used.
        """
        classes = len(workload.classes)
        base = baseline_of(self.baseline, classes=classes)
        return arm_of(
            self.chosen(workload), classes=classes, threads=threads_of(self.n_jobs), feature_select=self.feature_select
        ), base

    def chosen(self, workload: Workload) -> Recipe:
        """The recipe given, else the packaged one for the data."""
        return self.recipe or packaged_recipe(workload.task, workload.rows, goal=self.goal)

    def labels(self, workload: Workload) -> dict[str, str]:
        """What the evidence says of it from the start."""
        chosen = {"recipe_sha256": self.chosen(workload).sha256} if self.mode == "optimized" else {}
        return {
            "phase": self.mode,
            **data_labels(workload),
            "seed": str(self.seed),
            "n_jobs": "" if self.n_jobs is None else str(self.n_jobs),
            "feature_select": str(self.feature_select).lower(),
            **chosen,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The run as `greenai run` gives it, and the training."""

    outcome: RunOutcome
    result: TrainResult


class TrainingFailed(GreenaiError):
    """The training raised; its run is in the ledger as failed."""

    def __init__(self, error: Exception, outcome: RunOutcome) -> None:
        super().__init__(f"the training failed: {type(error).__name__}: {error}")
        self.outcome = outcome


def data_labels(workload: Workload) -> dict[str, str]:
    """Task, data and metric, as the evidence names them."""
    return {
        "task": workload.task,
        "dataset": workload.name,
        "dataset_sha256": workload.sha256,
        "dataset_rows": str(workload.rows),
        "target": workload.target,
        "quality_metric_name": METRIC_NAMES[workload.metric],
    }


def verdicts_of(settings: Settings) -> Verdicts:
    """The quality gate's memory in the state directory."""
    return Verdicts(path=settings.home / "verdicts.json")


def train_when_clean(
    workload: Workload,
    treatment: Treatment,
    *,
    command: tuple[str, ...],
    ask: Running | None = None,
    require_live: bool = False,
    clock: Clock | None = None,
    tell: Callable[[Progress], None] = tell_nobody,
    doors: Doors | None = None,
    settings: Settings | None = None,
    own_process: bool = True,
) -> Trained:
    """Pass the gate, wait for the start that `ask` allows, train, and leave evidence.

    `own_process` says that this process is greenai's, so imports may be lean.

    Raises:
        TrainingFailed: the training raised; the evidence and the row of its run say so.
        NoFeasibleWindow, ProviderError (only with `require_live`), StoreError, InputError: before anything is started.
        KeyboardInterrupt: the wait or the training was broken off; the ledger says so.
    """
    ask = ask or {}
    known = wiring.settings_with(settings, meter=ask.get("meter"))
    clock = clock or wiring.system_clock()
    books = books_of(command, {**ask.get("labels", {}), **treatment.labels(workload)}, ask, known)
    job = job_now(command, ask, known, clock)
    doors = doors or wiring.open_doors(known, clock=clock, tell=tell)
    if known.series is not None:
        # A file that cannot serve is found out before the gate spends energy.
        choose(job, wiring.policy_named(job.policy), doors, now_at=job.submitted_at)
    if own_process and treatment.mode == "optimized":
        import_lightgbm_alone()
    _prepare(workload, treatment, settings=known, doors=replace(doors, tell=tell_nobody), books=books)
    recorder = Recorder(known, doors, books)
    # Made anew: the job became runnable when all was ready, imports and gate are no waiting for the grid.
    recorder.wait(job_now(command, ask, known, clock), require_live=require_live)
    try:
        result = _train(workload, treatment, recorder, own_process=own_process)
        return Trained(outcome=recorder.finish(result_labels(result)), result=result)
    except Exception as error:
        outcome = recorder.fail(error)
        if isinstance(error, GreenaiError) or outcome is None:
            raise
        raise TrainingFailed(error, outcome) from error
    finally:
        recorder.close()


def books_of(command: tuple[str, ...], labels: Mapping[str, str], ask: Running, settings: Settings) -> Books:
    """Where the evidence will go, checked to be writable; raises InputError, also for meters that are not there."""
    csv, log = (Path(path) if path is not None else None for path in (ask.get("out"), ask.get("log_decision")))
    wiring.detect_meters(settings)
    wiring.check_outputs(csv, log)
    return Books(command=command, labels=labels, csv=csv, decision_log=log)


def gate(workload: Workload, treatment: Treatment, *, settings: Settings, doors: Doors, books: Books) -> Check:
    """What the quality gate says of a treatment on this data; found out once, and then its cost is a run in the ledger."""
    arm, base = treatment.arms(workload)
    verdicts = verdicts_of(settings)
    found = verdicts.find(workload, arm, base, treatment.margin_share)
    if found is not None:
        return found
    labels = {**books.labels, "phase": "gate"}
    recorder = Recorder(settings, doors, replace(books, labels=labels, csv=None, decision_log=None))
    arm.ready()
    base.ready()
    made, _use = recorder(
        lambda: check(arm, workload, baseline=base, measure=metered_by(settings), margin_share=treatment.margin_share)
    )
    recorder.finish({"notes": made.verdict.sentence()})
    verdicts.keep(workload, arm, base, made)
    return made


def result_labels(result: TrainResult) -> dict[str, str]:
    """What a training's evidence learns at its end."""
    return {
        "quality_metric_value": repr(result.scored.loss),
        "notes": result.fallback or (result.gate.verdict.sentence() if result.gate else ""),
        "trained_mode": result.trained_mode,
        "noise_floor_j": repr(result.scored.use.noise_floor_j),
        "estimator": result.arm.name,
    }


def job_now(command: tuple[str, ...], ask: Running, settings: Settings, clock: Clock) -> Job:
    """The job of this command, submitted now."""
    now_at = clock.now()
    return job_of(command, ask, settings, now_at=now_at, job_id=new_run_id(now_at), slack=timedelta(0))


def _prepare(workload: Workload, treatment: Treatment, *, settings: Settings, doors: Doors, books: Books) -> None:
    """Everything that is not the training: the gate's judgement, imports."""
    arm, base = treatment.arms(workload)
    if treatment.mode == "baseline":
        base.ready()
        return
    passed = gate(workload, treatment, settings=settings, doors=doors, books=books).verdict.passed
    (arm if passed else base).ready()


def metered_by(settings: Settings) -> Any:
    """`greenai.api.measured` with these settings: no rows, no evidence."""

    def measure(function: Callable[[], Any], /) -> tuple[Any, EnergyUse]:
        return measured(function, settings=settings)

    return measure


def _train(workload: Workload, treatment: Treatment, recorder: Recorder, *, own_process: bool) -> TrainResult:
    return train(
        treatment.mode,
        workload,
        recipe=treatment.recipe,
        goal=treatment.goal,
        seed=treatment.seed,
        n_jobs=treatment.n_jobs,
        feature_select=treatment.feature_select,
        baseline=treatment.baseline,
        margin_share=treatment.margin_share,
        verdicts=verdicts_of(recorder.settings),
        measure=recorder,
        own_process=own_process,
    )
