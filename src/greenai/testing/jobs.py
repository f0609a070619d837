"""Queued jobs that run on virtual time, for tests of whatever talks to `greenai.ports.JobExecutor`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from greenai.model.queue import PAUSED_EXIT_CODE, Alive, Exited, Gone, PauseWay, RunState, Task, Unstarted
from greenai.testing.clock import VirtualClock

HOUR = timedelta(hours=1)


@dataclass(slots=True, kw_only=True)
class Behaviour:
    """How the command of a job behaves: the work it takes, in legs together, and how it ends.

    `resume_cost` is run time lost at each new leg. `exit_codes` are those of its
    tries in turn, the last for ever; None: its process vanishes at the end of
    that try. `deaf`: it does not pause. `freezes`: it is frozen and does not leave.
    """

    work: timedelta = HOUR
    resume_cost: timedelta = timedelta(0)
    exit_codes: tuple[int | None, ...] = (0,)
    deaf: bool = False
    freezes: bool = False


@dataclass(slots=True, kw_only=True)
class _Run:
    task: Task
    since_at: datetime
    since_s: float
    ends_s: float
    state: RunState | None = None
    frozen: bool = False


@dataclass(slots=True, kw_only=True)
class _Job:
    done: timedelta = timedelta(0)
    tries: int = 0
    finished: int = 0
    spans: list[tuple[datetime, datetime]] = field(default_factory=list)


class FakeJobExecutor:
    """Implements `greenai.ports.JobExecutor` on a clock: each run takes the time its work takes.

    `behaviours` maps a job's id to how its command behaves; others take an hour.
    It fails the test (AssertionError) if more runs at one moment than `amounts`
    allow, if two runs of one job are alive, or if a job that has ended well is run
    again. `before_call` is called before each call with its name, and `after_call`
    after: what they raise is as if the process, or the engine, had died there.
    """

    name = "local"

    def __init__(
        self, clock: VirtualClock, *, amounts: Mapping[str, float], behaviours: Mapping[str, Behaviour] | None = None
    ) -> None:
        self.behaviours = dict(behaviours or {})
        self.launched: list[Task] = []
        self.before_call: Callable[[str], None] = lambda _: None
        self.after_call: Callable[[str], None] = lambda _: None
        self._clock = clock
        self._amounts = dict(amounts)
        self._runs: dict[str, _Run] = {}
        self._jobs: dict[str, _Job] = {}

    # What the port says ----------------------------------------------------------------------------------------------

    def launch(self, task: Task) -> str:
        """Begin a leg, once for each run_id."""
        self.before_call("launch")
        if task.run_id not in self._runs:
            self._begin(task)
        self.after_call("launch")
        return f"handle of {task.run_id}"

    def look(self, run_id: str, handle: str) -> RunState:
        """What has become of a run by now."""
        self.before_call("look")
        run = self._runs.get(run_id)
        state = Unstarted() if run is None else self._state(run)
        self.after_call("look")
        return state

    def pause(self, run_id: str, handle: str, way: PauseWay = "auto") -> None:
        """Ask it to give way."""
        self.before_call("pause")
        run = self._runs[run_id]
        if isinstance(self._state(run), Alive) and not run.frozen and not self._behaviour(run).deaf:
            self._stop_work(run)
            if way == "freeze" or self._behaviour(run).freezes:
                run.frozen = True
            else:
                run.state = Exited(exit_code=PAUSED_EXIT_CODE, ended_at=self._clock.now())
        self.after_call("pause")

    def resume(self, run_id: str, handle: str) -> None:
        """Let a frozen run go on."""
        self.before_call("resume")
        run = self._runs[run_id]
        if run.frozen and run.state is None:
            run.frozen = False
            self._work_from_now(run)
        self.after_call("resume")

    def stop(self, run_id: str, handle: str) -> None:
        """End it."""
        self.before_call("stop")
        run = self._runs.get(run_id)
        if run is not None and isinstance(self._state(run), Alive):
            self._stop_work(run)
            run.state = Exited(exit_code=143, ended_at=self._clock.now())
        self.after_call("stop")

    # What tests ask --------------------------------------------------------------------------------------------------

    def kill(self, run_id: str) -> None:
        """Let the process of a run vanish."""
        run = self._runs[run_id]
        if isinstance(self._state(run), Alive):
            self._stop_work(run)
            run.state = Gone(reason="its process is gone and nobody saw it end")

    def alive(self) -> tuple[Task, ...]:
        """What runs now, frozen runs left out."""
        return tuple(run.task for run in self._runs.values() if isinstance(self._state(run), Alive) and not run.frozen)

    def finished(self, job_id: str) -> int:
        """How many times a job has ended well."""
        for run in self._runs.values():
            self._state(run)
        return self._jobs[job_id].finished if job_id in self._jobs else 0

    def spans(self, job_id: str) -> list[tuple[datetime, datetime]]:
        """When a job has run."""
        return self._jobs[job_id].spans if job_id in self._jobs else []

    # How it goes -----------------------------------------------------------------------------------------------------

    def _behaviour(self, run: _Run) -> Behaviour:
        return self.behaviours.get(run.task.job_id, Behaviour())

    def _begin(self, task: Task) -> None:
        job = self._jobs.setdefault(task.job_id, _Job())
        twins = [other for other in self._runs.values() if other.task.job_id == task.job_id and self._is_alive(other)]
        _require(not twins, f"job {task.job_id} runs twice")
        _require(not self.finished(task.job_id), f"job {task.job_id} runs again after it has ended well")
        run = _Run(task=task, since_at=self._clock.now(), since_s=0.0, ends_s=0.0)
        self._runs[task.run_id] = run
        self.launched.append(task)
        behaviour = self._behaviour(run)
        # A job that has saved and left pays to begin again; what it lost is work done twice.
        job.done -= behaviour.resume_cost if job.done > timedelta(0) else timedelta(0)
        self._work_from_now(run)

    def _is_alive(self, run: _Run) -> bool:
        return isinstance(self._state(run), Alive)

    def _work_from_now(self, run: _Run) -> None:
        """Work is done in time that passes, whatever the wall clock shows."""
        run.since_at, run.since_s = self._clock.now(), self._clock.monotonic_s()
        run.ends_s = run.since_s + (self._behaviour(run).work - self._jobs[run.task.job_id].done).total_seconds()
        self._check_room()

    def _check_room(self) -> None:
        for name, most in self._amounts.items():
            taken = sum(task.demands.get(name, 0.0) for task in self.alive())
            _require(taken <= most + 1e-9, f"{taken} {name} are taken at once, and there are {most}")

    def _stop_work(self, run: _Run) -> None:
        if not run.frozen:
            job = self._jobs[run.task.job_id]
            job.done += timedelta(seconds=self._clock.monotonic_s() - run.since_s)
            job.spans.append((run.since_at, self._clock.now()))

    def _state(self, run: _Run) -> RunState:
        if run.state is not None:
            return run.state
        if run.frozen or self._clock.monotonic_s() < run.ends_s - 1e-6:
            return Alive(handle=f"handle of {run.task.run_id}", frozen=run.frozen)
        run.state = self._end(run)
        return run.state

    def _end(self, run: _Run) -> RunState:
        job, codes = self._jobs[run.task.job_id], self._behaviour(run).exit_codes
        code = codes[min(job.tries, len(codes) - 1)]
        job.tries += 1
        job.done = timedelta(0)
        ended_at = self._clock.now() - timedelta(seconds=self._clock.monotonic_s() - run.ends_s)
        job.spans.append((run.since_at, ended_at))
        if code is None:
            return Gone(reason="its process is gone and nobody saw it end")
        job.finished += code == 0
        return Exited(exit_code=code, ended_at=ended_at)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
