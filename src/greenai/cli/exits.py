"""What the exit code says. The first class of the table that fits decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from greenai.errors import GreenaiError, InputError, MeterUnavailable, NoFeasibleWindow, ProviderError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenai.model.queue import Entry

OK: Final = 0
WORSE_THAN_MODELLED: Final = 1
NOT_DONE: Final = 1
USAGE: Final = 2
NO_WINDOW: Final = 3
PROVIDER: Final = 4
STORE: Final = 5
UNEXPECTED: Final = 70
PAUSED: Final = 75
TIME_IS_UP: Final = 124
SIGNAL_BASE: Final = 128
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

EXIT_CODES: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (NoFeasibleWindow, NO_WINDOW),
    (ProviderError, PROVIDER),
    (StoreError, STORE),
    (MeterUnavailable, USAGE),
    (InputError, USAGE),
    (GreenaiError, USAGE),
    (BrokenPipeError, BROKEN_PIPE),
    (KeyboardInterrupt, INTERRUPTED),
)

MEANINGS: Final[tuple[tuple[int, str], ...]] = (
    (OK, "done"),
    (
        WORSE_THAN_MODELLED,
        "doctor: evidence here would rest on assumed numbers; jobs wait: a job was cancelled, lost or held",
    ),
    (USAGE, "usage, configuration or input: nothing was started"),
    (NO_WINDOW, "no feasible window: the job does not fit before its deadline"),
    (PROVIDER, "no usable answer from a grid service, where one was required"),
    (STORE, "the state directory cannot be used, or evidence does not verify"),
    (UNEXPECTED, "a defect in greenai itself; GREENAI_DEBUG=1 shows where"),
    (PAUSED, "run --pausable, and every queued leg: the command saved its state and left; run again, it goes on"),
    (TIME_IS_UP, "jobs wait: the time is up, and not all of the jobs are over"),
    (INTERRUPTED, "interrupted with Ctrl-C; 128+n for another signal n"),
    (BROKEN_PIPE, "the reader of the output went away"),
)
"""`run` and `measure` exit with the code of the command they ran, whatever it is."""


def exit_code_of(error: BaseException) -> int:
    """The documented exit code of an error; UNEXPECTED for one nobody foresaw."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), UNEXPECTED)


def exit_code_of_jobs(entries: Sequence[Entry]) -> int:
    """The worst of the jobs: 0 if all completed, 124 if one goes on, else the largest exit code; 1 for one without any."""
    from greenai.model.queue import Ended, Held

    if any(not isinstance(entry.status, Ended | Held) for entry in entries):
        return TIME_IS_UP
    codes = [OK]
    for entry in entries:
        status = entry.status
        if not (isinstance(status, Ended) and status.outcome == "completed"):
            codes.append((status.exit_code if isinstance(status, Ended) and status.outcome == "failed" else None) or NOT_DONE)
    return max(codes)
