"""Plans stand still while nothing but time moves: each event of a job stays for ever."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import cos, pi
from random import Random
from typing import Any

import pytest
from tests.engine.queue_scenario import START, World, window
from tests.queue_world import HOUR

from greenai.engine import scheduling
from greenai.logic.queueing import Placement, Queue, place
from greenai.model.queue import Moved, Queued, Running, Waiting


def _plans(world: World, job: str) -> int:
    """How often a plan of a job was written down."""
    events = world.queue.events(job)
    return sum(isinstance(event.change, Moved) and isinstance(event.change.status, Waiting) for event in events)


def test_short_jobs_that_wait_for_room_are_planned_once() -> None:
    world = World([200.0] * 96, gpus=1, start_at=START)
    world.clock.advance(timedelta(minutes=24))
    jobs = [world.job(hours=1 / 60) for _ in range(8)]
    world.run(timedelta(hours=1), every=timedelta(seconds=1))
    assert [world.outcome(job) for job in jobs] == ["completed"] * 8
    plans = [_plans(world, job) for job in jobs]
    # Five fit into the five minutes they share; the others move up once the first of them are over.
    assert plans[:5] == [1] * 5
    assert sum(plans) <= 2 * len(jobs)


def test_a_job_that_waits_for_room_hears_once_that_it_will_be_late() -> None:
    world = World([200.0] * 96, gpus=1)
    world.job(hours=4, slack_hours=0)
    world.tick()
    job = world.job(hours=1, slack_hours=0)
    world.run(timedelta(hours=6), every=timedelta(minutes=1))
    assert world.outcome(job) == "completed"
    assert sum("as soon as there is room" in reason for reason in world.reasons(job)) == 1


def test_the_log_of_a_long_line_of_equal_jobs_grows_with_what_happens_and_not_with_the_line() -> None:
    days = [250 - 100 * cos((slot / 2 - 2) / 12 * pi) for slot in range(48 * 10)]
    world, random = World(days, gpus=2), Random(1)
    jobs = [world.job(hours=0.5, work_hours=random.uniform(0.45, 0.55), slack_hours=60) for _ in range(150)]
    world.run(timedelta(hours=8), every=timedelta(minutes=1))
    ended = [job for job in jobs if world.outcome(job) == "completed"]
    assert len(ended) > 25
    assert sum(_plans(world, job) for job in jobs) <= len(jobs) + 2 * len(ended)


def test_a_slight_move_is_told_when_its_time_has_come() -> None:
    world = World([400.0] * 8 + [100.0] * 8 + [400.0] * 80)
    job = world.job(hours=2)
    world.tick()
    world.memory.known.placements = {job: Placement(windows=(window(3.75, 5.75),), reason="a little sooner")}
    world.clock.advance(3.6 * HOUR)
    assert world.tick().wake_at == START + 3.75 * HOUR
    assert world.status(job) == Waiting(windows=(window(4, 6),))
    world.clock.advance(0.15 * HOUR)
    world.tick()
    assert isinstance(world.status(job), Running)
    assert world.reasons(job)[1:4] == [world.reasons(job)[1], "a little sooner", "its time has come"]
    assert world.starts(job) == []
    assert len(world.executor.alive()) == 1


def test_a_new_plan_begins_with_a_slight_move_that_was_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([400.0] * 8 + [100.0] * 8 + [400.0] * 80, gpus=2)
    job = world.job(hours=2)
    world.tick()
    world.memory.known.placements = {job: Placement(windows=(window(4.25, 6.25),), reason="as clean")}
    seen: list[Queue] = []

    def spy(queue: Queue, *given: Any, **named: Any) -> Mapping[str, Placement]:
        seen.append(queue)
        return place(queue, *given, **named)

    monkeypatch.setattr(scheduling, "place", spy)
    new = world.job(hours=1)
    world.tick()
    assert {entry.id: entry.status for entry in seen[0].movable} == {job: Waiting(windows=(window(4.25, 6.25),)), new: Queued()}


def test_what_starts_as_planned_is_no_reason_to_plan_again() -> None:
    world = World([100.0] * 96)
    jobs = [world.job(hours=1) for _ in range(2)]
    assert world.tick().launched == (jobs[0],)
    planned = world.memory.known.placements
    assert set(planned) == {jobs[1]}
    world.clock.advance(timedelta(minutes=5))
    world.tick()
    assert world.memory.known.placements is planned
    world.clock.advance(HOUR)
    assert world.tick().launched == (jobs[1],)
