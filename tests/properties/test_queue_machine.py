"""Whatever users, clocks and crashes do to a queue, in any order: no job is lost and none runs where it may not.

`FakeJobExecutor` fails the test by itself where more run than there is room for,
where two runs of one job are alive, and where a job that has ended well runs again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import reduce
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from tests.engine.queue_scenario import World

from greenai.api import queueing
from greenai.engine.tick import Memory
from greenai.errors import InputError
from greenai.model.queue import Entry, JobEvent, after
from greenai.testing.queue import MemoryQueue

VALUES = ([100.0] * 2 + [400.0] * 4) * 10
MOST_ROUNDS = 400
"""Half hours in which everything that was submitted must be over: each job takes eight hours at most."""

behaviours = st.fixed_dictionaries(
    {"freezes": st.booleans(), "deaf": st.booleans(), "exit_codes": st.sampled_from([(0,), (1, 0), (None, 0), (3,)])}
)
minutes = st.integers(1, 90).map(lambda count: timedelta(minutes=count))


class Crash(BaseException):
    """The process dies here."""


class QueueMachine(RuleBasedStateMachine):
    """One machine with two GPUs, one process that runs its queue, and users who change their minds."""

    jobs = Bundle("jobs")

    @initialize()
    def begin(self) -> None:
        self.world = World(VALUES, gpus=2)
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(queueing, "queue_settings", lambda _: None)
        self.patch.setattr(queueing, "open_queue", lambda _: self.world.queue)
        self.patch.setattr(queueing, "system_clock", lambda: self.world.clock)
        self.submitted: set[str] = set()

    @rule(
        target=jobs,
        hours=st.sampled_from([0.5, 1.0, 3.0]),
        gpus=st.sampled_from([1.0, 2.0]),
        cut=st.booleans(),
        takes=st.sampled_from([1.0, 0.5, 2.5]),
        retries=st.integers(0, 1),
        behaviour=behaviours,
    )
    def submit(self, hours: float, gpus: float, cut: bool, takes: float, retries: int, behaviour: dict[str, Any]) -> str:
        how: dict[str, Any] = {"interruptible": True, "policy": "interruptible"} if cut else {}
        job = self.world.job(
            hours=hours,
            work_hours=hours * takes,
            slack_hours=24,
            demands={"gpus": gpus},
            retries=retries,
            behaviour=behaviour,
            **how,
        )
        assert job not in self.submitted
        self.submitted.add(job)
        return job

    @rule()
    def tick(self) -> None:
        assert self.world.tick().is_mine

    @rule(span=minutes)
    def time_passes(self, span: timedelta) -> None:
        self.world.clock.advance(span)
        self.world.tick()

    @rule(span=minutes, sign=st.sampled_from([-1, 1]))
    def clock_is_set(self, span: timedelta, sign: int) -> None:
        self.world.clock.jump(sign * span)

    @rule(where=st.sampled_from(["write", "before_call", "after_call"]), number=st.integers(1, 8))
    def process_dies(self, where: str, number: int) -> None:
        """At its next write, or around its next call of the engine, of that number; nothing is remembered."""
        left = number

        def die(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Crash

        queue = self.world.queue
        assert isinstance(queue, MemoryQueue)
        target, name = (queue, "before_write") if where == "write" else (self.world.executor, where)
        before = getattr(target, name)
        setattr(target, name, die)
        with suppress(Crash):
            self.world.tick()
        setattr(target, name, before)
        self.world.memory = Memory()

    @rule(job=jobs, ask=st.sampled_from([queueing.cancel, queueing.hold, queueing.release, queueing.pause, queueing.resume]))
    def user_asks(self, job: str, ask: Callable[[str], tuple[Entry, ...]]) -> None:
        with suppress(InputError):
            ask(job)

    @rule(job=jobs)
    def user_tries_again(self, job: str) -> None:
        """What was cancelled in the moment in which it ended well may be run again: that is what the user asks for."""
        if not self.world.executor.finished(job):
            with suppress(InputError):
                queueing.retry(job)

    @invariant()
    def every_job_is_the_fold_of_its_events(self) -> None:
        queue = self.world.queue
        for job in self.submitted:
            events = queue.events(job)
            assert [event.version for event in events] == list(range(1, len(events) + 1))
            assert reduce(_follow, events, None) == self.world.entry(job)

    @invariant()
    def no_run_was_launched_twice(self) -> None:
        runs = [task.run_id for task in self.world.executor.launched]
        assert len(runs) == len(set(runs))
        assert {task.job_id for task in self.world.executor.launched} <= self.submitted

    @invariant()
    def what_runs_holds_its_room(self) -> None:
        holding = {entry.id for entry in self.world.queue.unfinished() if entry.takes_room}
        assert {task.job_id for task in self.world.executor.alive()} <= holding

    def teardown(self) -> None:
        """Let the users go home: everything comes to its end."""
        for job in self.submitted:
            for ask in (queueing.release, queueing.resume):
                with suppress(InputError):
                    ask(job)
        for _ in range(MOST_ROUNDS):
            if not self.world.queue.unfinished():
                break
            self.world.tick()
            self.world.clock.advance(timedelta(minutes=30))
        assert not self.world.queue.unfinished()
        assert not self.world.executor.alive()
        for job in self.submitted:
            assert self.world.outcome(job) != "completed" or self.world.executor.finished(job) == 1
        self.patch.undo()


def _follow(entry: Entry | None, event: JobEvent) -> Entry:
    return after(entry, event)


QueueMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
TestQueue = QueueMachine.TestCase
