"""A command that can give way: it saves and leaves, or is frozen where it stands.

Engines ask in different words (Slurm USR1, Kubernetes TERM, submitit USR2, our
daemon through a file); all of them end here. The child has a session of its own,
so that a signal to the group of whoever started us does not kill it before it has
saved. Signals to us are requests; they never end us: what the child did still has
to be written down.

USR1 and USR2 ask for a pause. TERM asks for the end: a program that knows of
pausing saves and leaves, any other gets TERM. A request may be repeated; the first
one's grace counts.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from types import FrameType
from typing import IO, Any, Literal

from greenai import pause
from greenai.adapters.executors._kin import Kin
from greenai.adapters.executors._processes import handle_of
from greenai.adapters.executors._run_files import RunFiles, now
from greenai.adapters.executors.local import check_command
from greenai.errors import GreenaiError, InputError, StoreError
from greenai.model.plan import Window
from greenai.model.queue import Exited, PauseWay

WAKE = signal.SIGRTMIN
"""Says that there is a request in the run's directory, and nothing else: no engine uses it."""

KILL_AFTER_S = 5.0
"""From TERM to KILL, for a child that did not save in its grace."""

Asked = Literal["", "pause", "freeze", "resume", "leave", "stop", "pass on", "stand by"]

ASKED_BY_SIGNAL: Mapping[int, Asked] = {
    signal.SIGUSR1: "pause",
    signal.SIGUSR2: "pause",
    signal.SIGTERM: "leave",
    signal.SIGHUP: "leave",
    signal.SIGINT: "leave",
    WAKE: "",
}
"""What a signal to a shim means; what stands in the request file goes first."""

ASKED_AT_TERMINAL: Mapping[int, Asked] = {
    signal.SIGUSR1: "pause",
    signal.SIGUSR2: "pause",
    signal.SIGTERM: "leave",
    signal.SIGCONT: "resume",
    signal.SIGHUP: "pass on",
    signal.SIGINT: "pass on",
    signal.SIGQUIT: "pass on",
    signal.SIGTSTP: "stand by",
}
"""The same for `greenai run --pausable`, which stands between a terminal and a child in another session."""


class PausableExecutor:
    """Implements `greenai.ports.Executor` for one command.

    With `ended` it is a shim's: output goes to the run's log, and the exit is
    handed over before `wait` returns. Without it the command keeps our streams.
    `note` says what had to be done to the command; `at_edge` is called where a span
    of standing still begins or ends, so that the meters can be read there.
    """

    def __init__(
        self,
        files: RunFiles,
        *,
        way: PauseWay,
        grace: timedelta,
        cwd: str | None = None,
        ended: Callable[[Exited], None] | None = None,
    ) -> None:
        self.note = ""
        self.at_edge: Callable[[], object] = lambda: None
        self.inherited: tuple[int, ...] = ()
        self._files = files
        self._cwd = cwd
        self._way = way
        self._grace_s = grace.total_seconds()
        self._ended = ended
        self._meanings = ASKED_BY_SIGNAL if ended else ASKED_AT_TERMINAL
        self._previous: dict[int, Any] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._run_id = ""
        self._all: Kin | None = None
        self._spans: list[Window] = []
        self._frozen_at: datetime | None = None
        self._state: Literal["runs", "asked", "ending", "killed"] = "runs"
        self._late_freezes = False
        self._deadline_s: float | None = None
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def started(self) -> bool:
        """Whether the command was started."""
        return self._child is not None

    def listen(self) -> None:
        """Take signals as requests from now on; they are kept until the command runs.

        A shim takes all: whoever launched it may have ignored them until it can
        hear. At a terminal ignored ones (nohup) stay ignored.
        """
        if self._previous or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            # Inherited from some parents; the kernel would then throw the child's exit code away.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in self._meanings:
            if self._ended is not None or signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._heard)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        with suppress(BlockingIOError):
            os.write(self._writer, bytes([number]))

    def launch(self, command: Sequence[str], run_id: str, env: Mapping[str, str]) -> str:
        """Start the command in a session of its own; raises InputError where it cannot be started."""
        if self._child is not None:
            return handle_of(self._child.pid)
        whole = {**os.environ, **env}
        check_command(command, whole)
        self.listen()
        try:
            if self._ended is None:
                self._child = self._popen(command, whole)
            else:
                with self._files.path("output.log").open("ab") as log:
                    self._child = self._popen(command, whole, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        except OSError as error:
            raise InputError(f"the command {command[0]!r} cannot be started: {error.strerror}") from error
        self._run_id = run_id
        return handle_of(self._child.pid)

    def _popen(self, command: Sequence[str], env: Mapping[str, str], **streams: int | IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(list(command), cwd=self._cwd, env=env, start_new_session=True, pass_fds=self.inherited, **streams)  # type: ignore[call-overload,no-any-return]  # the streams are Popen's own words

    def pid(self, handle: str) -> int:
        """The process of a handle."""
        return int(handle.partition(":")[0])

    def frozen(self, handle: str) -> tuple[Window, ...]:
        """The spans in which the command stood still."""
        return tuple(self._spans)

    def end_note(self, handle: str) -> str:
        """What had to be done to the command."""
        return self.note

    def wait(self, handle: str) -> int:
        """Obey requests until the command ends; its exit code, 128+n for signal n, is handed over before it is returned."""
        if self._child is None:
            raise GreenaiError(f"process {handle} was not started here")
        descriptor = os.pidfd_open(self._child.pid)
        try:
            self._obey(self._child, descriptor)
        finally:
            os.close(descriptor)
        self._thawed()
        if self._state in {"ending", "killed"}:
            # Not waited for yet, so the group's number is still its own: what the command left behind goes too.
            self._kin(self._child).still(signal.SIGKILL)
        code = self._child.wait()
        exit_code = self._meant(128 - code if code < 0 else code)
        # Before the end is told: whoever hears of it may take what the command held (its GPUs).
        while self.inherited:
            os.close(self.inherited[0])
            self.inherited = self.inherited[1:]
        self._hand_over(exit_code)
        return exit_code

    def _meant(self, exit_code: int) -> int:
        """75 where the program paused when asked, and a launcher around it (torchrun) made another failure of that."""
        if exit_code in {0, pause.EXIT_CODE} or self._state in {"ending", "killed"} or not self._files.has("pause.paused"):
            return exit_code
        self.note = f"its launcher ended with {exit_code} after the program had saved and left"
        return pause.EXIT_CODE

    def _hand_over(self, exit_code: int) -> None:
        if self._ended is not None:
            self._ended(Exited(exit_code=exit_code, ended_at=now(), note=self.note))
            return
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _obey(self, child: subprocess.Popen[bytes], descriptor: int) -> None:
        """Wait for the end, doing what is asked; what is not answered in time is followed up."""
        if self._files.has("request"):
            self._heard(WAKE, None)
        while True:
            wait_s = None if self._deadline_s is None else max(0.0, self._deadline_s - time.monotonic())
            ready, _, _ = select.select([descriptor, self._reader], [], [], wait_s)
            if descriptor in ready:
                return
            if self._reader in ready:
                for number in os.read(self._reader, 64):
                    self._answer(child, number)
            elif self._deadline_s is not None and time.monotonic() >= self._deadline_s:
                self._late(child)

    def _answer(self, child: subprocess.Popen[bytes], number: int) -> None:
        asked = self._taken() or self._meanings.get(number, "")
        if asked in {"pause", "freeze"}:
            self._pause(child, "freeze" if asked == "freeze" else self._way)
        elif asked == "leave":
            self._leave(child)
        elif asked == "resume":
            self._resume(child)
        elif asked == "stop":
            self._end(child, "stopped by the user", within_s=max(self._grace_s, KILL_AFTER_S))
        elif asked == "pass on":
            self._send(child, number)
        elif asked == "stand by":
            self._freeze(child)
            os.kill(os.getpid(), signal.SIGSTOP)
            self._thaw(child)

    def _taken(self) -> Asked:
        """What stands in the request file; nothing while the disk does not say: the daemon asks again."""
        try:
            text = self._files.take("request")
        except StoreError:
            return ""
        return text if text in {"pause", "freeze", "resume", "stop"} else ""  # type: ignore[return-value]  # just compared

    def _pause(self, child: subprocess.Popen[bytes], way: PauseWay) -> None:
        """Ask the program if it knows of pausing, or was said to; else freeze it."""
        if self._state != "runs" or self._frozen_at is not None:
            return
        if way == "freeze" or (way == "auto" and not self._files.has("pause.heard")) or not self._request():
            self._freeze(child)
        else:
            self._late_freezes = way == "auto"

    def _leave(self, child: subprocess.Popen[bytes]) -> None:
        """Whoever runs us wants the end: a frozen command is of no use then, a saved one is."""
        if self._state in {"ending", "killed"}:
            return
        self._thaw(child)
        knows = self._way == "checkpoint" or (self._way == "auto" and self._files.has("pause.heard"))
        if knows and self._request():
            self._late_freezes = False
        else:
            self._end(child, "was asked to end: TERM was passed on", within_s=max(self._grace_s, KILL_AFTER_S))

    def _request(self) -> bool:
        """Let the program see the request, its grace running; False where the disk refuses."""
        try:
            self._files.write("pause", "")
        except StoreError as error:
            self.note = str(error)
            return False
        self._state, self._deadline_s = "asked", time.monotonic() + self._grace_s
        return True

    def _resume(self, child: subprocess.Popen[bytes]) -> None:
        self._thaw(child)
        if self._state == "asked":
            self._state, self._deadline_s = "runs", None
            with suppress(StoreError):
                self._files.drop("pause")

    def _late(self, child: subprocess.Popen[bytes]) -> None:
        """The grace is over and the program runs on."""
        if self._state == "ending":
            self.note = f"{self.note}, then KILL"
            self._state, self._deadline_s = "killed", None
            self._send(child, signal.SIGKILL)
        elif self._late_freezes:
            self._resume(child)
            self._freeze(child)
        else:
            self._end(child, f"did not pause within {self._grace_s:g} s: sent TERM", within_s=KILL_AFTER_S)

    def _end(self, child: subprocess.Popen[bytes], why: str, *, within_s: float) -> None:
        if self._state in {"ending", "killed"}:
            return
        self._thaw(child)
        self.note = why
        self._state, self._deadline_s = "ending", time.monotonic() + within_s
        self._send(child, signal.SIGTERM)

    def _freeze(self, child: subprocess.Popen[bytes]) -> None:
        if self._frozen_at is not None:
            return
        if not self._kin(child).still(signal.SIGSTOP):
            self.note = "some of its processes could not be frozen"
        self._frozen_at = now()
        self.at_edge()
        with suppress(StoreError):
            self._files.write("frozen", "")

    def _thaw(self, child: subprocess.Popen[bytes]) -> None:
        if self._frozen_at is not None:
            self._thawed()
            self._send(child, signal.SIGCONT)

    def _thawed(self) -> None:
        """Note the span that has ended, by thawing or by the end of the command."""
        if self._frozen_at is None:
            return
        self.at_edge()
        ended_at = now()
        if ended_at > self._frozen_at:
            self._spans.append(Window(start_at=self._frozen_at, end_at=ended_at))
        self._frozen_at = None
        with suppress(StoreError):
            self._files.drop("frozen")

    def _send(self, child: subprocess.Popen[bytes], number: int) -> None:
        """To the child's whole group, which is its session's, and to what left it."""
        self._kin(child).send(number)

    def _kin(self, child: subprocess.Popen[bytes]) -> Kin:
        self._all = self._all or Kin(child.pid, pause.RUN_ID, self._run_id)
        return self._all
