"""`greenai optimize`: find the least energy that is not worse, and save how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.learning import DATA_NAMES, data, taken
from greenai.cli.options import SERIES, hardware, hardware_settings
from greenai.cli.waiting import HARDWARE_NAMES

if TYPE_CHECKING:
    from greenai.engine.run import RunOutcome
    from greenai.training.candidates import Candidate
    from greenai.training.optimising import OptimiseResult

RECIPE = "artifacts/recipe.json"


@click.command(cls=Command)
@data
@click.option("--out", metavar="FILE.json", type=click.Path(dir_okay=False), default=RECIPE, show_default=True)
@click.option("--trials", metavar="N", type=click.IntRange(min=1), default=40, show_default=True, help="Recipes to try.")
@click.option(
    "--trainings",
    metavar="N",
    type=click.FloatRange(min=1),
    default=20.0,
    show_default=True,
    help="The search ends when it has used N times the energy of one baseline training.",
)
@click.option("--seed", metavar="N", type=click.IntRange(min=0), default=42, show_default=True)
@click.option("--baseline", metavar="MODULE:FACTORY", help="Your own estimator instead of the prototype's boosting.")
@click.option("--margin", metavar="SHARE", default="0%", show_default=True, help="How much worse the optimised model may be.")
@click.option("--plots", metavar="DIR", type=click.Path(file_okay=False), help="Draw the Pareto front there.")
@SERIES
@hardware
@pass_session
def optimize(session: Session, /, out: str, plots: str | None, series: str | None, **asked: Any) -> int:
    """Search for the way to train that uses the least energy and is not worse than the baseline.

    What is found is confirmed on data the search did not use, before it is
    saved. The energy of the search is a run in the ledger; the answer says after
    how many trainings it is earned.
    """
    from greenai.cli.running import check_writable
    from greenai.training import save_recipe

    check_writable(out)
    hardware_asked = {name: asked.pop(name) for name in HARDWARE_NAMES}
    settings = session.settings(series=series, **hardware_settings(**hardware_asked))
    result, outcome = _search(session, settings, asked)
    for warning in outcome.warnings:
        session.screen.warn(warning)
    if result.chosen is not None:
        save_recipe(result.chosen, out)
    drawn = _drawn(result, plots) if plots else []
    if session.json:
        saved = out if result.chosen is not None else None
        session.screen.document({**result.document(), "saved": saved, "plots": drawn, "run_id": outcome.run_id})
    else:
        _show(session, result, out, outcome)
    return 0


def _search(session: Session, settings: Any, asked: dict[str, Any]) -> tuple[OptimiseResult, RunOutcome]:
    from greenai.cli.learning import command_words, workload_of
    from greenai.moments import parse_share
    from greenai.training import Budget
    from greenai.training.extras import import_lightgbm_alone
    from greenai.training.proving import optimise_recorded
    from greenai.training.running import Treatment

    workload = workload_of(session, **taken(asked, DATA_NAMES))
    treated = Treatment(
        mode="optimized", seed=asked["seed"], baseline=asked["baseline"], margin_share=parse_share(asked["margin"])
    )
    import_lightgbm_alone()

    def tell(candidate: Candidate) -> None:
        state = "" if candidate.complete else ", given up"
        session.screen.note(
            f"{candidate.recipe.family}: {candidate.energy_j:.3g} J, error {candidate.loss_ratio - 1:+.1%}{state}"
        )

    return optimise_recorded(
        workload,
        treated,
        budget=Budget(trials=asked["trials"], trainings=asked["trainings"]),
        command=command_words(),
        tell=tell,
        settings=settings,
    )


def _drawn(result: OptimiseResult, plots: str) -> list[str]:
    from pathlib import Path

    from greenai.report import draw_pareto

    return [str(draw_pareto(result.document(), Path(plots)))]


def _show(session: Session, result: OptimiseResult, out: str, outcome: RunOutcome) -> None:
    from greenai.cli.screen import facts

    screen = session.screen
    if result.chosen is None or result.chosen_j is None:
        screen.answer("Nothing was confirmed to be as good with less energy: the baseline stays")
    else:
        saved = 1 - result.chosen_j / result.baseline_j
        screen.answer(f"{result.chosen.family} uses {saved:.1%} less energy than the baseline and is not worse: saved to {out}")
    pays = result.pays_back_after
    rows = [
        ("a training", f"{result.chosen_j:.3g} J instead of {result.baseline_j:.3g} J" if result.chosen_j is not None else ""),
        ("quality", result.finals[-1].verdict.sentence() if result.finals else "no candidate came so far"),
        ("confirmed on", result.confirmed_on if result.finals else ""),
        ("the search", f"used {result.search_j:.3g} J for {len(result.candidates)} recipes"),
        ("pays back", f"after {pays} trainings" if pays else "never, on these numbers"),
        ("use it", f"greenai run --mode optimized --recipe {out}" if result.chosen is not None else ""),
        *(("note", note) for note in result.notes),
        ("evidence", f"greenai evidence show {outcome.run_id}"),
    ]
    screen.detail(facts(rows))
