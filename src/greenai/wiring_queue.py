"""Settings become the queue's doors. The queue alone opens without what plans and reads the grid, so that lists are quick."""

from __future__ import annotations

import getpass
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from greenai._values import pairs_of
from greenai.adapters.clock import SystemClock
from greenai.adapters.executors._processes import boot_id, handle_of, is_running
from greenai.adapters.store.queue import DurableQueue
from greenai.config import Settings, load, with_flags

if TYPE_CHECKING:
    from greenai.adapters.digests import Digest, LedgerDigest
    from greenai.adapters.runs import RunDirectories
    from greenai.engine.doors import Capacity, QueueDoors
    from greenai.model.queue import Submission
    from greenai.ports import Clock, JobExecutor

__all__ = [
    "capacity_of",
    "executors_of",
    "holder_name",
    "open_digest",
    "open_queue",
    "open_queue_doors",
    "open_runs",
    "output_of",
    "queue_settings",
    "read_holder",
    "share_of",
    "system_clock",
    "user_unit_path",
]

KB_PER_GB = 1e6 / 1.024
"""/proc/meminfo counts in KiB (proc(5)); a GB is 1e9 bytes."""


def system_clock() -> Clock:
    """The machine's clock."""
    return SystemClock()


def queue_settings(settings: Settings | None, **flags: object) -> Settings:
    """The given settings, or those of this process and directory, with flags that are not None on top."""
    given = {name: value for name, value in flags.items() if value is not None}
    if settings is None:
        return load(os.environ, Path.cwd(), given)
    return with_flags(settings, given, Path.cwd()) if given else settings


def open_queue(settings: Settings) -> DurableQueue:
    """The queue of the state directory."""
    return DurableQueue(settings.home, is_dead=_is_dead)


def open_runs(settings: Settings) -> RunDirectories:
    """The runs of the state directory and their samples."""
    from greenai.adapters.runs import RunDirectories

    return RunDirectories(settings.home)


def open_digest(home: Path, name: str, record_type: str, digest: Digest) -> LedgerDigest:
    """What is wanted of each ledger record of one type, kept in a file of this name beside the ledger."""
    from greenai.adapters.digests import LedgerDigest

    return LedgerDigest(home, name, record_type, digest)


def holder_name(role: str) -> str:
    """This process as the holder of a lease: role, machine, boot and process."""
    return f"{role}|{platform.node()}|{boot_id()}|{handle_of(os.getpid())}"


def read_holder(holder: str) -> tuple[str, str]:
    """Role and words for the holder of a lease: ("daemon", "process 123 on node")."""
    role, node, _, process = (*holder.split("|"), "", "", "")[:4]
    place = "" if node in {"", platform.node()} else f" on {node}"
    return role, f"process {process.partition(':')[0]}{place}"


def _is_dead(holder: str) -> bool:
    """Whether a holder is known to be gone: of this machine, from an earlier boot or without its process."""
    _, node, boot, process = (*holder.split("|"), "", "", "")[:4]
    return node == platform.node() and (boot != boot_id() or not is_running(process))


def open_queue_doors(
    settings: Settings, *, role: str, clock: Clock | None = None, warn: Callable[[str], None] = lambda _: None
) -> QueueDoors:
    """Everything a tick may touch, as these settings say; `role` is what this process is to the queue: daemon, or tick."""
    import uuid

    from greenai.engine.doors import QueueDoors
    from greenai.wiring import policy_named, sources_of

    clock = clock or SystemClock()
    return QueueDoors(
        clock=clock,
        sources=sources_of(settings, clock=clock),
        queue=open_queue(settings),
        executors=executors_of(settings),
        capacity=capacity_of(settings),
        policy=policy_named,
        new_run_id=lambda now_at: f"{now_at:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}",
        holder=holder_name(role),
        rest=SystemClock().rest,
        warn=warn,
    )


def executors_of(settings: Settings) -> dict[str, JobExecutor]:
    """Where queued jobs may run, by name: this machine, and the cluster whose sbatch is on the PATH."""
    from greenai.adapters.executors.shimmed import ShimExecutor

    made: dict[str, JobExecutor] = {"local": ShimExecutor(settings.home, os.environ)}
    if shutil.which("sbatch") is not None:
        from greenai.adapters.executors.slurm import SlurmExecutor

        partitions = dict(pairs_of(settings.slurm_partitions))
        made["slurm"] = SlurmExecutor(settings.home, os.environ, partitions=partitions)
    return made


def capacity_of(settings: Settings) -> Capacity:
    """What queued jobs may take together: as the settings say, else what the machine has."""
    from greenai.engine.doors import Capacity

    stated = {"cpus": settings.capacity_cpus, "gpus": settings.capacity_gpus, "memory_gb": settings.capacity_memory_gb}
    found: dict[str, Callable[[Settings], float]] = {"cpus": _cpus, "gpus": _gpus, "memory_gb": _memory_gb}
    return Capacity(
        amounts={name: find(settings) if (given := stated[name]) is None else given for name, find in found.items()},
        power_cap_w=settings.power_cap_w,
        carbon_budget_g_per_day=settings.carbon_budget_g_per_day,
    )


def _cpus(_settings: Settings) -> float:
    """The cores this process may use."""
    return float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _memory_gb(settings: Settings) -> float:
    """MemTotal; nothing is refused for want of memory where the system does not say."""
    try:
        lines = (settings.proc_root / "meminfo").read_text(encoding="ascii").splitlines()
        return next(float(line.split()[1]) / KB_PER_GB for line in lines if line.startswith("MemTotal:"))
    except (OSError, ValueError, StopIteration):
        return 1e6


def _gpus(settings: Settings) -> float:
    """The GPUs that are visible and can be measured."""
    from greenai.adapters.meters.nvml import detect
    from greenai.wiring import meter_environment

    return float(len(detect(meter_environment(settings)).meters))


def share_of(settings: Settings, submission: Submission) -> str:
    """Whom a job's use of the machine counts to: its label of that name, else its user."""
    if settings.share_by != "user":
        return submission.job.labels.get(settings.share_by, "")
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def output_of(settings: Settings, run_id: str) -> Path:
    """Where the output of a leg is, or will be."""
    from greenai.adapters.executors._run_files import RunFiles

    return RunFiles(settings.home, run_id).path("output.log")


def user_unit_path() -> Path:
    """Where systemd looks for a user's own unit of the daemon (systemd.unit(5))."""
    stated = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(stated) if stated.startswith("/") else Path.home() / ".config"
    return base / "systemd" / "user" / "greenai.service"
