"""`greenai daemon run`: the queue runs in this process."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from greenai.cli.blas import one_thread
from greenai.cli.command import Command, Session, pass_session

if TYPE_CHECKING:
    from rich.text import Text

    from greenai.engine.doors import QueueDoors
    from greenai.model.queue import JobEvent, Status


@click.command(cls=Command, epilog="\b\ngreenai daemon\ngreenai daemon install      for one that always runs")
@pass_session
def run(session: Session) -> int:
    """Run the queue in the foreground, one line for each thing that happens; with --json one document a line."""
    one_thread()
    from greenai import api
    from greenai.cli.exits import SIGNAL_BASE
    from greenai.cli.watch import Stopped

    settings = session.settings()
    teller = _Teller(session, settings.home / "queue.jsonl")
    _end_on_signals()
    try:
        api.serve(settings=settings, stop=teller.look, warn=session.screen.warn, started=teller.started)
    except KeyboardInterrupt as end:
        teller.look()
        session.screen.note("stopped; jobs that run go on, the next greenai daemon finds them again")
        return SIGNAL_BASE + (end.number if isinstance(end, Stopped) else 2)
    return 0


def _end_on_signals() -> None:
    """SIGTERM and SIGHUP end it as Ctrl-C does; what is ignored (nohup) stays ignored."""
    from greenai.cli.watch import STOPPING, Stopped

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


class _Teller:
    """Reads what is written to the log of the queue, by whomever, and says it."""

    def __init__(self, session: Session, log: Path) -> None:
        self._session = session
        self._log = log
        self._position = self._size()
        self._before: dict[str, Status] = {}

    def started(self, doors: QueueDoors) -> None:
        """The first lines: what is there to be run, and on what."""
        from greenai.cli.queue_words import amounts_words, counts_line

        for entry in doors.queue.unfinished():
            self._before[entry.id] = entry.status
        if not self._session.json:
            may_take = amounts_words(doors.capacity.amounts)
            self._session.screen.answer(f"the queue runs: {counts_line(doors.queue.counts())}", style="")
            self._session.screen.note(f"jobs may take {may_take}; Ctrl-C ends the daemon, not the jobs")

    def look(self) -> bool:
        """Say what is new; False, for it never ends by itself."""
        size = self._size()
        # A log that shrank was restored from the database: what it holds is known.
        self._position = min(self._position, size)
        if size > self._position:
            with self._log.open("rb") as log:
                log.seek(self._position)
                rest = log.read(size - self._position)
            whole = rest[: rest.rfind(b"\n") + 1]
            self._position += len(whole)
            for line in whole.splitlines():
                self._say(line)
        return False

    def _size(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0

    def _say(self, line: bytes) -> None:
        from greenai.errors import EvidenceDamaged
        from greenai.model.queue import Moved
        from greenai.model.queue_lines import event_from_line

        try:
            event = event_from_line(line)
        except EvidenceDamaged as error:
            self._session.screen.warn(str(error))
            return
        before = self._before.get(event.job_id)
        if isinstance(event.change, Moved):
            self._before[event.job_id] = event.change.status
        self._print(event, before)

    def _print(self, event: JobEvent, before: Status | None) -> None:
        from greenai.cli.queue_words import step

        if self._session.json:
            from greenai.logic.queue_document import event_document

            click.echo(json.dumps(event_document(event)))
            return
        text = step(event, before, self._session.local_zone)
        if text:
            self._session.screen.answer(self._line(event, text), style="")

    def _line(self, event: JobEvent, text: str) -> Text:
        """Time, job, and what happened; coloured on a terminal."""
        from rich.text import Text

        from greenai.cli.queue_words import style_of
        from greenai.cli.screen import CALM

        at = f"{event.at.astimezone(self._session.local_zone):%H:%M:%S}"
        return Text.assemble((at, CALM), f"  job {event.job_id:<8} ", (text, style_of(event.change)))
