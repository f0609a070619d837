"""`greenai run`: wait for the clean hour, run a command, leave evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.blas import one_thread
from greenai.cli.command import Command, Session, pass_session
from greenai.cli.exits import PAUSED
from greenai.cli.learning import DATA_NAMES, MODE, TREATMENT_NAMES, data, run_training, taken, treatment
from greenai.cli.options import JSON_TO, OUT, foreseeing, hardware, labels_of, placing, unit_of_work
from greenai.cli.waiting import has_slack, placed, waiting, with_series

if TYPE_CHECKING:
    from greenai.api import RunOutcome
    from greenai.config import Settings

PAUSE_WAYS = ("auto", "checkpoint", "freeze")
NO_COMMAND = "run needs a command, for example: greenai run --duration 2h --finish-by 24h -- python train.py"


@click.command(cls=Command, context_settings={"allow_interspersed_args": False})
@placing
@foreseeing
@waiting
@OUT
@click.option("--log-decision", metavar="FILE.json", type=click.Path(dir_okay=False), help="Append the decision to a JSON list.")
@hardware
@unit_of_work
@click.option("--label", "labels", metavar="K=V", multiple=True, help="Kept in the evidence; may be repeated.")
@click.option("--mode", type=MODE, help="Instead of CMD: train here, the baseline or the optimised way behind the quality gate.")
@data
@treatment
@click.option(
    "--pausable",
    metavar="WAY",
    type=click.Choice(PAUSE_WAYS),
    is_flag=False,
    flag_value="auto",
    help="TERM, USR1 and USR2 ask CMD to pause: by checkpoint (exit code 75), freeze, or auto (the default WAY).",
)
@click.option("--grace", metavar="SPAN", help="How long CMD may take to save when it is asked to pause.  [default: 60s]")
@click.option("--dry-run", is_flag=True, help="Print the best start in one line and run nothing.")
@JSON_TO
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@pass_session
def run(session: Session, /, command: tuple[str, ...], *, dry_run: bool, json_to: str | None, **asked: Any) -> int:
    """Wait for the clean hour, run CMD, leave evidence.

    With --mode there is no CMD: greenai trains on --data-csv or a packaged
    sample, metered from preprocessing to prediction, its quality in the evidence
    (in artifacts/evidence.csv unless --out says otherwise).

    CMD keeps its output and its exit code. Without a limit (--finish-by,
    --deadline or --max-wait-seconds) it starts at once; where it may wait and
    --duration is left out, past runs of CMD tell how long it takes. With --json the document
    is alone on stdout and CMD's own stdout goes to stderr; --json-to FILE leaves
    both streams alone.

    With --pausable a scheduler's signal (Slurm, Kubernetes) becomes a request that
    CMD sees with greenai.pause; a CMD that saves and leaves ends with exit code 75:
    run the same line again and it goes on.
    """
    mode = asked.pop("mode")
    _refuse(command, mode, dry_run=dry_run)
    if not mode:
        one_thread()
    settings = placed(session, asked)
    asked["labels"] = labels_of(asked.pop("labels"))
    learning = taken(asked, DATA_NAMES + TREATMENT_NAMES)
    if dry_run:
        return _dry_run(session, settings, asked, command)
    if mode:
        return _train(session, settings, mode, {**asked, **learning, "json_to": json_to})
    return _run(session, settings, json_to, {"command": command, **asked})


def _refuse(command: tuple[str, ...], mode: str | None, *, dry_run: bool) -> None:
    """What cannot be meant, before anything is read or started."""
    if command and mode:
        raise click.UsageError(f"--mode {mode} trains here and runs no command: leave one of them out")
    if not (command or mode or dry_run):
        raise click.UsageError(NO_COMMAND)


def _dry_run(session: Session, settings: Settings, asked: dict[str, Any], command: tuple[str, ...]) -> int:
    from greenai import api
    from greenai.cli.commands.plan import ASSUMED_FINISH, refuse_miss
    from greenai.cli.planned import best_start_line
    from greenai.cli.source import loud_words

    labels = asked.pop("labels")
    for name in ("out", "log_decision", "per", "count", "pausable", "grace"):
        del asked[name]
    if command and asked["duration"] is None:
        asked.update(command=command, labels=labels)
    if not has_slack(asked):
        session.screen.note(f"no limit given: looking {ASSUMED_FINISH} ahead; without one, run starts at once")
        asked["max_wait"] = ASSUMED_FINISH
    answer = api.plan(**asked, settings=settings)
    refuse_miss(answer)
    if session.json:
        session.screen.document(answer.document())
        return 0
    loud = loud_words(answer.reading)
    if loud:
        session.screen.note(str(loud))
    session.screen.answer(best_start_line(answer.decision), style="")
    return 0


def _train(session: Session, settings: Settings, mode: str, asked: dict[str, Any]) -> int:
    if asked.pop("pausable") or asked.pop("grace"):
        raise click.UsageError(f"--mode {mode} trains here and cannot be paused: --pausable and --grace are for a command")
    if not has_slack(asked):
        session.screen.note("no slack given (--finish-by, --deadline or --max-wait-seconds): training at once")
    return run_training(session, with_series(settings, asked), mode, asked)


def _run(session: Session, settings: Settings, json_to: str | None, asked: dict[str, Any]) -> int:
    from greenai import api
    from greenai.api.learning import with_length
    from greenai.cli.running import run_watched, watched_clock
    from greenai.cli.source import zone_words
    from greenai.cli.watch import Watcher
    from greenai.cli.words import about

    if not has_slack(asked):
        session.screen.note("no slack given (--finish-by, --deadline or --max-wait-seconds): running at once")
    session.screen.note(f"zone {zone_words(settings.zone, settings.origins.get('zone', ''))}")
    asked, source = with_length(asked["command"], asked, settings)
    if source:
        session.screen.note(f"takes {about(asked['duration'])} ({source})")

    def start(watcher: Watcher) -> RunOutcome:
        return api.run(**asked, clock=watched_clock(watcher), tell=watcher.tell, settings=settings)

    code = run_watched(session, settings, json_to, start, shift=True)
    if asked["pausable"] and code == PAUSED:
        session.screen.note("paused, its state saved (exit code 75): run the same line again and it goes on")
    return code
