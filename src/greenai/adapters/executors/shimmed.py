"""Queued jobs on this machine: each leg in a process of its own that outlives whoever launched it.

The shim (`greenai/shim.py`) runs the command, meters it and leaves its exit code
in the run's directory. What has become of a run is read there, never remembered:
a daemon that starts anew, or a second one, sees the same.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path

from greenai import pause
from greenai.adapters.executors._output import OutputProgress
from greenai.adapters.executors._processes import boot_id, handle_of, is_alive, processes_with, send
from greenai.adapters.executors._run_files import RunFiles
from greenai.adapters.executors.local import check_command
from greenai.adapters.executors.pausable import KILL_AFTER_S, WAKE
from greenai.errors import InputError, StoreError
from greenai.model.queue import Alive, Gone, PauseWay, RunState, Task, Unstarted

TRY_AGAIN_AFTER_S = 30.0
"""A shim that could not start its command (a full disk) is not tried again at once."""


class ShimExecutor:
    """Implements `greenai.ports.JobExecutor` with a shim for each leg."""

    name = "local"

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        self._home = home
        self._environ = environ
        self._shims: dict[str, int] = {}
        self._outputs: dict[str, OutputProgress] = {}

    def launch(self, task: Task) -> str:
        """Start a shim for a leg. A second shim of the same run ends without starting anything.

        Raises:
            InputError: the command or its directory is not there.
            StoreError: the run's directory cannot be written, or the last shim could not start the command a moment ago.
        """
        environ = {**self._environ, **task.environment, "GREENAI_HOME": str(self._home)}
        check_command(task.command, environ)
        if not Path(task.cwd).is_dir():
            raise InputError(
                f"the directory {task.cwd} of job {task.job_id} is not there", hint="make it, then: greenai jobs retry"
            )
        files = RunFiles(self._home, task.run_id)
        files.make()
        self._refuse_after_trouble(files)
        files.keep_task(task)
        try:
            with files.path("shim.log").open("ab") as log:
                shim = subprocess.Popen(
                    [sys.executable, "-m", "greenai.shim", task.run_id],
                    cwd=task.cwd,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise StoreError(f"no process can be started for job {task.job_id}: {error.strerror}") from error
        # Waited for by number, here, if at all: a Popen that is thrown away complains of a child that lives on, as it should.
        shim.returncode = 0
        self._shims[task.run_id] = shim.pid
        return handle_of(shim.pid)

    @staticmethod
    def _refuse_after_trouble(files: RunFiles) -> None:
        trouble = files.read("trouble")
        if trouble is not None:
            if (files.age_s("trouble") or 0.0) < TRY_AGAIN_AFTER_S:
                raise StoreError(trouble.strip())
            files.drop("trouble")

    def look(self, run_id: str, handle: str) -> RunState:
        """What has become of a run, by its directory."""
        files = RunFiles(self._home, run_id)
        self._reap()
        # The order matters: a run that ends between two looks leaves its exit code before its lock is free.
        if files.exited() is None and (files.has_life() or run_id in self._shims):
            begun = files.begun()
            known = str((begun or {}).get("handle", handle))
            told = files.progress_share()
            share = self._output(files, run_id).share() if told is None else told
            frozen = files.has("frozen")
            return Alive(handle=known, progress_share=share, is_read=told is None, frozen=frozen, in_line=begun is None)
        self._outputs.pop(run_id, None)
        exited = files.exited()
        if exited is not None:
            return exited
        begun = files.begun()
        if begun is None:
            return Unstarted()
        # A shim that was killed leaves its command running: the run is not over before that has ended too.
        if processes_with(pause.RUN_ID, run_id):
            return Alive(handle="", progress_share=files.progress_share(), frozen=files.has("frozen"))
        return Gone(reason=self._why_gone(begun))

    def _output(self, files: RunFiles, run_id: str) -> OutputProgress:
        """The reader of a run's output, kept while it runs."""
        return self._outputs.setdefault(run_id, OutputProgress(files.path("output.log")))

    @staticmethod
    def _why_gone(begun: Mapping[str, object]) -> str:
        if begun.get("boot_id") not in {None, boot_id()}:
            return "the machine was started again while it ran"
        return "its process is gone and nobody saw it end"

    def _reap(self) -> None:
        """Take note of all shims of our own that have ended: the system keeps a dead child until its parent has looked.

        All, because nobody looks at a run again whose exit code is known, and its shim may still be writing evidence then.
        """
        self._shims = {run_id: pid for run_id, pid in self._shims.items() if _is_child(pid)}

    def pause(self, run_id: str, handle: str, way: PauseWay = "auto") -> None:
        """Ask a run to give way: as its task says, or frozen."""
        self._ask(run_id, "freeze" if way == "freeze" else "pause")

    def resume(self, run_id: str, handle: str) -> None:
        """Let a frozen run go on, or take a request to pause back."""
        self._ask(run_id, "resume")

    def stop(self, run_id: str, handle: str) -> None:
        """End a run."""
        self._ask(run_id, "stop")

    def _ask(self, run_id: str, request: str) -> None:
        """Leave the request, then wake the shim; a run whose shim was killed is dealt with from here."""
        files = RunFiles(self._home, run_id)
        begun = files.begun()
        if begun is None and not files.has("task.json"):
            return
        handle = str((begun or {}).get("handle", ""))
        if begun is not None and not is_alive(handle):
            _ask_orphans(files, run_id, request)
            return
        files.write("request", request)
        if begun is not None:
            send(int(handle.partition(":")[0]), WAKE)


def _is_child(pid: int) -> bool:
    """Whether a child of ours lives; one that has ended is taken note of."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != pid
    except ChildProcessError:
        return False


def _ask_orphans(files: RunFiles, run_id: str, request: str) -> None:
    """What outlived its shim can be ended or thawed; nobody would see it stand still, so it is not frozen."""
    orphans = processes_with(pause.RUN_ID, run_id)
    if request in {"pause", "freeze"} or not orphans:
        return
    numbers = [signal.SIGCONT]
    if request == "stop":
        asked_s = files.age_s("request") if files.read("request") == request else None
        if asked_s is None:
            files.write("request", request)
        is_late = asked_s is not None and asked_s >= max(files.task().grace.total_seconds(), KILL_AFTER_S)
        # Both: what was frozen hears TERM only once it goes on.
        numbers = [signal.SIGKILL] if is_late else [signal.SIGTERM, signal.SIGCONT]
    files.drop("frozen")
    for orphan, number in product(orphans, numbers):
        send(orphan, number)
