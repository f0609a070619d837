"""Slurm's own commands, as far as greenai needs them; each runs as an argument list, never through a shell.

Three things were met for real (Slurm 22.05). Times are read and written in the zone
of whoever asks, not the controller's: here they are seconds since 1970, which both
sbatch and scontrol take as `uts<seconds>`, so that no zone and no change of the clock
matters. Variables such as SQUEUE_STATES change what a command says: they are not
passed on. A controller that is away costs each command nine seconds: once seen, it
is not asked again for a while.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from greenai.errors import GreenaiError, InputError, StoreError

BOUND_S = 60.0
AWAY_FOR_S = 15.0
FRESH_FOR_S = 1.0
"""One list of the jobs serves all that a tick asks."""

TAG = "greenai:run="
"""What the comment of a job begins with that belongs to a run."""

HIDING = ("SQUEUE_", "SCONTROL_", "SCANCEL_", "SACCT_", "SLURM_")
KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER")
SILENT = "it does not say why"
OVERTAKEN = (
    "Invalid job id",
    "already completing or completed",
    "Job/step already",
    "no longer pending execution",
    # Of a job that has ended, and of nothing else, scancel fails without a word.
    f"(scancel): {SILENT}",
)
"""What Slurm says where a job began or ended between our look and our request."""
FOR_EVER = (
    "invalid partition",
    "Invalid account",
    "Invalid qos",
    "Requested node configuration is not available",
    "Invalid generic resource",
    "Invalid Trackable RESource",
    "Memory specification can not be satisfied",
    "unrecognized option",
    "invalid option",
    "Incompatible begin and deadline",
    "Unable to open file",
    "This does not look like a batch script",
    "Invalid time limit",
    "Invalid dependency",
)
"""What sbatch says of a job that no later try would bring in."""

LABELS = {
    "slurm_job_id": "SLURM_JOB_ID",
    "slurm_array": "SLURM_ARRAY_JOB_ID",
    "slurm_array_task": "SLURM_ARRAY_TASK_ID",
    "slurm_cluster": "SLURM_CLUSTER_NAME",
    "slurm_partition": "SLURM_JOB_PARTITION",
    "slurm_node": "SLURMD_NODENAME",
    "slurm_restarts": "SLURM_RESTART_COUNT",
}
ALLOCATED = {
    "cpu": "SLURM_CPUS_ON_NODE",
    "mem_mb": "SLURM_MEM_PER_NODE",
    "node": "SLURM_JOB_NUM_NODES",
    "gpu": "SLURM_GPUS_ON_NODE",
}

LIVE = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"})
IN_LINE = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmJob:
    """One line of squeue. `start_at` is when it did or may start; None where Slurm does not know."""

    job_id: str
    state: str
    reason: str
    start_at: datetime | None
    comment: str = ""

    @property
    def run_id(self) -> str:
        """The run it belongs to; empty for none of ours."""
        return self.comment.removeprefix(TAG) if self.comment.startswith(TAG) else ""

    @property
    def is_in_line(self) -> bool:
        """Whether it has not begun."""
        return self.state in IN_LINE

    @property
    def is_live(self) -> bool:
        """Whether its processes are there."""
        return self.state in LIVE

    @property
    def is_held(self) -> bool:
        """Whether somebody keeps it back."""
        return self.is_in_line and "held" in self.reason.lower()


class Slurm:
    """The cluster that this environment speaks of. What it refuses is an InputError, what may work later a StoreError."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        own = {name: value for name, value in environ.items() if name in KEPT or not name.startswith(HIDING)}
        # The last: tasks of an array that wait stand in one line, which would end in dots.
        self._environ = {**own, "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}
        self._jobs: tuple[SlurmJob, ...] = ()
        self._asked_s: float | None = None
        self._away_s: float | None = None
        self._away = ""

    def submit(self, arguments: Sequence[str], environ: Mapping[str, str]) -> str:
        """sbatch; the number of the new job, which gets this environment."""
        kept = {name: value for name, value in environ.items() if name in KEPT or not name.startswith(HIDING)}
        said = self._said(["sbatch", "--parsable", *arguments], kept)
        self._asked_s = None
        return said.strip().partition(";")[0]

    def jobs(self, *, fresh: bool = False) -> tuple[SlurmJob, ...]:
        """This user's jobs, those that ended a moment ago too; asked anew at most once a second, unless `fresh`."""
        if not fresh and self._asked_s is not None and time.monotonic() - self._asked_s < FRESH_FOR_S:
            return self._jobs
        said = self._said(["squeue", "--me", "--noheader", "--states=all", "--format=%i|%T|%r|%S|%k"], self._environ)
        self._jobs = tuple(_job(line) for line in said.splitlines() if line.count("|") >= 4)
        self._asked_s = time.monotonic()
        return self._jobs

    def meant(self, *numbers: str) -> tuple[SlurmJob, ...]:
        """What a user means by numbers: a job, one task of an array (7_3), or by the number of an array all its tasks.

        Tasks that wait together are one line of squeue, and one job here: 7_[1-2,4].
        Asked anew; raises as `jobs`.
        """
        jobs = self.jobs(fresh=True)
        return tuple(job for number in numbers for job in _meant(jobs, number))

    def start_at(self, job_id: str, moment: datetime) -> None:
        """Let a job that has not begun start at this moment, or as soon after it as there is room."""
        self._change(["scontrol", "update", f"JobId={job_id}", f"StartTime={stamp(moment)}"])

    def hold(self, job_id: str) -> None:
        """Keep a job back."""
        self._change(["scontrol", "uhold", job_id])

    def release(self, job_id: str) -> None:
        """Let a job that was kept back start."""
        self._change(["scontrol", "release", job_id])

    def suspend(self, job_id: str) -> bool:
        """Stop all its processes and give its cores to others; False where this user may not: most sites ask an operator."""
        try:
            self._change(["scontrol", "suspend", job_id])
        except InputError:
            return False
        return True

    def go_on(self, job_id: str) -> None:
        """Let a suspended job go on."""
        self._change(["scontrol", "resume", job_id])

    def signal(self, job_id: str, name: str, *, all_of_it: bool = False) -> None:
        """Send a signal to the script of a job, and to nothing else in it unless `all_of_it`."""
        self._change(["scancel", f"--signal={name}", "--full" if all_of_it else "--batch", job_id])

    def cancel(self, job_id: str) -> None:
        """End a job: TERM, and KILL after the site's KillWait."""
        self._change(["scancel", job_id])

    def consumed_j(self, job_id: str) -> float | None:
        """What Slurm itself counted for a job, all its legs together, J; None where it counts nothing. Raises as `jobs`.

        Of a job without steps of srun it says nothing: then what its script (.batch) took is the job's.
        """
        fields = ["--noheader", "--parsable2", "--duplicates", "--format=JobID,ConsumedEnergyRaw"]
        said = self._said(["sacct", *fields, f"--jobs={job_id}"], self._environ)
        legs: list[dict[str, float]] = []
        for line in said.splitlines():
            number, _, value = line.partition("|")
            step = number.partition(".")[2]
            if not step or not legs:
                legs.append({})
            legs[-1][step] = float(value) if value.replace(".", "", 1).isdigit() else 0.0
        counted = [next((leg[step] for step in ("", "batch") if 0 < leg.get(step, 0) < 2.0**63), 0.0) for leg in legs]
        return sum(counted) if any(counted) else None

    def _change(self, command: Sequence[str]) -> None:
        """Do it; a job that has begun or ended meanwhile is no trouble."""
        self._asked_s = None
        try:
            self._said(command, self._environ)
        except InputError as error:
            if not any(words in str(error) for words in OVERTAKEN):
                raise

    def _said(self, command: Sequence[str], environ: Mapping[str, str]) -> str:
        """The output of a command."""
        if self._away_s is not None and time.monotonic() - self._away_s < AWAY_FOR_S:
            raise StoreError(self._away, hint="Slurm keeps its jobs; greenai asks again by itself")
        try:
            done = subprocess.run(
                list(command),
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=BOUND_S,
                check=False,
            )
        except FileNotFoundError:
            raise InputError(
                f"there is no {command[0]} here", hint="run greenai where Slurm's commands are, or leave --executor slurm out"
            ) from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._is_away(f"{command[0]} does not come back: {error}") from error
        if done.returncode == 0:
            self._away_s = None
            return done.stdout
        raise self._refusal(command[0], done.stderr)

    def _refusal(self, name: str, stderr: str) -> GreenaiError:
        """Why a command failed, in its own last words."""
        lines = [line.partition("error: ")[2] or line for line in stderr.strip().splitlines()]
        words = "; ".join(lines[-2:]) or SILENT
        if any(sign in stderr for sign in ("contact slurm controller", "configuration source", "Connection refused")):
            return self._is_away(f"the controller of Slurm does not answer {name}: {words}")
        if name == "sbatch" and not any(sign.lower() in stderr.lower() for sign in FOR_EVER):
            return StoreError(f"Slurm did not take the job now: {words}")
        return InputError(f"Slurm refused ({name}): {words}")

    def _is_away(self, words: str) -> StoreError:
        self._away_s, self._away, self._asked_s = time.monotonic(), words, None
        return StoreError(words, hint="Slurm keeps its jobs; greenai asks again by itself")


def job_labels(environ: Mapping[str, str]) -> dict[str, str]:
    """What evidence says of the Slurm job it was made in: number, node, partition, what was allocated; nothing outside one."""
    if not environ.get("SLURM_JOB_ID"):
        return {}
    known = {name: environ.get(variable, "") for name, variable in LABELS.items()}
    allocated = [(name, environ.get(variable, "")) for name, variable in ALLOCATED.items()]
    known["slurm_tres"] = ",".join(f"{name}={amount}" for name, amount in allocated if amount)
    return {name: value for name, value in known.items() if value}


def stamp(moment: datetime) -> str:
    """A moment as Slurm takes it in any zone; a part of a second is left out."""
    return f"uts{int(moment.timestamp())}"


def _job(line: str) -> SlurmJob:
    job_id, state, reason, start, comment = line.split("|", 4)
    start_at = datetime.fromtimestamp(int(start), UTC) if start.isdecimal() and int(start) else None
    # Tasks of an array that wait: 7_[1-9%2], where scontrol knows 7_[1-9].
    job_id = re.sub(r"%\d+\]$", "]", job_id)
    return SlurmJob(job_id=job_id, state=state, reason=reason, start_at=start_at, comment=comment)


def _meant(jobs: Sequence[SlurmJob], job_id: str) -> tuple[SlurmJob, ...]:
    array, mark, task = job_id.partition("_")
    own = [job for job in jobs if job.job_id == job_id or (not mark and job.job_id.startswith(f"{array}_"))]
    if own or not task.isdecimal():
        return tuple(own)
    among = (job for job in jobs if job.job_id.startswith(f"{array}_[") and int(task) in _tasks(job.job_id))
    return tuple(replace(job, job_id=job_id) for job in among)


def _tasks(job_id: str) -> Iterator[int]:
    """The numbers of 7_[1-2,4-8:2]."""
    for part in job_id.partition("[")[2].rstrip("]").split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        yield from range(int(first), int(last or first) + 1, int(step or "1"))
