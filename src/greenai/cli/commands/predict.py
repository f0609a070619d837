"""`greenai predict`: train on one table, predict another, measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.learning import MODE, TARGET, TREATMENT_NAMES, command_words, taken, treatment, treatment_of
from greenai.cli.options import SERIES, hardware, hardware_settings
from greenai.cli.waiting import HARDWARE_NAMES

if TYPE_CHECKING:
    from greenai.training.predicting import Predicted


@click.command(cls=Command)
@click.option("--mode", type=MODE, default="optimized", show_default=True)
@click.option("--train-csv", metavar="FILE", type=click.Path(dir_okay=False), required=True, help="CSV or Parquet, with target.")
@click.option("--test-csv", metavar="FILE", type=click.Path(dir_okay=False), required=True, help="The rows to predict.")
@click.option("--out", metavar="FILE.csv", type=click.Path(), required=True, help="The predictions: Id,<target>.")
@TARGET
@click.option("--task", type=click.Choice(["auto", "regression", "classification"]), default="auto", show_default=True)
@treatment
@click.option("--evidence-out", metavar="FILE.csv", type=click.Path(dir_okay=False), help="Append the evidence as a CSV row.")
@SERIES
@hardware
@pass_session
def predict(session: Session, /, mode: str, series: str | None, evidence_out: str | None, **asked: Any) -> int:
    """Train on all of --train-csv, predict --test-csv, and say what both used.

    The output has a row per test row: its id (example_id, Id, else ROW000000)
    and the prediction.
    """
    from greenai.training.predicting import predict_recorded

    settings = session.settings(series=series, **hardware_settings(**taken(asked, HARDWARE_NAMES)))
    treated = treatment_of(mode, **taken(asked, TREATMENT_NAMES))
    done = predict_recorded(treated, command=command_words(), ask={"out": evidence_out}, settings=settings, **asked)
    if session.json:
        session.screen.document(done.document())
    else:
        _show(session, done)
    return 0


def _show(session: Session, done: Predicted) -> None:
    from greenai.cli.card import summary_rows
    from greenai.cli.screen import facts

    screen = session.screen
    for note in done.workload.notes:
        screen.note(note)
    for warning in done.outcome.warnings:
        screen.warn(warning)
    screen.answer(f"{done.rows} predictions of {done.workload.target} in {done.path}")
    verdict = done.gate.verdict.sentence() if done.gate else ""
    ids = done.id_column or "none in the test table: rows are numbered"
    rows = [("trained", f"{done.trained_mode}: {done.estimator}"), ("gate", verdict), ("ids", ids)]
    measured = summary_rows(done.outcome.evidence) if done.outcome.evidence else []
    screen.detail(facts([*rows, *measured, ("evidence", f"greenai evidence show {done.outcome.run_id}")]))
