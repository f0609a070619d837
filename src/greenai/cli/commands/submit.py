"""`greenai submit`: hand a command over to the queue and walk away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.options import pairs_of

if TYPE_CHECKING:
    from greenai.model.queue import Entry

NO_COMMAND = "submit needs a command, for example: greenai submit --duration 2h --finish-by 24h -- python train.py"
EXAMPLES = """\b
greenai submit --duration 2h --finish-by 'fri 18:00' -- python train.py
greenai submit --duration 90m --gpus 1 --array 1-20 -- python train.py --seed {index}
greenai submit --duration 5m --after 12 -- python report.py
"""
AMOUNT = click.FloatRange(min=0)


@click.command(cls=Command, context_settings={"allow_interspersed_args": False}, epilog=EXAMPLES)
@click.option("--duration", metavar="SPAN", help="How long the job takes: 2h, 90m.  [default: learned from past runs]")
@click.option("--finish-by", metavar="WHEN", help="Done by then: 24h, 'fri 18:00'.  [default: a day's slack]")
@click.option("--deadline", metavar="WHEN", help="The latest start.")
@click.option("--max-wait", metavar="SPAN", help="The longest wait until the start.")
@click.option("--gpus", metavar="N", type=AMOUNT, default=0.0, help="GPUs it takes.  [default: 0]")
@click.option("--cpus", metavar="N", type=AMOUNT, default=1.0, help="CPU cores it takes.  [default: 1]")
@click.option("--memory", metavar="SIZE", help="Memory it takes: 16GB.  [default: not counted]")
@click.option("--power-w", metavar="W", type=AMOUNT, help="Load it is expected to draw: counts against power_cap_w.")
@click.option("--priority", metavar="N", type=int, default=0, help="Higher goes first where not all fit.  [default: 0]")
@click.option("--interruptible", is_flag=True, help="It may be paused and resumed (docs: pause and resume).")
@click.option(
    "--pause-way",
    type=click.Choice(["auto", "checkpoint", "freeze"]),
    default="auto",
    show_default=True,
    help="How it gives way.",
)
@click.option("--grace", metavar="SPAN", default="60s", show_default=True, help="Time it has to save its state.")
@click.option("--min-chunk", metavar="SPAN", help="Shortest piece worth starting.")
@click.option("--resume-cost", metavar="SPAN", help="Work lost at each resume.")
@click.option("--max-segments", metavar="N", type=click.IntRange(min=1), help="Most pieces.")
@click.option("--policy", metavar="NAME", help="How the time is chosen: greenest, asap, threshold, ...")
@click.option("--threshold", metavar="G", type=AMOUNT, help="Start below G gCO2e/kWh.")
@click.option("--percentile", metavar="P", type=click.FloatRange(0, 100), help="Start below this percentile of the forecast.")
@click.option("--min-saving", metavar="SHARE", help="Below this expected saving run at once.  [default: 3%]")
@click.option("--name", metavar="NAME", default="", help="What to call it.")
@click.option("--label", "labels", metavar="K=V", multiple=True, help="Kept in the evidence; may be repeated.")
@click.option("--after", metavar="JOB", multiple=True, help="After that job, or array, completed; may be repeated.")
@click.option("--array", metavar="1-20", help="One job for each number: in {index} and GREENAI_ARRAY_INDEX.")
@click.option("--env", metavar="K=V", multiple=True, help="A variable for the job; may be repeated. Kept in the state directory.")
@click.option("--cwd", metavar="DIR", type=click.Path(), help="Where it runs.  [default: here]")
@click.option("--retries", metavar="N", type=click.IntRange(min=0), default=0, help="Tries after a failure.  [default: 0]")
@click.option("--executor", metavar="NAME", default="local", show_default=True, help="What runs it.")
@click.option("--places", metavar="ZONE,...", default="", help="Take the cleanest of these zones of the executor's partitions.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_session
def submit(session: Session, /, command: tuple[str, ...], **asked: Any) -> None:
    """Hand CMD over to the queue; greenai daemon runs it when the grid is clean.

    Kept even if the power fails the next moment; greenai jobs shows how it goes.
    """
    if not command:
        raise click.UsageError(NO_COMMAND)
    from greenai import api

    settings = session.settings()
    open_ended = all(asked[name] is None for name in ("finish_by", "deadline", "max_wait"))
    asked["labels"], asked["env"] = pairs_of(asked["labels"], "label"), pairs_of(asked["env"], "variable")
    asked["places"] = tuple(place.strip() for place in asked["places"].split(",") if place.strip())
    if not asked["interruptible"]:
        _refuse_pieces(asked)
    entries = api.submit(command, **asked, settings=settings)
    holder = api.running_holder(settings)
    if session.json:
        from greenai.logic.queue_document import job_document

        session.screen.document({"jobs": [job_document(entry) for entry in entries], "daemon": holder is not None})
        return
    _tell(session, entries, holder, places=asked["places"], open_ended=open_ended)


def _refuse_pieces(asked: dict[str, Any]) -> None:
    """What describes pieces would not be heard."""
    unheard = [name for name in ("min_chunk", "resume_cost", "max_segments") if asked[name] is not None]
    if unheard:
        raise click.UsageError(f"--{unheard[0].replace('_', '-')} is about pieces: add --interruptible")


def _tell(session: Session, entries: tuple[Entry, ...], holder: str | None, *, places: tuple[str, ...], open_ended: bool) -> None:
    """The id first: it is what the next command needs."""
    from greenai.cli import words
    from greenai.cli.queue_words import NO_DAEMON
    from greenai.cli.source import zone_words

    screen, first = session.screen, entries[0]
    number = first.id.partition("_")[0]
    many = f"array {number}, {len(entries):,} jobs" if first.submission.array_index is not None else f"job {number}"
    limits, settings = first.submission.job.constraints, session.settings()
    assumed = " (assumed, set it with --finish-by)" if open_ended else ""
    screen.answer(f"submitted {many}")
    due = words.day_time(limits.deadline_at, session.local_zone)
    source = f" ({first.submission.duration_source})" if first.submission.duration_source != "given" else ""
    screen.note(f"takes {words.about(limits.duration)}{source}, to be done by {due}{assumed}")
    if places:
        screen.note(f"zone {first.submission.job.zone}, the cleanest now of {', '.join(places)}")
    else:
        screen.note(f"zone {zone_words(settings.zone, settings.origins.get('zone', ''))}")
    if holder is None:
        screen.warn(f"it is kept, but {NO_DAEMON}, or greenai jobs wait {number}")
