"""What the engine tells whoever watches a run: plain records, rendered by the CLI."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from greenai.model.intensity import Reading
from greenai.model.plan import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Of a long read so many parts are done: a first forecast rests on a year of the past."""

    what: str
    done: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The job waits; the engine looks again at `until_at` at the latest."""

    decision: Decision
    reading: Reading
    until_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Replanned:
    """A newer forecast moved the start."""

    decision: Decision
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The command is about to be launched; `reason` is the decision's, empty where there was nothing to decide."""

    run_id: str
    command: tuple[str, ...]
    started_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The command has ended; its evidence is being written."""

    run_id: str
    exit_code: int
    ended_at: datetime


Progress = Read | Waiting | Replanned | Started | Ended
