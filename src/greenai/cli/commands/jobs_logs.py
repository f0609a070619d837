"""`greenai jobs logs`: what a job printed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from greenai.cli.command import Command, Session, pass_session

if TYPE_CHECKING:
    from greenai.config import Settings

LOOK_EVERY_MS = 300


@click.command(cls=Command, epilog="\b\ngreenai jobs logs 12\ngreenai jobs logs -f 12")
@click.option(
    "-f",
    "--follow",
    is_flag=True,
    help="Wait for its start if need be, and print until the run ends; Ctrl-C leaves the job alone.",
)
@click.option("--leg", metavar="N", type=click.IntRange(min=1), help="The Nth run of a job that was paused.  [default: the last]")
@click.argument("job")
@pass_session
def logs(session: Session, *, job: str, follow: bool, leg: int | None) -> None:
    """What JOB wrote to stdout and stderr. With --json where it is, and its size."""
    from greenai import api

    settings = session.settings()
    if session.json and follow:
        raise click.UsageError("--json names the file, it does not follow it: leave one of them out")
    if follow and leg is None:
        _await_start(session, settings, job)
    path = api.log_path(job, leg=leg, settings=settings)
    if session.json:
        size = path.stat().st_size if path.exists() else 0
        session.screen.document({"job_id": job, "run_id": path.parent.name, "path": str(path), "size_bytes": size})
        return
    _print(settings, job, path, follow=follow)


def _await_start(session: Session, settings: Settings, job: str) -> None:
    """Until a job has run at all, or will not by itself."""
    from greenai import api
    from greenai.cli.queue_words import NO_DAEMON, status_word, when
    from greenai.model.queue import Queued, Waiting

    known = ""
    while not (entry := api.job(job, settings=settings)).run_ids and isinstance(entry.status, Queued | Waiting):
        time = when(entry, session.local_zone, session.now())
        said = f"job {entry.id} has not run yet: it is {status_word(entry.status)}{f', {time}' if time else ''}"
        if said != known:
            session.screen.note(f"{said}; Ctrl-C leaves it alone")
            if not known and api.running_holder(settings) is None:
                session.screen.warn(NO_DAEMON)
        known = said
        _rest()


def _rest() -> None:
    """A moment, until something may have changed."""
    from datetime import timedelta

    from greenai.wiring_queue import system_clock

    clock = system_clock()
    clock.wait_until(clock.now() + timedelta(milliseconds=LOOK_EVERY_MS))


def _print(settings: Settings, job: str, path: Path, *, follow: bool) -> None:
    """The file as it is, byte for byte; then what is added to it."""
    from greenai import api
    from greenai.model.queue import Pausing, Running

    position = 0
    while True:
        # Asked before the file is read: what is written before the end is then read after it.
        goes_on = follow and isinstance(api.job(job, settings=settings).status, Running | Pausing)
        position = _copy(path, position)
        if not goes_on:
            return
        _rest()


def _copy(path: Path, position: int) -> int:
    """Print what stands after `position`; the position after it."""
    try:
        with path.open("rb") as file:
            file.seek(position)
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return file.tell()
    except FileNotFoundError:
        return position
