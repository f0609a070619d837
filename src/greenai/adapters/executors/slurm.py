"""Queued jobs on a cluster: each leg is one job of Slurm, which holds it until its window and starts it without us.

What Slurm starts is the shim (`python -m greenai.shim RUN_ID`), on a node that shares
the state directory: it meters the command and leaves its exit code there as on
one machine. So nothing of the user's passes a shell, and what became of a run is
read in two places: its directory, and squeue, where the comment names the run.

A leg is never requeued by Slurm: a run begins once. What is paused comes back as
a new job with evidence of its own; what failed comes back by its own --retries.
Neither is a time limit set, for our length is a guess, nor Slurm's own deadline:
both would end a job that is merely late.
"""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from greenai.adapters.executors._output import OutputProgress
from greenai.adapters.executors._run_files import RunFiles
from greenai.adapters.executors.local import check_command
from greenai.adapters.executors.slurm_commands import TAG, Slurm, SlurmJob, stamp
from greenai.errors import InputError, StoreError
from greenai.model.queue import Alive, Gone, PauseWay, RunState, Task, Unstarted

SETTLED_AFTER = timedelta(seconds=15)
"""A file that a node wrote may be seen here only after a while (NFS: acregmax, and dentries that were not there)."""

FREEZES_WITHIN_S = 3.0
LONGEST_WARNING_S = 65535
"""The most that sbatch --signal takes."""

NEVER = frozenset(
    {"PartitionConfig", "BadConstraints", "PartitionNodeLimit", "PartitionTimeLimit", "InvalidAccount", "InvalidQOS"}
)
"""Why a job stays in line for ever: it asks for what the partition does not have. sbatch takes it all the same."""

RECORD = "slurm.job"
"""The file with the number of the Slurm job, and the moment it was last asked to start at."""

SCRIPT = """#!/bin/sh
# Made by greenai for one leg of its job {job_id}. Slurm runs it once.
# A request that comes before the shim listens is found by it in a file: the signal must not end it.
trap '' USR1 USR2 TERM HUP
exec {python} -m greenai.shim {run_id}
"""


USED = "slurm.used"
"""A file in the state directory, there once anything was handed over to Slurm."""


class SlurmExecutor:
    """Implements `greenai.ports.HoldingExecutor`.

    `partitions` maps a grid zone to the partition whose nodes stand in it; a zone
    that is not named goes where sbatch puts it.
    """

    name = "slurm"

    def __init__(
        self,
        home: Path,
        environ: Mapping[str, str],
        *,
        partitions: Mapping[str, str] | None = None,
        settled_after: timedelta = SETTLED_AFTER,
    ) -> None:
        self._home = home
        self._environ = environ
        self._partitions = partitions or {}
        self._slurm = Slurm(environ)
        self._settled_s = settled_after.total_seconds()
        self._gone_since_s: dict[str, float] = {}
        self._outputs: dict[str, OutputProgress] = {}

    def launch(self, task: Task) -> str:
        """Hand a leg over to start now; one that Slurm holds for later starts now.

        Raises:
            InputError: the command is not there, or Slurm will never take such a job.
            StoreError: Slurm does not answer, or not now; or the last start failed on the node.
        """
        return self.schedule(task, datetime.now(UTC))

    def schedule(self, task: Task, start_at: datetime) -> str:
        """Hand a leg over to start at a moment, or move it there; its handle, the number of the Slurm job. Raises as `launch`."""
        files, moment = RunFiles(self._home, task.run_id), stamp(start_at)
        if files.begun() is not None:
            return _number(files)
        known = self._find(task.run_id) or self._find(task.run_id, fresh=True)
        if known is not None and (known.is_in_line or known.is_live):
            if known.is_in_line and not known.is_held and (files.read(RECORD) or "") != f"{known.job_id} {moment}":
                files.keep_task(task)
                self._slurm.start_at(known.job_id, start_at)
            files.write(RECORD, f"{known.job_id} {moment}")
            return known.job_id
        environ = {**self._environ, **task.environment, "GREENAI_HOME": str(self._home)}
        check_command(task.command, environ)
        self._write(files, task)
        (self._home / USED).touch()
        job_id = self._slurm.submit([*self._arguments(files, task, moment), str(files.path("slurm.sh"))], environ)
        files.write(RECORD, f"{job_id} {moment}")
        return job_id

    def in_line(self) -> frozenset[str]:
        """The runs of this state directory that Slurm holds and has not begun; raises StoreError."""
        if not (self._home / USED).exists():
            # Nothing was ever handed over from here: a Slurm that is away, or never was here, is nobody's trouble.
            return frozenset()
        waiting = [job.run_id for job in self._slurm.jobs() if job.is_in_line and job.run_id]
        return frozenset(run_id for run_id in waiting if RunFiles(self._home, run_id).has(RECORD))

    def _write(self, files: RunFiles, task: Task) -> None:
        """The leg and the script, unless the last start failed on the node: that is told once, then tried again."""
        trouble = files.read("trouble") if files.place.is_dir() else None
        if trouble is not None:
            files.drop("trouble")
            raise StoreError(trouble.strip())
        if not Path(task.cwd).is_dir():
            raise InputError(
                f"the directory {task.cwd} of job {task.job_id} is not there", hint="make it, then: greenai jobs retry"
            )
        files.make()
        files.keep_task(task)
        quoted = {"python": shlex.quote(sys.executable), "run_id": shlex.quote(task.run_id)}
        files.write("slurm.sh", SCRIPT.format(job_id=_one_line(task.job_id), **quoted))

    def _arguments(self, files: RunFiles, task: Task, moment: str) -> list[str]:
        grace_s = min(LONGEST_WARNING_S, max(1, math.ceil(task.grace.total_seconds())))
        partition = self._partitions.get(task.zone)
        return [
            f"--comment={TAG}{task.run_id}",
            f"--job-name={_one_line(task.name) or f'greenai-{task.job_id}'}",
            f"--chdir={task.cwd}",
            f"--output={str(files.path('slurm.log')).replace('%', '%%')}",
            "--open-mode=append",
            "--no-requeue",
            "--export=ALL",
            "--nodes=1",
            "--ntasks=1",
            f"--signal=B:USR1@{grace_s}",
            f"--begin={moment}",
            *([f"--partition={partition}"] if partition else []),
            *_resources(task.demands),
        ]

    def look(self, run_id: str, handle: str) -> RunState:
        """What has become of a run, by its directory and by squeue; raises StoreError while Slurm does not answer."""
        files = RunFiles(self._home, run_id)
        exited = files.exited()
        if exited is not None:
            self._outputs.pop(run_id, None)
            return exited
        job = self._find(run_id)
        if job is not None and job.is_in_line and job.reason in NEVER:
            self._slurm.cancel(job.job_id)
            return Gone(reason=f"Slurm would never run its job {job.job_id}: {job.reason}")
        if job is not None and (job.is_in_line or job.is_live):
            self._gone_since_s.pop(run_id, None)
            return self._alive(files, job)
        self._outputs.pop(run_id, None)
        # Asked after squeue: a run that ended in between has left its exit code by now.
        return files.exited() or self._over(files, run_id, handle, job)

    def _alive(self, files: RunFiles, job: SlurmJob) -> Alive:
        frozen = job.is_held or job.state == "SUSPENDED" or files.has("frozen")
        if job.is_in_line:
            return Alive(handle=job.job_id, frozen=frozen, in_line=True)
        told = files.progress_share()
        share = self._outputs.setdefault(job.run_id, OutputProgress(files.path("output.log"))).share() if told is None else told
        return Alive(handle=job.job_id, progress_share=share, is_read=told is None, frozen=frozen)

    def _over(self, files: RunFiles, run_id: str, handle: str, job: SlurmJob | None) -> RunState:
        """A run that Slurm does not run and that left no exit code."""
        if files.begun() is None and files.has("trouble"):
            return Unstarted()
        number = handle or _number(files)
        if not number:
            return Unstarted()
        since_s = self._gone_since_s.setdefault(run_id, time.monotonic())
        if time.monotonic() - since_s < self._settled_s:
            return Alive(handle=number, in_line=files.begun() is None)
        how = f"ended as {job.state}" if job else "is not known there any more"
        began = "and left no exit code" if files.begun() is not None else "before the command began"
        return Gone(reason=f"Slurm's job {number} {how} {began}")

    def pause(self, run_id: str, handle: str, way: PauseWay = "auto") -> None:
        """Ask it to give way: one in line is kept back, one that runs is asked by signal; where it is to be frozen, suspended."""
        job, files = self._find(run_id, fresh=True), RunFiles(self._home, run_id)
        if job is None:
            return
        if job.is_in_line:
            self._slurm.hold(job.job_id)
        elif job.state == "RUNNING" and not files.has("pause"):
            freezes = "freeze" in {way, files.task().pause_way}
            self._ask(files, job, "freeze" if freezes else "pause", "USR1")
            if freezes and self._is_frozen(files):
                # The program stands still by then and that is written down; suspending gives its cores to others.
                self._slurm.suspend(job.job_id)

    @staticmethod
    def _is_frozen(files: RunFiles) -> bool:
        give_up_s = time.monotonic() + FREEZES_WITHIN_S
        while not files.has("frozen") and time.monotonic() < give_up_s:
            time.sleep(0.05)
        return files.has("frozen")

    def resume(self, run_id: str, handle: str) -> None:
        """Let it go on, or take a request to pause back."""
        job, files = self._find(run_id, fresh=True), RunFiles(self._home, run_id)
        if job is None:
            return
        if job.is_in_line:
            if job.is_held:
                self._slurm.release(job.job_id)
            self._slurm.start_at(job.job_id, datetime.now(UTC))
            return
        if job.state == "SUSPENDED":
            self._slurm.go_on(job.job_id)
        self._ask(files, job, "resume", "USR1")

    def stop(self, run_id: str, handle: str) -> None:
        """End it: TERM by the shim and KILL after its grace; by Slurm where that has brought nothing."""
        job, files = self._find(run_id, fresh=True), RunFiles(self._home, run_id)
        if job is None or not (job.is_in_line or job.is_live):
            return
        if job.is_in_line:
            # A leg that was handed over and is not wanted then may be wanted again later: it is not lost.
            self._slurm.cancel(job.job_id)
            files.drop(RECORD)
        elif self._was_asked_long_ago(files):
            self._slurm.cancel(job.job_id)
        elif not files.has("stopping"):
            if job.state == "SUSPENDED":
                self._slurm.go_on(job.job_id)
            if self._ask(files, job, "stop", "TERM"):
                files.write("stopping", "")

    @staticmethod
    def _was_asked_long_ago(files: RunFiles) -> bool:
        if not files.has("stopping"):
            return False
        patience_s = files.task().grace.total_seconds() + 30.0
        return time.time() - files.path("stopping").stat().st_mtime > patience_s

    def _ask(self, files: RunFiles, job: SlurmJob, request: str, signal: str) -> bool:
        """Leave the request, and wake a shim that has begun: one that has not reads it when it does. Whether it was woken."""
        files.write("request", request)
        if files.begun() is None:
            return False
        self._slurm.signal(job.job_id, signal)
        return True

    def _find(self, run_id: str, *, fresh: bool = False) -> SlurmJob | None:
        """The job of a run; of several, handed over at once by two processes, the one that is furthest."""
        own = [job for job in self._slurm.jobs(fresh=fresh) if job.run_id == run_id]
        return min(own, key=lambda job: (not job.is_live, not job.is_in_line, job.job_id), default=None)


def _number(files: RunFiles) -> str:
    """The Slurm job of a run, as it was noted; empty for none."""
    return (files.read(RECORD) or "").partition(" ")[0]


def _resources(demands: Mapping[str, float]) -> list[str]:
    """What a job takes, as sbatch asks for it; raises InputError for a resource it has no words for."""
    asked = {"cpus": "--cpus-per-task={:d}", "gpus": "--gres=gpu:{:d}", "memory_gb": "--mem={:d}M"}
    unknown = sorted(name for name, amount in demands.items() if amount > 0 and name not in asked)
    if unknown:
        raise InputError(f"Slurm is not asked for {unknown[0]} by greenai", hint=f"it is for {', '.join(asked)}")
    return [asked[name].format(_whole(name, amount)) for name, amount in sorted(demands.items()) if amount > 0]


def _whole(name: str, amount: float) -> int:
    return math.ceil(amount * 1024) if name == "memory_gb" else math.ceil(amount)


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
