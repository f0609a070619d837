"""`greenai run`: wait for the clean hour, run a command, leave evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.learning import DATA_NAMES, MODE, TREATMENT_NAMES, data, run_training, taken, treatment
from greenai.cli.options import JSON_TO, OUT, hardware, hardware_settings, placing, unit_of_work

if TYPE_CHECKING:
    from greenai.api import RunOutcome
    from greenai.config import Settings

NO_COMMAND = "run needs a command, for example: greenai run --duration 2h --finish-by 24h -- python train.py"
PLAN_ONLY = ("interruptible", "min_chunk", "resume_cost", "max_segments")
PROTOTYPE_ZONE = "GB"
NO_COUNTRY = "WORLD"


@click.command(cls=Command, context_settings={"allow_interspersed_args": False})
@placing
@click.option("--max-wait-seconds", metavar="N", type=click.FloatRange(min=0), help="Longest wait before the start.")
@click.option("--defer-seconds", metavar="N", type=click.FloatRange(min=0), help="The same; --max-wait-seconds wins.")
@click.option(
    "--ci", type=click.Choice(["live", "csv"]), help="live: the zone's grid service (GB if no zone is set). csv: --ci-csv."
)
@click.option("--ci-csv", metavar="FILE", type=click.Path(), help="Series or hour-of-day table for --ci csv.")
@click.option(
    "--horizon-hours",
    metavar="H",
    type=click.FloatRange(min=0),
    help="The best start within H hours: --max-wait-seconds in hours; 0 runs at once.",
)
@OUT
@click.option("--log-decision", metavar="FILE.json", type=click.Path(dir_okay=False), help="Append the decision to a JSON list.")
@hardware
@unit_of_work
@click.option("--label", "labels", metavar="K=V", multiple=True, help="Kept in the evidence; may be repeated.")
@click.option("--mode", type=MODE, help="Instead of CMD: train here, the baseline or the optimised way behind the quality gate.")
@data
@treatment
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
    --deadline or --max-wait-seconds) it starts at once. With --json the document
    is alone on stdout and CMD's own stdout goes to stderr; --json-to FILE leaves
    both streams alone.
    """
    mode = asked.pop("mode")
    _refuse(command, asked, mode=mode, dry_run=dry_run)
    settings = session.settings(**_taken_settings(asked))
    settings = _prototype_zone(session, settings, asked)
    asked["labels"] = _labels(asked.pop("labels"))
    asked["require_live"] = asked.pop("require") == "live"
    asked["max_wait"] = _max_wait(asked.pop("max_wait_seconds"), asked.pop("defer_seconds"), asked.pop("horizon_hours"))
    learning = taken(asked, DATA_NAMES + TREATMENT_NAMES)
    if dry_run:
        return _dry_run(session, settings, asked)
    if mode:
        return _train(session, settings, mode, {**asked, **learning, "json_to": json_to})
    return _run(session, settings, json_to, {"command": command, **asked})


def _refuse(command: tuple[str, ...], asked: dict[str, Any], *, mode: str | None, dry_run: bool) -> None:
    """What cannot be meant, before anything is read or started."""
    if command and mode:
        raise click.UsageError(f"--mode {mode} trains here and runs no command: leave one of them out")
    if not (command or mode or dry_run):
        raise click.UsageError(NO_COMMAND)
    pausing = [name for name in PLAN_ONLY if asked.pop(name)]
    if pausing:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in pausing)
        raise click.UsageError(f"run cannot pause a job yet: {options} is for greenai plan only")
    if asked["ci"] == "csv" and not (asked["ci_csv"] or asked["series"]):
        raise click.UsageError("--ci csv needs the file: add --ci-csv FILE")
    if asked["ci"] == "live" and (asked["ci_csv"] or asked["series"]):
        raise click.UsageError("--ci live reads the grid service, not a file: leave one of them out")


def _taken_settings(asked: dict[str, Any]) -> dict[str, Any]:
    """The options that are settings, taken out of `asked`."""
    names = ("meter", "pue", "hold_w", "assumed_kw", "proxy_emissions")
    return hardware_settings(**{name: asked.pop(name) for name in names})


def _prototype_zone(session: Session, settings: Settings, asked: dict[str, Any]) -> Settings:
    """--ci as the prototype meant it: live is the GB service unless a zone is set; csv a file, GB's where no country is known."""
    from dataclasses import replace

    from greenai.cli.source import is_guessed

    ci, ci_csv = asked.pop("ci"), asked.pop("ci_csv")
    asked["series"] = asked["series"] or ci_csv
    origin = settings.origins.get("zone", "")
    meant = ci == "live" or (ci == "csv" and settings.zone == NO_COUNTRY)
    if not (meant and is_guessed(origin)):
        return settings
    if settings.zone != PROTOTYPE_ZONE:
        session.screen.note(f"--ci {ci} without a zone means GB; set another with --zone or GREENAI_ZONE")
    return replace(settings, zone=PROTOTYPE_ZONE, origins={**settings.origins, "zone": f"from --ci {ci}"})


def _labels(pairs: tuple[str, ...]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise click.UsageError(f"a label is written KEY=VALUE, not {pair!r}")
        labels[key] = value
    return labels


def _max_wait(max_wait_s: float | None, defer_s: float | None, horizon_h: float | None) -> Any:
    """The longest wait: --max-wait-seconds wins over --defer-seconds, and that over --horizon-hours."""
    from datetime import timedelta

    horizon_s = None if horizon_h is None else horizon_h * 3600
    seconds = next((given for given in (max_wait_s, defer_s, horizon_s) if given is not None), None)
    return None if seconds is None else timedelta(seconds=seconds)


def _has_slack(asked: dict[str, Any]) -> bool:
    return any(asked[name] is not None for name in ("finish_by", "deadline", "max_wait"))


def _dry_run(session: Session, settings: Settings, asked: dict[str, Any]) -> int:
    from greenai import api
    from greenai.cli.commands.plan import ASSUMED_FINISH, refuse_miss
    from greenai.cli.planned import best_start_line
    from greenai.cli.source import loud_words

    for name in ("out", "log_decision", "per", "count", "labels"):
        del asked[name]
    if not _has_slack(asked):
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
    from dataclasses import replace

    from greenai.wiring import settings_with

    if not _has_slack(asked):
        session.screen.note("no slack given (--finish-by, --deadline or --max-wait-seconds): training at once")
    known = settings_with(settings, series=asked.pop("series"))
    return run_training(session, replace(known, origins=settings.origins), mode, asked)


def _run(session: Session, settings: Settings, json_to: str | None, asked: dict[str, Any]) -> int:
    from greenai import api
    from greenai.cli.running import run_watched, watched_clock
    from greenai.cli.source import zone_words
    from greenai.cli.watch import Watcher

    if not _has_slack(asked):
        session.screen.note("no slack given (--finish-by, --deadline or --max-wait-seconds): running at once")
    session.screen.note(f"zone {zone_words(settings.zone, settings.origins.get('zone', ''))}")

    def start(watcher: Watcher) -> RunOutcome:
        return api.run(**asked, clock=watched_clock(watcher), tell=watcher.tell, settings=settings)

    return run_watched(session, settings, json_to, start, shift=True)
