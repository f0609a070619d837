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
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the run ends; Ctrl-C leaves the job alone.")
@click.option("--leg", metavar="N", type=click.IntRange(min=1), help="The Nth run of a job that was paused.  [default: the last]")
@click.argument("job")
@pass_session
def logs(session: Session, *, job: str, follow: bool, leg: int | None) -> None:
    """What JOB wrote to stdout and stderr. With --json where it is, and its size."""
    from greenai import api

    settings = session.settings()
    path = api.log_path(job, leg=leg, settings=settings)
    if session.json:
        if follow:
            raise click.UsageError("--json names the file, it does not follow it: leave one of them out")
        size = path.stat().st_size if path.exists() else 0
        session.screen.document({"job_id": job, "run_id": path.parent.name, "path": str(path), "size_bytes": size})
        return
    _print(settings, job, path, follow=follow)


def _print(settings: Settings, job: str, path: Path, *, follow: bool) -> None:
    """The file as it is, byte for byte; then what is added to it."""
    from datetime import timedelta

    from greenai import api
    from greenai.model.queue import Pausing, Running
    from greenai.wiring_queue import system_clock

    clock, position = system_clock(), 0
    while True:
        # Asked before the file is read: what is written before the end is then read after it.
        goes_on = follow and isinstance(api.job(job, settings=settings).status, Running | Pausing)
        position = _copy(path, position)
        if not goes_on:
            return
        clock.wait_until(clock.now() + timedelta(milliseconds=LOOK_EVERY_MS))


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
