"""`greenai run --pausable`: the protocol of queued jobs for a command in the foreground, under Slurm, Kubernetes or a hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from greenai import pause
from greenai.adapters.executors._run_files import RunFiles
from greenai.adapters.executors.local import LocalExecutor
from greenai.adapters.executors.pausable import PausableExecutor
from greenai.model.queue import PauseWay
from greenai.ports import Executor


def pausable(
    home: Path, run_id: str, environ: Mapping[str, str], *, way: PauseWay, grace: timedelta
) -> tuple[Executor, dict[str, str], Callable[[], str]]:
    """Where a command runs that may be asked to pause, what it is told of that, and what had to be done to it in the end.

    Where something around us does the asking already (a queued job), nothing is
    added: the command hears of it alone.
    """
    if environ.get(pause.PAUSE_FILE):
        return LocalExecutor(), {}, str
    files = RunFiles(home, run_id)
    told = files.told(_job_around(run_id, environ), _restarts(environ))
    stated = environ.get(pause.CHECKPOINT_DIR)
    if stated:
        told[pause.CHECKPOINT_DIR] = stated
    executor = PausableExecutor(files, way=way, grace=grace)
    return executor, told, lambda: executor.note


def _job_around(run_id: str, environ: Mapping[str, str]) -> str:
    """Whose checkpoints these are: a job that Slurm requeues keeps its number; without one each run has its own."""
    number = environ.get("SLURM_JOB_ID", "")
    return f"slurm-{number}" if number.isdecimal() else run_id


def _restarts(environ: Mapping[str, str]) -> int:
    """How often it was run before: as the user says, else as Slurm counts."""
    said = environ.get(pause.RESUMES) or environ.get("SLURM_RESTART_COUNT") or "0"
    return int(said) if said.isdecimal() else 0
