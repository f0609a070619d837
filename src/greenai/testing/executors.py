"""What greenai expects of an executor of queued jobs, as tests its author inherits (see `greenai.testing.contracts`)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from greenai.errors import InputError
from greenai.model.queue import PAUSED_EXIT_CODE, Alive, Exited, Gone, RunState, Task, Unstarted
from greenai.ports import JobExecutor
from greenai.testing.contracts import expect

_RUNNABLE_AT = datetime(2026, 11, 24, 10, 37, tzinfo=UTC)
_COUNT = "echo run >> runs; "


class JobExecutorContract:
    """Tests of an executor: `executor()` makes one anew over the same engine, `place()` is a directory its jobs can reach.

    `patience` is how often it is looked at before a test gives up, 20 times a
    second. Set `freezes` or `checkpoints` to False for an engine that cannot.
    """

    patience: int = 2400
    freezes: bool = True
    checkpoints: bool = True

    def executor(self) -> JobExecutor:
        """An executor as a new daemon would make it: what it knows of runs is in the engine, not in memory."""
        raise NotImplementedError("return an executor, a new one at each call, over the same engine")

    def place(self) -> Path:
        """A directory that jobs can write to, empty at the start of each test."""
        raise NotImplementedError("return a directory that is shared with the jobs")

    def run_id(self, number: int = 1) -> str:
        """A run of this test, named as no other is: engines may know a run by its name alone."""
        return f"run-{self._test_id}-{number}"

    @cached_property
    def _test_id(self) -> str:
        return uuid.uuid4().hex

    def task(self, script: str, number: int = 1) -> Task:
        """A leg that runs a shell script."""
        return Task(
            run_id=self.run_id(number),
            job_id="1",
            command=("sh", "-c", script),
            cwd=str(self.place()),
            zone="GB",
            environment={},
            runnable_at=_RUNNABLE_AT,
            duration=timedelta(minutes=1),
            grace=timedelta(seconds=20),
        )

    def until(self, holds: Callable[[RunState], bool], handle: str = "", *, number: int = 1) -> RunState:
        """Look until it holds; fails with the last state where it never does."""
        executor = self.executor()
        state: RunState = Unstarted()
        for _ in range(self.patience):
            state = executor.look(self.run_id(number), handle)
            if holds(state):
                return state
            time.sleep(0.05)
        raise AssertionError(f"still {state} after {self.patience} looks")

    def until_written(self, name: str, lines: int = 1) -> None:
        """Look until a job has written so many lines to a file."""
        for _ in range(self.patience):
            if self.lines(name) >= lines:
                return
            time.sleep(0.05)
        raise AssertionError(f"{name} has {self.lines(name)} lines after {self.patience} looks, not {lines}")

    def lines(self, name: str) -> int:
        """How many lines a file of the place has."""
        with suppress(FileNotFoundError):
            return len((self.place() / name).read_text(encoding="utf-8").splitlines())
        return 0

    def ended(self, number: int = 1) -> Exited:
        """The exit, once it is there."""
        state = self.until(lambda state: isinstance(state, Exited | Gone), number=number)
        if isinstance(state, Exited):
            return state
        raise AssertionError(f"a run that nobody killed is {state}")

    def test_what_was_not_launched_is_unstarted(self) -> None:
        """A daemon that died between writing and launching may launch again."""
        expect(isinstance(self.executor().look(self.run_id(), ""), Unstarted), "a run nobody launched is Unstarted")

    def test_requests_to_a_run_that_is_not_there_have_no_effect(self) -> None:
        """Every call may come late or twice."""
        executor = self.executor()
        for ask in (executor.pause, executor.resume, executor.stop):
            ask(self.run_id(), "")
        expect(isinstance(executor.look(self.run_id(), ""), Unstarted), "a request makes no run")

    def test_exit_codes_come_back(self) -> None:
        """0 and others, with the moment."""
        for number, code in ((1, 0), (2, 3)):
            self.executor().launch(self.task(f"exit {code}", number))
            state = self.ended(number)
            expect(state.exit_code == code, f"the exit code {code} comes back, not {state.exit_code}")
            expect(state.ended_at.utcoffset() == timedelta(0), "ended_at is an aware UTC time")

    def test_a_run_is_run_once_however_often_it_is_launched(self) -> None:
        """By the same executor, by another, while it runs and after it."""
        task = self.task(_COUNT + "sleep 1")
        first = self.executor()
        first.launch(task)
        first.launch(task)
        self.executor().launch(task)
        self.ended()
        self.executor().launch(task)
        state = self.ended()
        expect(state.exit_code == 0, "a second launch changes nothing of the first")
        expect(self.lines("runs") == 1, f"the command ran once, not {self.lines('runs')} times")

    def test_a_new_daemon_finds_it_without_a_handle(self) -> None:
        """It died before it could save one."""
        self.executor().launch(self.task("touch begun; sleep 2"))
        for _ in range(self.patience):
            if (self.place() / "begun").exists():
                break
            time.sleep(0.05)
        state = self.executor().look(self.run_id(), "")
        expect(isinstance(state, Alive), f"a run is seen alive by a new daemon, not {state}")
        expect(bool(getattr(state, "handle", "")), "and its handle is told")
        expect(self.ended().exit_code == 0, "and its end too")

    def test_the_job_is_told_who_it_is(self) -> None:
        """What a program needs to pause, resume and tell its progress; and the user's own variables."""
        said = "$GREENAI_RUN_ID $GREENAI_JOB_ID $GREENAI_ZONE $GREENAI_RESUMES $MINE"
        script = f'echo "{said}" > said; test -d "$GREENAI_CHECKPOINT_DIR"'
        self.executor().launch(replace(self.task(script), environment={"MINE": "a b"}, resumes=2))
        expect(self.ended().exit_code == 0, "GREENAI_CHECKPOINT_DIR is a directory that is there")
        found = (self.place() / "said").read_text(encoding="utf-8").strip()
        expect(
            found == f"{self.run_id()} 1 GB 2 a b", f"the job is told its run, job, zone, resumes and environment, not {found!r}"
        )

    def test_a_command_that_is_not_there_is_refused(self) -> None:
        """It can never start."""
        with suppress(InputError):
            self.executor().launch(replace(self.task(""), command=("no-such-command-of-greenai",)))
            raise AssertionError("a command that is not there raises InputError")

    def test_a_stopped_run_ends_and_may_be_stopped_again(self) -> None:
        """At once and for good."""
        executor = self.executor()
        handle = executor.launch(self.task("echo up > up; sleep 60"))
        self.until_written("up")
        for _ in range(2):
            executor.stop(self.run_id(), handle)
        state = self.until(lambda state: isinstance(state, Exited | Gone), handle)
        expect(not (isinstance(state, Exited) and state.exit_code == 0), "a stopped run did not end well")
        executor.stop(self.run_id(), handle)

    def test_a_frozen_run_goes_on_where_it_stood(self) -> None:
        """No line twice, none lost; asked twice, frozen once."""
        if not self.freezes:
            return
        executor = self.executor()
        script = "for n in 1 2 3 4 5 6; do echo $n >> log; sleep 0.2; done"
        handle = executor.launch(replace(self.task(script), pause_way="freeze"))
        self.until_written("log", 2)
        executor.pause(self.run_id(), handle)
        executor.pause(self.run_id(), handle)
        self.until(lambda state: isinstance(state, Alive) and state.frozen, handle)
        before = self.lines("log")
        time.sleep(1.0)
        expect(self.lines("log") == before, "a frozen run stands still")
        executor.resume(self.run_id(), handle)
        expect(self.ended().exit_code == 0, "and ends well after it went on")
        log = (self.place() / "log").read_text(encoding="utf-8").split()
        expect(log == ["1", "2", "3", "4", "5", "6"], f"nothing is done twice and nothing left out: {log}")

    def test_a_program_that_knows_saves_and_leaves(self) -> None:
        """The request is a file; the answer is exit code 75."""
        if not self.checkpoints:
            return
        executor = self.executor()
        script = f'echo up > up; while [ ! -e "$GREENAI_PAUSE_FILE" ]; do sleep 0.1; done; exit {PAUSED_EXIT_CODE}'
        handle = executor.launch(replace(self.task(script), pause_way="checkpoint"))
        self.until_written("up")
        executor.pause(self.run_id(), handle)
        state = self.ended()
        expect(state.exit_code == PAUSED_EXIT_CODE, f"the program's 75 comes back, not {state.exit_code}")
