"""`greenai jobs cancel`, `hold`, `release`, `pause`, `resume` and `retry`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from greenai.cli.command import Command, Session, pass_session
from greenai.cli.exits import OK
from greenai.cli.root import report

if TYPE_CHECKING:
    from greenai.config import Settings
    from greenai.errors import InputError
    from greenai.model.queue import Entry

JOBS = click.argument("jobs", metavar="JOB...", nargs=-1, required=True)


def _change(session: Session, verb: str, jobs: tuple[str, ...]) -> int:
    """Write the user's will down; where no daemon would obey it, run one tick."""
    from greenai import api

    settings = session.settings()
    entries, refusals = _changed(getattr(api, verb), jobs, settings)
    holder = api.running_holder(settings)
    if holder is None and any(entry.wish for entry in entries):
        api.tick_once(settings=settings, warn=session.screen.warn)
        entries = tuple(api.job(entry.id, settings=settings) for entry in entries)
    if session.json:
        from greenai.logic.queue_document import job_document

        refused = [{"job_id": job, "reason": str(error)} for job, error in refusals.items()]
        document = {"jobs": [job_document(entry) for entry in entries], "refused": refused, "daemon": holder is not None}
        session.screen.document(document)
    elif entries:
        _tell(session, entries, holder)
    return max(map(report, refusals.values()), default=OK)


def _changed(
    change: Callable[..., tuple[Entry, ...]], jobs: tuple[str, ...], settings: Settings
) -> tuple[tuple[Entry, ...], dict[str, InputError]]:
    """The jobs that could be changed, afterwards, and why others could not: one wrong number does not stop the rest."""
    from greenai.errors import InputError

    try:
        return change(*jobs, settings=settings), {}
    except InputError:
        if len(set(jobs)) == 1:
            raise
    entries: dict[str, Entry] = {}
    refusals: dict[str, InputError] = {}
    for job in dict.fromkeys(jobs):
        try:
            entries |= {entry.id: entry for entry in change(job, settings=settings)}
        except InputError as error:
            refusals[job] = error
    return tuple(entries.values()), refusals


def _tell(session: Session, entries: tuple[Entry, ...], holder: str | None) -> None:
    from greenai.cli.queue_words import NO_DAEMON

    said = [_words(entry) for entry in entries]
    if len(entries) <= 10:
        for line in said:
            session.screen.answer(line, style="")
    else:
        session.screen.answer(f"{len(entries):,} jobs: {_summary(entries)}", style="")
    if holder is None and any(not entry.is_over for entry in entries):
        session.screen.warn(NO_DAEMON)


def _words(entry: Entry) -> str:
    """How the job stands now."""
    from greenai.cli.queue_words import status_word
    from greenai.model.queue import Paused

    if entry.wish and not entry.is_over:
        return f"job {entry.id} is asked to {'end' if entry.wish == 'cancel' else 'pause'}"
    if isinstance(entry.status, Paused) and not entry.status.by_user:
        return f"job {entry.id} is paused and goes on as planned"
    return f"job {entry.id} is {status_word(entry.status)}"


def _summary(entries: tuple[Entry, ...]) -> str:
    from collections import Counter

    from greenai.cli.queue_words import counts_line, status_word

    return counts_line(dict(Counter(f"asked to {entry.wish}" if entry.wish else status_word(entry.status) for entry in entries)))


@click.command(cls=Command, epilog="\b\ngreenai jobs cancel 12 13_4")
@JOBS
@pass_session
def cancel(session: Session, jobs: tuple[str, ...]) -> int:
    """End JOBS: those that run get TERM, then KILL after their grace."""
    return _change(session, "cancel", jobs)


@click.command(cls=Command, epilog="\b\ngreenai jobs hold 12")
@JOBS
@pass_session
def hold(session: Session, jobs: tuple[str, ...]) -> int:
    """Keep JOBS that have not started back until they are released."""
    return _change(session, "hold", jobs)


@click.command(cls=Command, epilog="\b\ngreenai jobs release 12")
@JOBS
@pass_session
def release(session: Session, jobs: tuple[str, ...]) -> int:
    """Let held JOBS be planned again."""
    return _change(session, "release", jobs)


@click.command(cls=Command, epilog="\b\ngreenai jobs pause 12")
@JOBS
@pass_session
def pause(session: Session, jobs: tuple[str, ...]) -> int:
    """Let running JOBS save their state and leave, or freeze, until they are resumed."""
    return _change(session, "pause", jobs)


@click.command(cls=Command, epilog="\b\ngreenai jobs resume 12")
@JOBS
@pass_session
def resume(session: Session, jobs: tuple[str, ...]) -> int:
    """Hand paused JOBS back to the plan: they go on when it is their time."""
    return _change(session, "resume", jobs)


@click.command(cls=Command, epilog="\b\ngreenai jobs retry 12")
@JOBS
@pass_session
def retry(session: Session, jobs: tuple[str, ...]) -> int:
    """Run JOBS again that failed, were lost or cancelled."""
    return _change(session, "retry", jobs)
