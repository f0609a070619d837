"""`greenai jobs wait`: until jobs are over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from greenai.cli.blas import one_thread
from greenai.cli.command import Command, Session, pass_session

if TYPE_CHECKING:
    from greenai.model.queue import Entry


MANY = 10
"""Of more jobs that changed at once only the numbers are said."""


@click.command(cls=Command, epilog="\b\ngreenai jobs wait 12 && python publish.py")
@click.option("--timeout", metavar="SPAN", help="Give up after this long: 90m, 2h (exit 124).")
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@pass_session
def wait(session: Session, jobs: tuple[str, ...], *, timeout: str | None) -> int:
    """Wait until all JOBS are over; runs the queue itself where no daemon does.

    The exit code is the worst of the jobs': 0 if all completed, else the largest
    exit code of one that failed; 1 for a job that was cancelled, lost or is held.
    124 when the time is up.
    """
    one_thread()
    from greenai import api
    from greenai.cli.exits import exit_code_of_jobs

    teller = _Teller(session)
    try:
        entries = api.wait(*jobs, timeout=timeout, settings=session.settings(), tell=teller.tell, warn=session.screen.warn)
    except KeyboardInterrupt:
        session.screen.note("the jobs stay as they are: what runs goes on, greenai jobs wait takes up the waiting again")
        raise
    code = exit_code_of_jobs(entries)
    if session.json:
        from greenai.logic.queue_document import job_document

        session.screen.document({"jobs": [job_document(entry) for entry in entries], "exit_code": code})
    else:
        _tell(session, entries)
    return code


class _Teller:
    """Says each job's new status once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, str] = {}
        self._said_alone = False

    def tell(self, entries: Sequence[Entry], alone: bool) -> None:
        """Hear how the jobs stand."""
        from greenai.cli.queue_words import status_word, when

        if alone and not self._said_alone:
            self._session.screen.note("no daemon runs: this command runs the queue while it waits")
            self._said_alone = True
        news = [entry for entry in entries if self._known.get(entry.id) != status_word(entry.status)]
        self._known |= {entry.id: status_word(entry.status) for entry in news}
        if len(news) > MANY:
            self._session.screen.note(_counted(news))
            return
        for entry in news:
            time = when(entry, self._session.local_zone, self._session.now())
            self._session.screen.note(f"job {entry.id} {status_word(entry.status)}{f', {time}' if time else ''}")


def _counted(entries: Sequence[Entry]) -> str:
    """How many there are of each status."""
    from collections import Counter

    from greenai.cli.queue_words import counts_line, status_word

    return counts_line(Counter(status_word(entry.status) for entry in entries))


def _tell(session: Session, entries: Sequence[Entry]) -> None:
    from greenai.model.queue import Held

    session.screen.answer(_counted(entries))
    if any(isinstance(entry.status, Held) for entry in entries):
        session.screen.note("greenai jobs show JOB says why a job is held; greenai jobs release JOB lets it go on")
