"""A command that can give way: it saves and leaves, or is frozen where it stands.

Engines ask in different words (Slurm USR1, Kubernetes TERM, submitit USR2, our
daemon through a file); all of them end here. The child has a session of its own,
so that a signal to the group of whoever started us does not kill it before it has
saved. Signals to a shim are requests; they never end it: what the child did still
has to be written down.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import FrameType

from greenai.adapters.executors._processes import handle_of
from greenai.adapters.executors._run_files import RunFiles, now
from greenai.adapters.executors.local import check_command
from greenai.errors import GreenaiError, InputError
from greenai.model.plan import Window
from greenai.model.queue import Exited, PauseWay

KILL_AFTER_S = 5.0
"""From TERM to KILL, for a child that was asked to end."""

REQUESTS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGINT)


class PausableExecutor:
    """Implements `greenai.ports.Executor` for the one command of a shim.

    `frozen` collects the spans in which the command stood still; `note` what had to be done to it.
    """

    def __init__(self, files: RunFiles, *, cwd: str, way: PauseWay, grace: timedelta, ended: Callable[[Exited], None]) -> None:
        self.frozen: list[Window] = []
        self.note = ""
        self._files = files
        self._cwd = cwd
        self._way = way
        self._grace_s = grace.total_seconds()
        self._ended = ended
        self._child: subprocess.Popen[bytes] | None = None
        self._frozen_at = None if not files.has("frozen") else now()
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def listen(self) -> None:
        """Take signals as requests from now on; they are kept until the command runs."""
        if threading.current_thread() is threading.main_thread():
            for number in REQUESTS:
                signal.signal(number, self._heard)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        with suppress(BlockingIOError):
            os.write(self._writer, bytes([number]))

    def launch(self, command: Sequence[str], run_id: str, env: Mapping[str, str]) -> str:
        """Start the command in a session of its own, its output in the run's log; raises InputError."""
        check_command(command, {**os.environ, **env})
        try:
            with self._files.path("output.log").open("ab") as log:
                self._child = subprocess.Popen(
                    list(command),
                    cwd=Path(self._cwd),
                    env={**os.environ, **env},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise InputError(f"the command {command[0]!r} cannot be started: {error.strerror}") from error
        return handle_of(self._child.pid)

    def pid(self, handle: str) -> int:
        """The process of a handle."""
        return int(handle.partition(":")[0])

    def wait(self, handle: str) -> int:
        """Obey requests until the command ends; its exit code, 128+n for signal n, is written down before it is returned."""
        if self._child is None:
            raise GreenaiError(f"process {handle} was not started here")
        descriptor = os.pidfd_open(self._child.pid)
        try:
            self._obey(self._child, descriptor)
        finally:
            os.close(descriptor)
        self._thawed()
        code = self._child.wait()
        exit_code = 128 - code if code < 0 else code
        self._ended(Exited(exit_code=exit_code, ended_at=now(), note=self.note))
        return exit_code

    def _obey(self, child: subprocess.Popen[bytes], descriptor: int) -> None:
        """Wait for the end, doing what is asked; a request that is not answered in time is followed up."""
        follow_up: Callable[[], None] | None = None
        wait_s: float | None = None
        if self._files.has("request"):
            self._heard(signal.SIGUSR1, None)
        while True:
            ready, _, _ = select.select([descriptor, self._reader], [], [], wait_s)
            if descriptor in ready:
                return
            if self._reader in ready:
                follow_up, wait_s = self._answer(child, os.read(self._reader, 64)[-1])
            elif follow_up is not None:
                follow_up, wait_s = self._next(child, follow_up)

    def _answer(self, child: subprocess.Popen[bytes], number: int) -> tuple[Callable[[], None] | None, float | None]:
        """Do what is asked; what follows if it brings nothing, and after how long."""
        request = (self._files.read("request") or "").strip() or "pause"
        self._files.drop("request")
        if request == "stop":
            self._thaw(child)
            self.note = "stopped by the user"
            _signal(child, signal.SIGTERM)
            return lambda: self._kill(child), max(self._grace_s, KILL_AFTER_S)
        if request == "resume":
            self._thaw(child)
            self._files.drop("pause")
            return None, None
        return self._pause(child)

    def _pause(self, child: subprocess.Popen[bytes]) -> tuple[Callable[[], None] | None, float | None]:
        """Ask the program if it knows of pausing, or was said to; else freeze it."""
        if self._way == "freeze" or (self._way == "auto" and not self._files.has("pause.heard")):
            self._freeze(child)
            return None, None
        self._files.write("pause", "")
        return lambda: self._deaf(child), self._grace_s

    def _next(
        self, child: subprocess.Popen[bytes], follow_up: Callable[[], None]
    ) -> tuple[Callable[[], None] | None, float | None]:
        follow_up()
        return (lambda: self._kill(child), KILL_AFTER_S) if self.note.endswith("TERM") else (None, None)

    def _deaf(self, child: subprocess.Popen[bytes]) -> None:
        """The grace is over and the program runs on."""
        if self._way == "auto":
            self._files.drop("pause")
            self._freeze(child)
            return
        self.note = f"did not pause within {self._grace_s:g} s: sent TERM"
        _signal(child, signal.SIGTERM)

    def _kill(self, child: subprocess.Popen[bytes]) -> None:
        self.note = f"{self.note}, then KILL"
        _signal(child, signal.SIGKILL)

    def _freeze(self, child: subprocess.Popen[bytes]) -> None:
        if self._frozen_at is None:
            _signal(child, signal.SIGSTOP)
            self._frozen_at = now()
            self._files.write("frozen", "")

    def _thaw(self, child: subprocess.Popen[bytes]) -> None:
        if self._frozen_at is not None:
            _signal(child, signal.SIGCONT)
            self._thawed()

    def _thawed(self) -> None:
        """Note the span that has ended, by thawing or by the end of the command."""
        if self._frozen_at is not None:
            ended_at = now()
            if ended_at > self._frozen_at:
                self.frozen.append(Window(start_at=self._frozen_at, end_at=ended_at))
            self._frozen_at = None
            self._files.drop("frozen")


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    """To the child's whole group, which is its session's."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)
