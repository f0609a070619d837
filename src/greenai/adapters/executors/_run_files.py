"""What a queued run and the daemon say to each other: small files in the run's directory, each replaced whole.

task.json      the leg to run; private, its environment may hold secrets
shim.lock      held by the shim as long as it lives, by flock: the proof of life
begun.json     made once, before the command starts: this run must never be started again
request        what the daemon asks: pause (as the task says), freeze, resume or stop
pause          the request as the program sees it (GREENAI_PAUSE_FILE); pause.heard: it knows of it;
               pause.paused: it has saved and leaves
frozen         there while the command stands still
exit.json      the exit code and what had to be done
trouble        why the command could not be started yet
progress       how much of the work is done, as the program says (GREENAI_PROGRESS_FILE)
output.log     the command's stdout and stderr
shim.log       what the shim itself had to say
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from greenai import pause
from greenai.adapters.executors._processes import boot_id, handle_of
from greenai.errors import InputError, StoreError
from greenai.model.queue import Exited, Task
from greenai.model.queue_lines import task_document, task_from
from greenai.model.units import iso_utc, parse_iso_utc

REMEDY = "free space or mend the permissions, or set GREENAI_HOME elsewhere"
RESERVED_BYTES = 4096
"""Kept on the disk for the exit code, so that a disk that fills up during the run cannot swallow it."""

CLAIM_WITHIN_S = 2.0
"""Whoever only looks holds the lock for a moment: a shim tries again for this long."""


class RunFiles:
    """The files of one run; every method raises StoreError where the disk refuses."""

    def __init__(self, home: Path, run_id: str) -> None:
        self.place = home / "runs" / run_id
        self._jobs = home / "jobs"

    def path(self, name: str) -> Path:
        """One file."""
        return self.place / name

    def make(self) -> None:
        """The directory, private."""
        with _named(self.place):
            self.place.mkdir(mode=0o700, parents=True, exist_ok=True)

    def checkpoints(self, job_id: str) -> Path:
        """The directory of checkpoints, the same for all legs of a job; made."""
        place = self._jobs / job_id / "checkpoints"
        with _named(place):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place

    def told(self, job_id: str, resumes: int) -> dict[str, str]:
        """What a command is told of pausing, resuming and telling its progress; the directory of its checkpoints is made."""
        return {
            pause.PAUSE_FILE: str(self.path("pause")),
            pause.CHECKPOINT_DIR: str(self.checkpoints(job_id)),
            pause.RESUMES: str(resumes),
            pause.PROGRESS_FILE: str(self.path("progress")),
        }

    def write(self, name: str, text: str) -> None:
        """Replace a file whole, and synced."""
        beside = self.path(f"{name}.{os.getpid()}")
        with _named(self.path(name)):
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self.path(name))

    def read(self, name: str) -> str | None:
        """What stands in a file; None where there is none."""
        with _named(self.path(name)):
            try:
                return self.path(name).read_text(encoding="utf-8")
            except FileNotFoundError:
                return None

    def drop(self, name: str) -> None:
        """Remove a file, if it is there."""
        with _named(self.path(name)):
            self.path(name).unlink(missing_ok=True)

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return self.path(name).exists()

    def age_s(self, name: str) -> float | None:
        """How long ago a file was written; None where there is none."""
        try:
            return time.time() - self.path(name).stat().st_mtime
        except OSError:
            return None

    def take(self, name: str) -> str:
        """What stands in a file, which is then gone: one that is written meanwhile is not lost. Empty where there is none."""
        taken = f"{name}.taken"
        try:
            self.path(name).replace(self.path(taken))
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise StoreError(f"{self.path(name)} cannot be used: {error.strerror}", hint=REMEDY) from error
        return (self.read(taken) or "").strip()

    def keep_task(self, task: Task) -> None:
        """Write the leg down, before anything is launched."""
        self.write("task.json", json.dumps(task_document(task)))

    def task(self) -> Task:
        """The leg; raises InputError where there is none, or none that can be read."""
        try:
            return task_from(json.loads(self.read("task.json") or "null"))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{self.path('task.json')} holds no task: {error}") from None

    def begin(self) -> bool:
        """Claim, once for ever, the right to start the command; False where another had it."""
        with _named(self.path("begun.json")):
            try:
                descriptor = os.open(self.path("begun.json"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                return False
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump({"handle": handle_of(os.getpid()), "boot_id": boot_id()}, file)
                    file.flush()
                    os.fsync(file.fileno())
                with self.path("exit.reserve").open("wb") as reserve:
                    reserve.write(bytes(RESERVED_BYTES))
                    os.fsync(reserve.fileno())
            except OSError:
                # Nothing was started: whoever tries again, once there is room, must find no claim.
                self.path("begun.json").unlink(missing_ok=True)
                raise
        return True

    def give_back(self, why: str) -> None:
        """Take the claim back, for a command that was not started, and say why, in the room kept for the exit code."""
        self.drop("begun.json")
        self._in_reserve("trouble", why.encode()[:RESERVED_BYTES])

    def begun(self) -> Mapping[str, Any] | None:
        """Who began: handle and boot_id; None where nobody did; empty where its writing was cut off."""
        text = self.read("begun.json")
        if text is None:
            return None
        try:
            return dict(json.loads(text))
        except (ValueError, TypeError):
            return {}

    def end(self, exited: Exited) -> None:
        """Write the exit code down, in the room kept for it."""
        document = {"exit_code": exited.exit_code, "ended_at": iso_utc(exited.ended_at), "note": exited.note}
        self._in_reserve("exit.json", json.dumps(document).encode())

    def _in_reserve(self, name: str, body: bytes) -> None:
        with _named(self.path(name)):
            descriptor = os.open(self.path("exit.reserve"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, body)
                os.ftruncate(descriptor, len(body))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self.path("exit.reserve").replace(self.path(name))

    def exited(self) -> Exited | None:
        """How it ended; None while it has not, or nobody saw it."""
        try:
            document = json.loads(self.read("exit.json") or "null")
            return Exited(
                exit_code=int(document["exit_code"]), ended_at=parse_iso_utc(document["ended_at"]), note=str(document["note"])
            )
        except (ValueError, TypeError, KeyError):
            return None

    def progress_share(self) -> float | None:
        """What the program last said of its progress, 0 to 1; None if nothing, or nothing sensible."""
        try:
            share = float(self.read("progress") or "nan")
        except ValueError:
            return None
        return share if 0 <= share <= 1 else None

    def lock(self, *, within_s: float = 0.0) -> int | None:
        """Hold the run's lock; its descriptor, None while another process holds it."""
        give_up_s = time.monotonic() + within_s
        with _named(self.path("shim.lock")):
            descriptor = os.open(self.path("shim.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= give_up_s:
                        os.close(descriptor)
                        return None
                    time.sleep(0.01)
                else:
                    return descriptor

    def has_life(self) -> bool:
        """Whether a shim lives for this run."""
        if not self.has("shim.lock"):
            return False
        descriptor = self.lock()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False


def now() -> datetime:
    """The moment at which something is seen to have happened."""
    return datetime.now(UTC)


@contextlib.contextmanager
def _named(path: Path) -> Any:
    """The system's refusals, with the file they are about."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be used: {error.strerror}", hint=REMEDY) from error
