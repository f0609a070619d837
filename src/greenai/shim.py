"""The process around one leg of a queued job: `python -m greenai.shim RUN_ID`.

It outlives the daemon that started it. It begins a run once for ever, obeys
requests to pause, meters the command, writes its evidence, and leaves the exit
code where the next daemon finds it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from greenai import pause
from greenai.adapters.executors import _gpus as gpus
from greenai.adapters.executors._run_files import CLAIM_WITHIN_S, RunFiles
from greenai.adapters.executors.pausable import PausableExecutor
from greenai.config import Settings
from greenai.engine.doors import Write
from greenai.engine.run import RunRequest, run_job
from greenai.errors import GreenaiError
from greenai.model.job import Constraints, Job
from greenai.model.queue import Task
from greenai.ports import Metering
from greenai.wiring import facts_of, open_doors, run_environment, settings_with

USAGE = 2


def main(arguments: list[str]) -> int:
    """Run the leg named by its run id; 0 when its end is written down, or another shim has it."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m greenai.shim RUN_ID\n")
        return USAGE
    try:
        settings = settings_with(None)
        files = RunFiles(settings.home, arguments[0])
        return run_leg(files, files.task(), settings)
    except GreenaiError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE


def run_leg(files: RunFiles, task: Task, settings: Settings) -> int:
    """Run one leg unless somebody has begun it; a command that could not be started may be tried again."""
    executor = PausableExecutor(files, cwd=task.cwd, way=task.pause_way, grace=task.grace, ended=files.end)
    # Before anybody can know of this process: a signal that came earlier would end it, and the run be lost.
    executor.listen()
    lock = files.lock(within_s=CLAIM_WITHIN_S)
    if lock is None or not files.begin():
        return 0
    try:
        executor.inherited = take_gpus(task, settings)
        for warning in run_task(files, task, replace(settings, zone=task.zone), executor):
            sys.stderr.write(f"{warning}\n")
    except GreenaiError as error:
        sys.stderr.write(f"{error}\n")
        if not executor.started:
            files.give_back(f"{error}\n")
    finally:
        os.close(lock)
    return 0


def take_gpus(task: Task, settings: Settings) -> tuple[int, ...]:
    """Take the whole GPUs a leg asks for, and let this process, its meters and its command see no others.

    Left alone: a job that names its own, a part of a GPU, and a leg whose engine (Slurm) gives it its GPUs.

    Raises:
        StoreError: they are not free yet.
    """
    wanted = int(task.demands.get("gpus", 0))
    if wanted < 1 or gpus.VISIBLE in task.environment or "SLURM_JOB_ID" in os.environ:
        return ()
    # Only a leg that asks for GPUs needs to know what the machine has.
    from greenai.wiring_queue import capacity_of

    devices = gpus.devices_of(os.environ, int(capacity_of(settings).amounts["gpus"]))
    names, descriptors = gpus.take(settings.home, devices, wanted)
    os.environ[gpus.VISIBLE] = ",".join(names)
    return descriptors


def run_task(files: RunFiles, task: Task, settings: Settings, executor: PausableExecutor) -> tuple[str, ...]:
    """Run one leg of a queued job, metered, to its end; what went wrong beside it.

    Raises:
        GreenaiError: the command was not started; or it was, and something that should have been kept was not.
    """
    job = leg_of(task)
    facts = facts_of(job, settings, unit=("run", 1.0), labels=job.labels, deferrable=task.latest_start_at is not None)
    request = RunRequest(
        facts=replace(facts, decision=task.decision),
        job=job,
        waits=False,
        environment={**run_environment(job), pause.JOB_ID: task.job_id, **files.told(task.job_id, task.resumes)},
    )
    known = open_doors(settings, adopts=True)

    def metering(write: Write) -> Metering:
        made = known.metering(write)
        # Samples end where standing still begins and ends: what was drawn meanwhile is then known, not shared out.
        executor.at_edge = made.mark
        return made

    return run_job(request, replace(known, executor=executor, metering=metering)).warnings


def leg_of(task: Task) -> Job:
    """A leg as the job that the engine runs."""
    latest_start_at = task.latest_start_at or task.runnable_at
    limits = Constraints(earliest_at=task.runnable_at, deadline_at=latest_start_at + task.duration, duration=task.duration)
    labels = {"phase": "run", "job_id": task.job_id, "leg": str(task.resumes + 1), **task.labels}
    return Job(
        id=task.run_id,
        command=task.command,
        constraints=limits,
        policy="asap",
        zone=task.zone,
        submitted_at=task.runnable_at,
        labels=labels,
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
