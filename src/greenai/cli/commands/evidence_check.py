"""`greenai evidence verify` and `settle`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.exits import OK, STORE

if TYPE_CHECKING:
    from greenai.api import SettleReport
    from greenai.engine.verify import VerifyReport


@click.command(cls=Command)
@click.argument("csv_paths", metavar="[EVIDENCE.csv]...", nargs=-1, type=click.Path())
@pass_session
def verify(session: Session, csv_paths: tuple[str, ...]) -> int:
    """Check the chain and recompute every number from samples and archived answers.

    Given evidence.csv files are compared with the ledger row by row. Whatever
    does not hold is named, and the exit code is 5.
    """
    from greenai import api

    report = api.verify(csv_paths, settings=session.settings())
    if session.json:
        session.screen.document(verify_document(report))
    else:
        _show_verified(session, report)
    return STORE if report.problems else OK


def verify_document(report: VerifyReport) -> dict[str, Any]:
    """The JSON of `evidence verify` (schemas/verify.schema.json)."""
    return {
        "ok": not report.problems,
        "records": report.records,
        "evidences": report.evidences,
        "problems": [str(problem) for problem in report.problems],
        "notes": list(report.notes),
    }


def _show_verified(session: Session, report: VerifyReport) -> None:
    from greenai.cli.screen import BAD, GOOD

    screen = session.screen
    for note in report.notes:
        screen.note(note)
    if not report.problems:
        counted = f"{report.records} records, {report.evidences} of them evidence, every number recomputed"
        screen.answer(f"everything holds: {counted}" if report.records else "nothing recorded yet", style=GOOD)
        return
    count = len(report.problems)
    screen.answer(f"{count} {'thing does' if count == 1 else 'things do'} not hold", style=BAD)
    for problem in report.problems:
        screen.answer(f"  {problem}", style="")


@click.command(cls=Command)
@pass_session
def settle(session: Session) -> None:
    """Complete provisional evidence whose measured intensities are published by now, and that of runs that died."""
    from greenai import api

    report = api.settle(settings=session.settings())
    if session.json:
        session.screen.document(settle_document(report))
    else:
        _show_settled(session, report)


def settle_document(report: SettleReport) -> dict[str, Any]:
    """The JSON of `evidence settle` (schemas/settle.schema.json)."""
    return {
        "settled": list(report.settled),
        "recovered": list(report.recovered),
        "waiting": [{"run_id": run_id, "reason": reason} for run_id, reason in report.waiting],
        "warnings": list(report.warnings),
    }


def _show_settled(session: Session, report: SettleReport) -> None:
    from greenai.cli import words

    screen = session.screen
    if not (report.settled or report.recovered or report.waiting):
        screen.answer("nothing to settle", style="")
    for run_id in report.recovered:
        screen.answer(f"recovered  {run_id}: it had ended without a word; what is known of it is recorded now", style="")
    for document in report.settled:
        grams, saving = words.grams(document["operational_g"]), words.grams(document["saving_g"])
        screen.answer(f"settled    {document['run_id']}: {grams}, saving {saving}, {document['verdict']}", style="")
    for run_id, reason in report.waiting:
        screen.answer(f"waiting    {run_id}: {reason}", style="")
    for warning in report.warnings:
        screen.warn(warning)
