"""What a site needs: energies side by side, a begin time for a filter, the forecast as a file, and the filters themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.options import SERIES

if TYPE_CHECKING:
    from greenai.api.slurm import Beside

FILTERS = ("cli_filter", "job_submit")
ENERGY_HELP = """What jobs used, all their legs, beside what Slurm itself counted (ConsumedEnergyRaw of sacct).

\b
  greenai slurm energy 1234

Slurm counts only where acct_gather_energy is set up, and then whole nodes.
"""
BEGIN_HELP = """When a job of this length may begin, in one line: seconds since 1970 (0: at once), a space, and why.

\b
  greenai slurm begin --limit 2:00:00 --finish-by 24h
"""
SLOTS_HELP = """The forecast of each partition's zone (setting slurm_partitions) as the small file that job_submit.lua reads.

\b
  */20 * * * *  greenai slurm slots --to /var/lib/greenai/slots      # crontab
"""
LUA_HELP = """A filter that sets the begin time of jobs that ask for it; it never stops a job.

\b
  greenai slurm lua cli_filter --to /etc/slurm       # then: CliFilterPlugins=lua
  greenai slurm lua job_submit --to /etc/slurm       # then: JobSubmitPlugins=lua
"""


@click.command(cls=Command, help=ENERGY_HELP)
@click.argument("job_ids", metavar="[JOB]...", nargs=-1)
@pass_session
def energy(session: Session, /, *, job_ids: tuple[str, ...]) -> None:
    """List them."""
    from greenai.api import slurm
    from greenai.cli.screen import table
    from greenai.cli.words import energy as energy_words

    found = slurm.energy(job_ids, settings=session.settings())
    if session.json:
        session.screen.document({"schema": "greenai.slurm_energy/1", "jobs": [_document(job) for job in found]})
        return
    if not found:
        session.screen.answer("no evidence names a job of Slurm", style="")
        return
    rows = [
        (
            job.job_id,
            str(len(job.run_ids)),
            energy_words(job.energy_kwh),
            energy_words(job.slurm_kwh) if job.slurm_kwh else "not counted",
        )
        for job in found
    ]
    session.screen.detail(table(("job", "legs", "metered here", "by Slurm"), rows, right=(1, 2, 3)))


def _document(job: Beside) -> dict[str, Any]:
    return {"job_id": job.job_id, "run_ids": list(job.run_ids), "energy_kwh": job.energy_kwh, "slurm_kwh": job.slurm_kwh}


@click.command(cls=Command, help=BEGIN_HELP)
@click.option("--limit", metavar="TIME", required=True, help="The time limit, as Slurm writes it: 90, 2:00:00, 1-12.")
@click.option("--finish-by", metavar="WHEN", default="24h", show_default=True, help="The job must be done by then.")
@SERIES
@pass_session
def begin(session: Session, /, *, limit: str, finish_by: str, series: str | None) -> None:
    """Say it in one line."""
    from greenai.api import slurm
    from greenai.model.units import iso_utc

    start_at, reason = slurm.begin(limit=limit, finish_by=finish_by, settings=session.settings(series=series))
    if session.json:
        begin_at = None if start_at is None else iso_utc(start_at)
        session.screen.document({"schema": "greenai.slurm_begin/1", "begin_at": begin_at, "reason": reason})
        return
    click.echo(f"{0 if start_at is None else int(start_at.timestamp())} {reason}")


@click.command(cls=Command, help=SLOTS_HELP)
@click.option("--to", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Replace this file whole.")
@click.option("--hours", metavar="H", type=click.FloatRange(min=0, min_open=True), help="How far ahead.  [default: 48]")
@SERIES
@pass_session
def slots(session: Session, /, *, to: Path | None, hours: float | None, series: str | None) -> None:
    """Write or print it."""
    from greenai.api import slurm

    lines = slurm.slots(hours=hours, settings=session.settings(series=series))
    if session.json:
        session.screen.document(
            {"schema": "greenai.slurm_slots/1", "lines": list(lines), "file": None if to is None else str(to)}
        )
    elif to is None:
        click.echo("\n".join(lines))
    if to is not None:
        _replace(to, "".join(f"{line}\n" for line in lines))


def _replace(path: Path, text: str) -> None:
    """Write a file whole: who reads it meanwhile sees the old one."""
    from greenai.errors import StoreError

    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error


@click.command(cls=Command, help=LUA_HELP)
@click.argument("which", type=click.Choice(FILTERS))
@click.option("--to", metavar="DIR", type=click.Path(file_okay=False, exists=True, path_type=Path), help="Write it there.")
@click.option("--force", is_flag=True, help="Replace a filter that is there.")
@pass_session
def lua(session: Session, /, *, which: str, to: Path | None, force: bool) -> None:
    """Print or write it."""
    from importlib.resources import files

    from greenai.errors import InputError

    text = files("greenai.facts").joinpath("slurm", f"{which}.lua").read_text(encoding="utf-8")
    path = to and to / f"{which}.lua"
    if path is not None:
        if path.exists() and not force and path.read_text(encoding="utf-8", errors="replace") != text:
            raise InputError(f"{path} is there already", hint="merge the two by hand, or replace it with --force")
        _replace(path, text)
    if session.json:
        session.screen.document({"schema": "greenai.slurm_lua/1", "file": None if path is None else str(path), "text": text})
    elif path is None:
        click.echo(text, nl=False)
    else:
        option = "CliFilterPlugins" if which == "cli_filter" else "JobSubmitPlugins"
        session.screen.answer(f"wrote {path}; now {option}=lua in slurm.conf, and scontrol reconfigure")
