"""What `run` and `measure` share: whose stdout it is, what is said at the end."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenai.cli.card import summary_rows, verdict_rows
from greenai.cli.exits import INTERRUPTED, SIGNAL_BASE
from greenai.cli.screen import Screen, facts, print_json
from greenai.cli.streams import own_stdout
from greenai.cli.watch import Stopped, WatchedClock, Watcher
from greenai.errors import InputError

STOPPED = {
    "waiting": "stopped while waiting; nothing was run",
    "running": "stopped while the command ran; greenai evidence settle completes its evidence",
    "ended": "stopped after the command ended; greenai evidence settle completes its evidence",
}

if TYPE_CHECKING:
    from greenai.api import RunOutcome
    from greenai.cli.command import Session
    from greenai.config import Settings


def run_watched(
    session: Session, settings: Settings, json_to: str | None, start: Callable[[Watcher], RunOutcome], *, shift: bool
) -> int:
    """Run through `start`, then say what came of it; returns the command's exit code.

    `shift`: the run could have been moved in time, so its saving and verdict are part of the summary.
    """
    check_writable(json_to)
    with own_stdout(taken=session.json) as stdout:
        watcher = Watcher(session.screen, session.local_zone)
        try:
            with watcher:
                outcome = start(watcher)
        except KeyboardInterrupt as stop:
            return _stopped(session.screen, watcher, stop)
        _report(session.screen, outcome, settings, shift=shift)
        document = outcome_document(outcome)
        if session.json:
            print_json(document, stdout)
        if json_to:
            with Path(json_to).open("w", encoding="utf-8") as file:
                print_json(document, file)
    return outcome.exit_code


def watched_clock(watcher: Watcher) -> Any:
    """The system's clock, redrawing the countdown where somebody watches."""
    from greenai.adapters.clock import SystemClock

    return WatchedClock(SystemClock(), watcher.draw) if watcher.redraws else SystemClock()


def outcome_document(outcome: RunOutcome) -> dict[str, Any]:
    """The JSON of `run` and `measure` (schemas/run.schema.json)."""
    return {
        "run_id": outcome.run_id,
        "exit_code": outcome.exit_code,
        "decision": outcome.decision,
        "evidence": outcome.evidence,
        "warnings": list(outcome.warnings),
    }


def check_writable(path: str | None) -> None:
    """Refuse a file that cannot be written before anything is started; its directory is made."""
    if path is None:
        return
    file = Path(path).absolute()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(file if file.exists() else file.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", hint="choose another file") from None


def _stopped(screen: Screen, watcher: Watcher, stop: KeyboardInterrupt) -> int:
    recorded = f"; recorded as {watcher.run_id}" if watcher.run_id else ""
    screen.warn(f"{STOPPED[watcher.phase]}{recorded}")
    return SIGNAL_BASE + (stop.number if isinstance(stop, Stopped) else 2)


def _report(screen: Screen, outcome: RunOutcome, settings: Settings, *, shift: bool) -> None:
    """The summary on stderr: the command's own output has stdout."""
    if outcome.exit_code == INTERRUPTED and screen.err.is_terminal:
        # The terminal has just echoed ^C.
        screen.report("")
    for warning in outcome.warnings:
        screen.warn(warning)
    if outcome.evidence is None:
        return
    where = f"greenai evidence show {outcome.run_id} ({settings.home / 'ledger.jsonl'})"
    verdict = verdict_rows(outcome.evidence) if shift else []
    screen.report(facts([*summary_rows(outcome.evidence), *verdict, ("evidence", where)]))
