"""What the commands that train themselves share: the options, the data, what is said at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from greenai.api import RunOutcome
    from greenai.cli.command import Session
    from greenai.cli.watch import Watcher
    from greenai.config import Settings
    from greenai.training.running import Trained, Treatment
    from greenai.training.workload import Workload

F = TypeVar("F", bound=Callable[..., Any])

EVIDENCE_CSV = "artifacts/evidence.csv"
"""Where the prototype's documents looked for it: taken by the commands that train when --out is not given."""

TARGET = click.option("--target-col", metavar="NAME", default="GreenScore", show_default=True, help="The column to predict.")

_DATA = (
    click.option("--data-csv", metavar="FILE", type=click.Path(dir_okay=False), help="Your table, CSV or Parquet."),
    click.option("--sample", metavar="NAME", help="A packaged workload: tab-N, seedlin-N, diabetes, ...  [default: tab-1200]"),
    TARGET,
    click.option("--task", type=click.Choice(["auto", "regression", "classification"]), default="auto", show_default=True),
)

_TREATMENT = (
    click.option("--recipe", metavar="FILE", type=click.Path(dir_okay=False), help="A recipe that greenai optimize saved."),
    click.option(
        "--goal",
        type=click.Choice(["best", "least"]),
        default="best",
        show_default=True,
        help="Which packaged recipe: the best quality, or the least energy that is not worse than the baseline.",
    ),
    click.option("--seed", metavar="N", type=click.IntRange(min=0), default=42, show_default=True, help="Split and training."),
    click.option("--n-jobs", metavar="N", type=int, help="Threads, -1 for all cores.  [default: the recipe's, usually 1]"),
    click.option("--feature-select", is_flag=True, help="Train on the columns that matter; on its own cost, behind the gate."),
    click.option("--baseline", metavar="MODULE:FACTORY", help="Your own estimator instead of the prototype's boosting."),
    click.option("--margin", metavar="SHARE", default="0%", show_default=True, help="How much worse the optimised model may be."),
)

MODE = click.Choice(["baseline", "optimized"])
TREATMENT_NAMES = ("recipe", "goal", "seed", "n_jobs", "feature_select", "baseline", "margin")
DATA_NAMES = ("data_csv", "sample", "target_col", "task")


def data(command: F) -> F:
    """--data-csv, --sample, --target-col, --task."""
    return _applied(command, _DATA)


def treatment(command: F) -> F:
    """How to train."""
    return _applied(command, _TREATMENT)


def _applied(command: F, options: tuple[Callable[[F], F], ...]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def taken(asked: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Those options, taken out of `asked`."""
    return {name: asked.pop(name) for name in names}


def workload_of(session: Session, *, data_csv: str | None, sample: str | None, target_col: str, task: Any) -> Workload:
    """The data, loaded before anything is measured; what was left out of it is said aloud."""
    from greenai import training

    if data_csv and sample:
        raise click.UsageError("--data-csv is your table, --sample a packaged one: give one of them")
    if data_csv is None:
        return training.sample(sample) if sample else training.sample()
    workload = training.load(data_csv, target_col, task=task)
    for note in workload.notes:
        session.screen.note(f"{Path(data_csv).name}: {note}")
    return workload


def treatment_of(mode: Any, *, recipe: str | None, margin: str, **given: Any) -> Treatment:
    """The options as `greenai.training` takes them."""
    from greenai import training
    from greenai.moments import parse_share
    from greenai.training.running import Treatment

    loaded = training.load_recipe(recipe) if recipe else None
    return Treatment(mode=mode, recipe=loaded, margin_share=parse_share(margin), **given)


def command_words() -> tuple[str, ...]:
    """This command line as the evidence states it."""
    return ("greenai", *sys.argv[1:])


def run_training(session: Session, settings: Settings, mode: str, asked: dict[str, Any]) -> int:
    """Train in this process as a command would be run: wait, meter, leave evidence."""
    from dataclasses import replace

    from greenai.cli.running import run_watched, watched_clock
    from greenai.cli.screen import facts
    from greenai.training.running import TrainingFailed, train_when_clean

    workload = workload_of(session, **taken(asked, DATA_NAMES))
    treated = treatment_of(mode, **taken(asked, TREATMENT_NAMES))
    json_to, require_live = asked.pop("json_to"), asked.pop("require_live", False)
    ask: Any = {**asked, "out": asked.get("out") or EVIDENCE_CSV}
    done: list[Trained] = []

    def start(watcher: Watcher) -> RunOutcome:
        try:
            trained = train_when_clean(
                workload,
                treated,
                command=command_words(),
                ask=ask,
                require_live=require_live,
                clock=watched_clock(watcher),
                tell=watcher.tell,
                settings=settings,
            )
        except TrainingFailed as failed:
            return replace(failed.outcome, warnings=(*failed.outcome.warnings, str(failed)))
        done.append(trained)
        return trained.outcome

    code = run_watched(session, settings, json_to, start, shift=True)
    if done:
        session.screen.report(facts(_quality_rows(done[0])))
    return code


def _quality_rows(trained: Trained) -> list[tuple[str, str]]:
    from greenai.training.fitting import METRIC_NAMES

    result = trained.result
    rows = [
        ("quality", f"{METRIC_NAMES[result.workload.metric]} {result.scored.loss:.4g} on {result.workload.name}"),
        ("trained", f"{result.trained_mode}: {result.arm.name}"),
    ]
    if result.gate is not None:
        rows.append(("gate", result.fallback or result.gate.verdict.sentence()))
    return rows
