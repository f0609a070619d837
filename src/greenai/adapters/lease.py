"""One sampler per node: who measures where several processes of one job run side by side.

torchrun, srun and mpirun start a process per GPU and tell each its number on the
node. Only number 0 measures; were all to do it, the machine's energy would be
counted once per GPU. Where numbers mislead (one launcher inside another), a lock
file settles it: the kernel drops the lock with its holder, so there is nothing
stale to clear away.
"""

from __future__ import annotations

import fcntl
import functools
import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Final

RANK_VARIABLES: Final = ("LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "PMI_LOCAL_RANK")
"""The number of a process on its node: torchrun, srun, Open MPI, Intel MPI and MPICH."""

JOB_VARIABLES: Final = (
    "TORCHELASTIC_RUN_ID",
    "MASTER_ADDR",
    "MASTER_PORT",
    "SLURM_JOB_ID",
    "SLURM_STEP_ID",
    "PMIX_NAMESPACE",
    "OMPI_MCA_ess_base_jobid",
    "PMI_JOBID",
)
"""What the processes of one job have in common, and those of another have not."""


class Lease:
    """The right to measure a node for one job. `refusal` says why it was not given, empty when it was.

    A forked child shares the lock file but not the right: its copy is closed.
    """

    def __init__(self, *, refusal: str = "", descriptor: int | None = None) -> None:
        self.refusal = refusal
        self._descriptor = descriptor
        if descriptor is not None:
            _HELD.add(self)
            _close_in_children()

    def release(self) -> None:
        """Give it up. Idempotent; the end of the process does the same."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def claim_node(environ: Mapping[str, str], directory: Path | None = None) -> Lease:
    """The lease for this process: at once outside a launcher, by number and lock inside one.

    The lock lies in `directory`, else in XDG_RUNTIME_DIR, else in the temporary
    directory. Where no file can be made the number alone decides.
    """
    ranks = {name: environ[name] for name in RANK_VARIABLES if environ.get(name, "").isdecimal()}
    if not ranks:
        return Lease()
    name = next((name for name, rank in ranks.items() if int(rank)), None)
    if name is not None:
        return Lease(refusal=f"{name}={ranks[name]}: number 0 on this node measures for all")
    path = (directory or _directory(environ)) / f"greenai-{os.getuid()}-{_job(environ)}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return Lease()
    return _locked(descriptor, path)


def _locked(descriptor: int, path: Path) -> Lease:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        if holder == str(os.getpid()):
            # A block inside a block: this process measures the node already.
            return Lease()
        return Lease(refusal=f"process {holder or 'unknown'} measures this node for the same job ({path})")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return Lease(descriptor=descriptor)


_HELD: weakref.WeakSet[Lease] = weakref.WeakSet()
"""The leases of this process that hold a lock."""


@functools.cache
def _close_in_children() -> None:
    """From now on a fork gives up every lease in the child."""
    os.register_at_fork(after_in_child=_release_all)


def _release_all() -> None:
    for lease in tuple(_HELD):
        lease.release()


def _directory(environ: Mapping[str, str]) -> Path:
    stated = environ.get("XDG_RUNTIME_DIR", "")
    if stated.startswith("/") and Path(stated).is_dir():
        return Path(stated)
    import tempfile

    return Path(tempfile.gettempdir())


def _job(environ: Mapping[str, str]) -> str:
    import hashlib

    marks = "\0".join(f"{name}={environ.get(name, '')}" for name in JOB_VARIABLES)
    return hashlib.sha256(marks.encode()).hexdigest()[:16]
