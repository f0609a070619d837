"""`greenai report`: cards, footprint, impact, plots and one page, all from the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from greenai.cli.command import Command, Session, pass_session

if TYPE_CHECKING:
    from greenai.report.writing import Report


@click.command(cls=Command)
@click.option("--out", metavar="DIR", type=click.Path(file_okay=False), default="artifacts", show_default=True)
@click.option("--run", metavar="RUN", help="The run in the spotlight.  [default: the newest that was decided about]")
@click.option("--experiment", metavar="ID", help="The comparison.  [default: the newest]")
@click.option(
    "--runs-per-year",
    metavar="LOW,MEDIUM,HIGH",
    default="1000,50000,1000000",
    show_default=True,
    help="Assumed, for impact_math.csv.",
)
@click.option("--equivalences", is_flag=True, help="Trees and miles too, from 1 kg on.")
@pass_session
def report(
    session: Session, /, out: str, run: str | None, experiment: str | None, *, runs_per_year: str, equivalences: bool
) -> int:
    """Write FOOTPRINT.md, data_card.md, model_card.md, impact_math.csv, energy_co2_bars.png and report.html.

    All of it comes from the ledger, which is verified first; each number names
    its record. Below the meters' noise floor nothing is concluded, in words.
    """
    from greenai.report import write_report

    scenarios = _scenarios(runs_per_year)
    written = write_report(
        out, run=run, experiment=experiment, scenarios=scenarios, equivalences=equivalences, settings=session.settings()
    )
    if session.json:
        session.screen.document(written.document())
    else:
        _show(session, written, out)
    return 5 if written.problems else 0


def _scenarios(text: str) -> dict[str, int]:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise click.UsageError(f"--runs-per-year is three whole numbers like 1000,50000,1000000, not {text!r}")
    return dict(zip(("low", "medium", "high"), (int(part) for part in parts), strict=True))


def _show(session: Session, written: Report, out: str) -> None:
    from greenai.cli.screen import facts

    screen = session.screen
    for problem in written.problems[:5]:
        screen.warn(problem)
    screen.answer(f"{len(written.files)} files in {out}: open {out}/report.html")
    rows = [("conclusion", written.conclusion)]
    rows += [("left out", f"{name}: {why}") for name, why in written.left_out.items()]
    screen.detail(facts([*rows, *(("", str(path)) for path in written.files)]))
