"""Running a command on this machine, as if the shell had started it.

The child shares the terminal, the process group and the standard streams, so
job control, progress bars and pipes behave as without greenai. Signals sent to
greenai are passed on; greenai ends after the child, never before it, because
what the child did still has to be written down.
"""

from __future__ import annotations

import errno
import os
import select
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from greenai.adapters.executors._processes import handle_of, is_alive
from greenai.errors import GreenaiError, InputError
from greenai.model.plan import Window

FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_KEYBOARD = frozenset({signal.SIGINT, signal.SIGQUIT})


def check_command(command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
    """Refuse a command that cannot start, before anything is waited for.

    Raises:
        InputError: no command, not found on PATH, no such file, a directory, or not executable.
    """
    if not command or not command[0]:
        raise InputError("there is no command to run", hint="write it after --, as in: greenai run -- python train.py")
    name = command[0]
    search = (os.environ if environ is None else environ).get("PATH")
    if shutil.which(name, path=search) is None:
        raise _cannot_start(name)


def _cannot_start(name: str) -> InputError:
    """Why `name` does not start, and the remedy."""
    if "/" not in name:
        split = " ".join(name.split())
        hint = f"write the words apart: greenai run -- {split}" if " " in split else "install it, or give its path"
        return InputError(f"the command {name!r} is not found on the PATH", hint=hint)
    if not Path(name).exists():
        return InputError(f"the command {name!r} does not exist", hint="check the path")
    if Path(name).is_dir():
        return InputError(f"the command {name!r} is a directory", hint="name a program in it")
    return InputError(f"the command {name!r} is not executable", hint=f"chmod +x {name}")


class LocalExecutor:
    """Implements `greenai.ports.Executor` with child processes of this one.

    A handle is "pid:start", start being the process's start time in clock ticks
    since boot, so that a pid used again is never taken for the job.
    """

    def __init__(self) -> None:
        self._handles: dict[str, str] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._relay = _Relay()

    def launch(self, command: Sequence[str], run_id: str, env: Mapping[str, str]) -> str:
        """Start the command with `env` added to this process's environment; once per run_id, the same handle after that.

        Raises:
            InputError: the command cannot be started.
        """
        if run_id in self._handles:
            return self._handles[run_id]
        check_command(command)
        self._relay.install()
        try:
            child = subprocess.Popen(list(command), env={**os.environ, **env})
        except OSError as error:
            self._relay.remove()
            raise _refused(command[0], error) from error
        handle = handle_of(child.pid)
        self._handles[run_id], self._children[handle] = handle, child
        self._relay.add(child)
        return handle

    def pid(self, handle: str) -> int:
        """The process of a handle; its descendants are its children."""
        return int(handle.partition(":")[0])

    def wait(self, handle: str) -> int:
        """Block until the command ends; its exit code, 128+n for signal n.

        Raises:
            GreenaiError: the command was started by another process, which alone can know its
                exit code; raised once it has ended.
        """
        child = self._children.get(handle)
        if child is None:
            _await_foreign(handle)
            raise GreenaiError(f"the exit code of process {handle} is not known: another process started it")
        code = child.wait()
        self._relay.drop(child)
        return 128 - code if code < 0 else code

    def frozen(self, handle: str) -> tuple[Window, ...]:
        """None: nobody freezes a command here."""
        return ()

    def end_note(self, handle: str) -> str:
        """Nothing: signals are passed on as they come."""
        return ""


def _refused(name: str, error: OSError) -> InputError:
    """The kernel's refusal in words."""
    hint = f"start the file with a line such as #!/bin/sh, or run it as: sh {name}" if error.errno == errno.ENOEXEC else None
    return InputError(f"the command {name!r} cannot be started: {error.strerror}", hint=hint)


def _await_foreign(handle: str) -> None:
    """Return when a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(int(handle.partition(":")[0]))
    except ProcessLookupError:
        return
    try:
        # Looked at after opening: the descriptor then cannot belong to a later process of the same pid.
        if is_alive(handle):
            select.select([descriptor], [], [])
    finally:
        os.close(descriptor)


class _Relay:
    """Passes signals on to the children while there are any, and keeps them from ending greenai."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []
        self._early: list[int] = []
        self._previous: dict[int, Any] = {}

    def install(self) -> None:
        """Take over the signals; a signal that comes before the child exists is kept for it.

        Signals this process ignores (nohup, a background job of a script) stay
        ignored, here and in the child. Off the main thread Python cannot take
        signals over; they then keep their usual effect.
        """
        if self._previous or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            # Inherited from some parents; the kernel would then throw the child's exit code away.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._receive)

    def add(self, child: subprocess.Popen[bytes]) -> None:
        """Pass signals to this child from now on, and those that came before it could hear any, the keyboard's too."""
        self._children.append(child)
        early, self._early = self._early, []
        for number in early:
            child.send_signal(number)

    def drop(self, child: subprocess.Popen[bytes]) -> None:
        """The child has ended; after the last one signals have their old effect again."""
        if child in self._children:
            self._children.remove(child)
        self.remove()

    def remove(self) -> None:
        """Give the signals back unless a child still runs."""
        if self._children:
            return
        previous, self._previous = self._previous, {}
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if not self._children:
            self._early.append(number)
        for child in self._children:
            self._forward(child, number)

    @staticmethod
    def _forward(child: subprocess.Popen[bytes], number: int) -> None:
        if not (number in _FROM_KEYBOARD and _keyboard_reaches(child.pid)):
            child.send_signal(number)


def _keyboard_reaches(pid: int) -> bool:
    """Whether Ctrl-C at the terminal reaches the process by itself: passing it on would interrupt its clean-up a second time.

    True when our process group is the terminal's foreground group and the process is still in it.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp() == os.getpgid(pid)
    except OSError:
        return False
    finally:
        os.close(terminal)
