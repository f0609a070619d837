"""`greenai slurm wrap` and `pause`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Literal

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.options import foreseeing, placing

if TYPE_CHECKING:
    from greenai.api.slurm import Wrapped

NO_SCRIPT = "wrap needs what sbatch would be given, for example: greenai slurm wrap --finish-by 24h -- job.sh"
WRAP_HELP = """Plan a script and submit it to begin at the clean hour; Slurm holds it until then.

\b
  greenai slurm wrap --finish-by 24h --dry-run -- -p gpu train.sh
  greenai slurm wrap --duration 2h --finish-by 'fri 18:00' -- train.sh

Without --duration the script's time limit is taken: an upper bound. Without
--finish-by or --deadline it is to be done in 24 hours. Options of sbatch go
after the --; what the script itself says stays as it is.
"""
PAUSE_HELP = """Let the script of a job save and leave, and come back later.

\b
  greenai slurm pause 1234 --until 'tomorrow 2:00'

The script must trap USR1, save, and exit 75 (with RequeueExit=75 in
slurm.conf) or requeue itself. A job still in line is only moved. The number
of an array means all its tasks that are not over, 1234_3 one of them.
"""


@click.command(cls=Command, help=WRAP_HELP, context_settings={"allow_interspersed_args": False})
@placing
@foreseeing
@click.option(
    "--pausable", is_flag=True, help="The script saves and leaves on USR1: add --signal, --requeue, --open-mode=append."
)
@click.option("--anywhere", is_flag=True, help="Choose the partition too, among those of the setting slurm_partitions.")
@click.option("--dry-run", is_flag=True, help="Show the command and its times; submit nothing.")
@click.argument("arguments", metavar="-- SBATCH-ARGS...", nargs=-1, type=click.UNPROCESSED)
@pass_session
def wrap(
    session: Session,
    /,
    arguments: tuple[str, ...],
    *,
    pausable: bool,
    anywhere: bool,
    dry_run: bool,
    require: str | None,
    **asked: Any,
) -> None:
    """Plan it and hand it to sbatch."""
    if not arguments:
        raise click.UsageError(NO_SCRIPT)
    from greenai.api import slurm

    if require == "live":
        asked["require_live"] = True
    settings = session.settings(series=asked.pop("series"))
    wrapped = slurm.wrap(arguments, pausable=pausable, anywhere=anywhere, settings=settings, **asked)
    if not dry_run:
        wrapped = slurm.submit(wrapped)
    if session.json:
        session.screen.document(wrapped.document())
        return
    partition_says = wrapped.answer.job.zone != settings.zone
    _show(session, wrapped, "where its partition stands" if partition_says else settings.origins.get("zone", ""))


def _show(session: Session, wrapped: Wrapped, origin: str) -> None:
    """The answer, the times on both clocks, and the command as it may be typed."""
    from greenai.cli import words
    from greenai.cli.planned import headline
    from greenai.cli.screen import facts
    from greenai.cli.source import loud_words, source_rows

    screen, zone, answer = session.screen, session.local_zone, wrapped.answer
    for note in wrapped.notes:
        screen.note(note)
    taken = f"Submitted job {wrapped.job_id}" if wrapped.job_id else "Would submit"
    begin_at = wrapped.begin_at
    when = f"to begin {words.day_time(begin_at, zone)}" if begin_at else "to run at once"
    screen.answer(f"{taken}, {when}")
    screen.detail(None if begin_at else headline(answer.decision, zone), loud_words(answer.reading))
    length = f"{words.about(answer.job.constraints.duration)} ({wrapped.duration_source})"
    screen.detail(
        facts(
            [
                ("why", answer.decision.reason),
                ("job", f"{length}, done by {words.day_time(answer.job.constraints.deadline_at, zone)}"),
                ("partition", wrapped.partition),
                *source_rows(answer.reading, origin, zone, verbose=session.verbose),
                ("command", shlex.join(wrapped.command)),
            ]
        )
    )


@click.command(cls=Command, help=PAUSE_HELP)
@click.argument("job_id", metavar="JOB")
@click.option("--until", metavar="WHEN", help="Come back then: 'tomorrow 3:00', 6h. Without it, when scontrol release lets it.")
@click.option("--within", metavar="SPAN", default="15m", show_default=True, help="How long it may take to save and leave.")
@click.option(
    "--signal",
    type=click.Choice(["USR1", "USR2"]),
    default="USR1",
    show_default=True,
    help="USR1 asks the script, USR2 all its processes: for submitit.",
)
@pass_session
def pause(session: Session, /, *, job_id: str, until: str | None, within: str, signal: Literal["USR1", "USR2"]) -> None:
    """Signal it, and move its begin."""
    from greenai.api import slurm
    from greenai.cli import words
    from greenai.model.units import iso_utc
    from greenai.moments import parse_span

    until_at = slurm.pause(job_id, until=until, within=parse_span(within), signal=signal)
    if session.json:
        session.screen.document(
            {"schema": "greenai.slurm_pause/1", "job_id": job_id, "begin_at": None if until_at is None else iso_utc(until_at)}
        )
        return
    if until_at is None:
        session.screen.answer(f"job {job_id} is paused; it goes on with: scontrol release {job_id}")
        return
    session.screen.answer(f"job {job_id} is paused until {words.day_time(until_at, session.local_zone)}")
