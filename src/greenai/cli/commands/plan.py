"""`greenai plan`: when a job should run, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.bar import progress
from greenai.cli.blas import one_thread
from greenai.cli.command import Command, Session, pass_session
from greenai.cli.fleet import packing, plan_many, taken_jobs
from greenai.cli.options import foreseeing, labels_of, placing
from greenai.cli.places import choosing, plan_places, taken
from greenai.cli.scaling import beside_fixed, refuse_beside, scaling

if TYPE_CHECKING:
    from greenai.api import PlanAnswer
    from greenai.logic.beside import Beside

ASSUMED_FINISH = "24h"
HELP = """When should a job run?

Without --finish-by or --deadline the job is taken to be due in 24 hours.

\b
  greenai plan --duration 2h --finish-by 'fri 18:00'
  greenai plan --finish-by 24h -- python train.py
  greenai plan --duration 4h --places aws:eu-west-2,aws:eu-north-1
  greenai plan --duration 8h --scaling 1=1,2=1.9,4=3.4
  greenai plan --jobs jobs.csv --capacity gpus=2,cpus=16

With --places it says where, too. With --scaling it says how many workers run
when (policy elastic); --duration is that with the fewest of them, as a rule
one. With --jobs many are planned together. With CMD past runs of it tell how
long it takes where --duration does not; it is not run.
"""


@click.command(cls=Command, help=HELP, context_settings={"allow_interspersed_args": False})
@placing
@foreseeing
@choosing
@click.option("--at", metavar="WHEN", help="Decide as of this moment; with --series it replays any day.")
@scaling
@packing
@click.option("--beside", is_flag=True, help="Show what the plan does on the other basis: average beside marginal.")
@click.option("--label", "labels", metavar="K=V", multiple=True, help="Of CMD: past runs with the same labels tell most.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_session
def plan(session: Session, /, require: str | None, beside: bool, **asked: Any) -> None:
    """Plan one job, its place, or many jobs, and show it."""
    one_thread()
    _take_command(asked)
    many = taken_jobs(asked)
    if many is not None:
        plan_many(session, many, asked, require_live=require == "live")
        return
    if asked["duration"] is None and "command" not in asked:
        raise click.UsageError("plan needs to know how long the job takes: add --duration, for example --duration 2h")
    refuse_beside(asked, beside=beside)
    from dataclasses import asdict

    from greenai import api

    open_ended = asked["finish_by"] is None and asked["deadline"] is None
    if open_ended:
        asked["finish_by"] = ASSUMED_FINISH
    chosen = taken(asked)
    if chosen is not None:
        _learn_length(session, asked)
        plan_places(session, chosen, asked, require_live=require == "live")
        return
    settings = session.settings()
    with progress(session) as tell:
        answer = api.plan(**asked, require_live=require == "live", tell=tell, settings=settings)
    refuse_miss(answer)
    other = api.other_basis(answer, settings=settings) if beside else None
    fixed = beside_fixed(answer)
    if session.json:
        session.screen.document({**answer.document(), **fixed, **({"beside": other and asdict(other)} if beside else {})})
        return
    show_plan(session, answer, settings.origins.get("zone", ""), open_ended=open_ended)
    if beside:
        _show_beside(session, other)


def _take_command(asked: dict[str, Any]) -> None:
    """Leave CMD and its labels in `asked` only where they tell something: how long the job takes."""
    command, labels = asked.pop("command"), labels_of(asked.pop("labels"))
    if labels and not command:
        raise click.UsageError("--label is about CMD: give the command, for example: greenai plan -- python train.py")
    if command and asked.get("jobs"):
        raise click.UsageError("a command is about one job, with --jobs each row says how long it takes")
    if command and asked["duration"] is None:
        asked.update(command=command, labels=labels)


def _learn_length(session: Session, asked: dict[str, Any]) -> None:
    """The job's length from past runs of CMD, if that is to tell it."""
    from greenai.api.learning import length_for

    if "command" in asked:
        past = length_for(asked.pop("command"), asked.pop("labels"), settings=session.settings())
        asked["duration"] = past.duration
        session.screen.note(f"its length: {past.source}")


def _show_beside(session: Session, other: Beside | None) -> None:
    """The other basis in one line, and loudly where it says the opposite."""
    from greenai.cli import words

    if other is None:
        session.screen.note("no source of the other basis covers this plan; greenai zones lists them")
        return
    planned, at_once = words.intensity(other.planned_g_per_kwh), words.intensity(other.at_once_g_per_kwh)
    line = f"{other.basis} ({other.provider}): {planned} g/kWh as planned, {at_once} at once"
    if other.disagrees:
        session.screen.warn(f"{line}: THE TWO DISAGREE on whether this plan saves")
    else:
        session.screen.detail(f"beside: {line}")


def refuse_miss(answer: PlanAnswer) -> None:
    """A job that does not fit is an error, whoever notices first."""
    from greenai.errors import NoFeasibleWindow

    if answer.decision.action == "miss":
        raise NoFeasibleWindow(answer.decision.reason, hint="allow a later finish (--finish-by) or a shorter run (--duration)")


def show_plan(session: Session, answer: PlanAnswer, origin: str, *, open_ended: bool) -> None:
    """The answer, the picture, the choices, and what they rest on."""
    from rich.text import Text

    from greenai.cli import words
    from greenai.cli.planned import choices, headline, picture
    from greenai.cli.scaling import fixed_sizes, with_workers
    from greenai.cli.screen import facts
    from greenai.cli.source import loud_words, source_rows

    screen, zone = session.screen, session.local_zone
    decision, reading, constraints = answer.decision, answer.reading, answer.job.constraints
    screen.answer(headline(decision, zone))
    # Of a wait the headline says most; where the job runs now, the reason is the news.
    waits = decision.action == "wait"
    screen.detail(None if waits else Text(decision.reason), loud_words(reading))
    drawn = picture(answer, screen, zone)
    width = screen.out.width
    screen.detail("", *drawn, "" if drawn else None, choices(decision, zone, width), *fixed_sizes(answer, zone, width), "")
    assumed = "; assumed, set it with --finish-by or --deadline" if open_ended else ""
    length = f"{words.about(constraints.duration)}{with_workers(answer)}"
    worst = f"{words.intensity(decision.worst_g_per_kwh)} g/kWh if started at the worst moment"
    screen.detail(
        facts(
            [
                ("why", decision.reason if waits else ""),
                ("job", f"{length}, done by {words.day_time(constraints.deadline_at, zone)}{assumed}"),
                ("policy", f"{decision.policy}; {worst}" if decision.worst_g_per_kwh is not None else decision.policy),
                *source_rows(reading, origin, zone, verbose=session.verbose),
                *(("note", note) for note in decision.notes),
            ]
        )
    )
