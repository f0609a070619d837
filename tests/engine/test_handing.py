"""Legs that an engine holds by itself: handed over once planned, moved, withdrawn, and found again whoever started them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.engine.queue_scenario import START, World
from tests.queue_world import HOUR

from greenai.engine.daemon import run_ticks
from greenai.engine.lease import LEASE_FOR
from greenai.errors import InputError, StoreError
from greenai.logic.queue_legs import leg_run_id
from greenai.model.queue import (
    Alive,
    Ended,
    Exited,
    Gone,
    Held,
    Paused,
    PauseWay,
    Queued,
    Running,
    RunState,
    Task,
    Unstarted,
    Waiting,
)
from greenai.ports import HoldingExecutor
from greenai.testing.fakes import FakeDoor

DIRTY_THEN_CLEAN = [300.0] * 6 + [100.0] * 6 + [300.0] * 40


class Cluster:
    """Holds legs and starts each at its moment, on the clock of the world, daemon or not; a leg takes an hour."""

    name = "cluster"

    def __init__(self, world: World) -> None:
        self._clock = world.clock
        self.held: dict[str, datetime] = {}
        self.tasks: dict[str, Task] = {}
        self.exit_codes: dict[str, int] = {}
        self.gone: set[str] = set()
        self.trouble: Exception | None = None
        self.calls: list[str] = []

    def launch(self, task: Task) -> str:
        return self.schedule(task, self._clock.now())

    def schedule(self, task: Task, start_at: datetime) -> str:
        self.calls.append("schedule")
        if self.trouble is not None:
            raise self.trouble
        if not self._has_begun(task.run_id) and self.held.get(task.run_id) != start_at:
            self.held[task.run_id], self.tasks[task.run_id] = start_at, task
        return f"job of {task.run_id}"

    def in_line(self) -> frozenset[str]:
        return frozenset(run_id for run_id in self.held if not self._has_begun(run_id))

    def _has_begun(self, run_id: str) -> bool:
        return run_id in self.held and self.held[run_id] <= self._clock.now()

    def look(self, run_id: str, handle: str) -> RunState:
        if isinstance(self.trouble, StoreError):
            raise self.trouble
        if run_id in self.gone:
            return Gone(reason="nobody knows")
        if run_id not in self.held:
            return Unstarted()
        end_at = self.held[run_id] + HOUR
        if self._clock.now() >= end_at:
            return Exited(exit_code=self.exit_codes.get(run_id, 0), ended_at=end_at)
        return Alive(handle=f"job of {run_id}", in_line=not self._has_begun(run_id))

    def pause(self, run_id: str, handle: str, way: PauseWay = "auto") -> None:
        raise AssertionError("nothing here is paused")

    def resume(self, run_id: str, handle: str) -> None:
        raise AssertionError("nothing here is frozen")

    def stop(self, run_id: str, handle: str) -> None:
        self.held.pop(run_id, None)


def world_with_cluster(values: list[float] = DIRTY_THEN_CLEAN) -> tuple[World, Cluster]:
    world = World(values, gpus=0)
    cluster = Cluster(world)
    assert isinstance(cluster, HoldingExecutor)
    assert not isinstance(world.executor, HoldingExecutor)
    world.doors = world.doors_of("first", executors={"local": world.executor, "cluster": cluster})
    return world, cluster


def job(world: World, **given: Any) -> str:
    return world.job(executor="cluster", demands={"gpus": 8.0}, **given)


def test_a_planned_leg_is_held_by_the_engine_at_its_moment() -> None:
    world, cluster = world_with_cluster()
    job_id = job(world)
    world.tick()
    entry = world.entry(job_id)
    assert isinstance(entry.status, Waiting)
    assert cluster.held == {leg_run_id(entry): START + 3 * HOUR}
    (task,) = cluster.tasks.values()
    assert task.decision is not None
    assert task.decision["windows"] == [{"start_at": "2026-11-24T12:00:00Z", "end_at": "2026-11-24T13:00:00Z"}]
    world.tick()
    assert len(cluster.held) == 1


def test_it_runs_while_no_daemon_lives_and_the_next_one_finds_it_done() -> None:
    world, _cluster = world_with_cluster()
    job_id = job(world)
    world.tick()
    run_id = leg_run_id(world.entry(job_id))
    world.clock.advance(6 * HOUR)
    world.tick()
    assert isinstance(world.status(job_id), Running)
    world.tick()
    assert world.status(job_id) == Ended(outcome="completed", ended_at=START + 4 * HOUR, exit_code=0)
    assert world.entry(job_id).run_ids == (run_id,)


@pytest.mark.parametrize("ahead", [timedelta(minutes=1), timedelta(0)])
def test_what_the_engine_began_before_us_is_not_begun_again(ahead: timedelta) -> None:
    world, cluster = world_with_cluster()
    job_id = job(world)
    world.tick()
    run_id = leg_run_id(world.entry(job_id))
    cluster.held[run_id] = START + 3 * HOUR - ahead
    world.clock.advance(3 * HOUR - ahead)
    world.tick()
    status = world.status(job_id)
    assert isinstance(status, Running)
    assert (status.run_id, status.handle) == (run_id, f"job of {run_id}")
    run_ticks(world.doors, world.memory, stop=lambda: not world.queue.unfinished(), every=timedelta(minutes=5))
    assert world.entry(job_id).run_ids == (run_id,)


def test_a_daemon_that_lives_sees_it_through() -> None:
    world, cluster = world_with_cluster()
    job_id = job(world)
    world.run(12 * HOUR)
    assert isinstance(world.status(job_id), Ended)
    assert len(cluster.tasks) == 1


def test_a_leg_that_is_planned_anew_is_moved() -> None:
    world, cluster = world_with_cluster()
    job_id = job(world)
    world.tick()
    world.provider = replace(world.provider, parse=world_with_cluster([300.0] * 12 + [50.0] * 4 + [300.0] * 36)[0].provider.parse)
    world.door = FakeDoor(world.clock, {"https://grid.invalid/": "another list"})
    world.doors = world.doors_of("first", executors=world.doors.executors)
    world.clock.advance(timedelta(minutes=31))
    world.tick()
    assert cluster.held == {leg_run_id(world.entry(job_id)): START + 6 * HOUR}


@pytest.mark.parametrize("status", [Held(), Ended(outcome="cancelled", ended_at=START)])
def test_what_is_held_or_cancelled_is_withdrawn_and_may_come_back(status: Any) -> None:
    world, cluster = world_with_cluster()
    job_id = job(world)
    world.tick()
    world.move(job_id, status)
    world.tick()
    assert cluster.held == {}
    world.move(job_id, Queued())
    world.tick()
    assert list(cluster.held.values()) == [START + 3 * HOUR]


def test_a_lost_leg_is_tried_again_under_another_name() -> None:
    world, cluster = world_with_cluster()
    job_id = job(world, retries=1)
    world.tick()
    first = leg_run_id(world.entry(job_id))
    cluster.gone.add(first)
    world.tick()
    world.tick()
    second = leg_run_id(world.entry(job_id))
    assert second != first
    world.run(12 * HOUR)
    assert world.entry(job_id).run_ids == (first, second)
    assert isinstance(world.status(job_id), Ended)


def test_what_it_can_never_take_fails_and_what_it_cannot_take_now_is_asked_again() -> None:
    world, cluster = world_with_cluster()
    job_id = job(world)
    cluster.trouble = StoreError("the controller does not answer")
    world.tick()
    assert isinstance(world.status(job_id), Waiting)
    assert world.warnings == ["cluster: the controller does not answer"]
    cluster.trouble = InputError("no such partition", hint="choose another")
    world.tick()
    assert isinstance(world.status(job_id), Ended)
    assert world.reasons(job_id)[-1] == "could not be handed over: no such partition (choose another)"
    other = job(world)
    cluster.trouble = InputError("no such partition")
    world.tick()
    assert world.reasons(other)[-1] == "could not be handed over: no such partition"


def test_a_job_paused_by_its_user_and_one_that_comes_after_another_are_not_handed_over() -> None:
    world, cluster = world_with_cluster()
    first = job(world)
    later = job(world, after=(first,), slack_hours=24.0)
    paused = job(world)
    world.tick()
    assert leg_run_id(world.entry(later)) not in cluster.held
    world.move(paused, Running(run_id="r", started_at=START))
    world.move(paused, Paused(since_at=START, by_user=True))
    before = dict(cluster.held)
    world.tick()
    assert set(cluster.held) == {leg_run_id(world.entry(first))} <= set(before)


def test_who_loses_the_lease_while_it_hands_over_leaves_the_rest_to_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world, cluster = world_with_cluster()
    jobs, schedule = [job(world) for _ in range(3)], cluster.schedule

    def stall(task: Task, start_at: datetime) -> str:
        world.clock.advance(2 * LEASE_FOR)
        assert world.queue.lease("second", world.clock.now(), world.clock.now() + LEASE_FOR)
        return schedule(task, start_at)

    monkeypatch.setattr(cluster, "schedule", stall)
    world.tick()
    assert cluster.calls == ["schedule"]
    monkeypatch.undo()
    world.doors = world.doors_of("second", executors=world.doors.executors)
    world.tick()
    assert sorted(task.job_id for task in cluster.tasks.values()) == sorted(jobs)
    assert cluster.calls == ["schedule"] * 4
