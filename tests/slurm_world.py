"""A real Slurm for tests: one controller, nodes n1 in partition gb and n2 in partition fr, started for one session of pytest."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

SCRIPT = Path(__file__).parents[1] / "scripts" / "slurm_for_tests.sh"
AT_MOST_S = 60.0


def is_at_hand() -> bool:
    """Whether all of Slurm is installed here."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return all(shutil.which(name, path=path) for name in ("slurmctld", "slurmd", "sbatch", "munged"))


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running Slurm; `environ` is what its commands need."""

    place: Path
    environ: dict[str, str]

    def say(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one command of Slurm, or greenai, against it."""
        return subprocess.run(
            words, env={**self.environ, **more}, cwd=self.place, capture_output=True, text=True, timeout=AT_MOST_S, check=False
        )

    def state(self, job_id: str) -> str:
        """One job as squeue sees it: "PENDING BeginTime"."""
        return self.say("squeue", "-h", "--states=all", "-j", job_id, "-o", "%T %r").stdout.strip()

    def field(self, job_id: str, name: str) -> str:
        """One field of scontrol show job."""
        shown = self.say("scontrol", "show", "job", job_id, "--oneliner").stdout
        return next((part.partition("=")[2] for part in shown.split() if part.startswith(f"{name}=")), "")

    def stop_controller(self) -> None:
        """End slurmctld, and see that it is gone."""
        pid = int((self.place / "slurmctld.pid").read_text())
        os.kill(pid, 15)
        until(lambda: not is_running(pid), "the controller to end")

    def start_controller(self) -> None:
        """Start slurmctld again."""
        subprocess.run([SCRIPT, "controller", self.place], env=self.environ, check=True, timeout=AT_MOST_S)


def is_running(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] != "Z"


def until(holds: Callable[[], bool], what: str, at_most_s: float = AT_MOST_S) -> None:
    """Wait for something to become true, and fail by its name."""
    give_up_s = time.monotonic() + at_most_s
    while not holds():
        if time.monotonic() > give_up_s:
            raise AssertionError(f"waited {at_most_s:g} s in vain for {what}")
        time.sleep(0.05)


@contextmanager
def cluster(extra_conf: str = "", **files: str) -> Iterator[Cluster]:
    """A Slurm in a directory of its own, ended at the end; `files` (a_lua for a.lua) are put beside slurm.conf first."""
    # Not in pytest's own directory: the path of a socket has at most 107 characters.
    place = Path(mkdtemp(prefix="greenslurm."))
    hidden = ("GREENAI_", "SLURM_", "SBATCH_", "SQUEUE_", "SCONTROL_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environ |= {"SLURM_CONF": str(place / "slurm.conf"), "EXTRA_CONF": extra_conf, "TZ": "Europe/Berlin"}
    for name, text in files.items():
        (place / name.replace("_lua", ".lua")).write_text(text)
    try:
        subprocess.run([SCRIPT, "start", place], env=environ, check=True, timeout=AT_MOST_S)
        yield Cluster(place=place, environ=environ)
    finally:
        subprocess.run([SCRIPT, "stop", place], env=environ, check=False, timeout=AT_MOST_S)
        shutil.rmtree(place, ignore_errors=True)
