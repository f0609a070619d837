"""The loop around ticks: clocks that jump, a disk that is full, another process that runs the queue."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.engine.queue_scenario import START, World
from tests.queue_world import HOUR

from greenai.engine.daemon import run_ticks
from greenai.engine.tick import Memory
from greenai.errors import StoreError
from greenai.model.queue import Running, Waiting
from greenai.testing.queue import MemoryQueue

NIGHT = [400.0] * 8 + [100.0] * 8 + [400.0] * 80


@pytest.mark.parametrize("jump_h", [-2, -0.2, 0.2, 3])
@pytest.mark.parametrize("at_h", [1, 4.5])
def test_a_clock_that_is_set_loses_nothing_and_starts_nothing_twice(jump_h: float, at_h: float) -> None:
    world = World(NIGHT)
    jobs = [world.job(hours=1), world.job(hours=1)]
    world.clock.at(START + at_h * HOUR, lambda: world.clock.jump(jump_h * HOUR))
    world.run(timedelta(hours=24))
    assert [world.outcome(job) for job in jobs] == ["completed", "completed"]
    assert len(world.executor.launched) == 2


def test_a_full_disk_is_warned_of_and_tried_again() -> None:
    world = World(NIGHT)
    job = world.job(hours=1)
    assert isinstance(world.queue, MemoryQueue)
    queue = world.queue
    queue.failure = StoreError("no space left")
    world.clock.at(START + HOUR, lambda: setattr(queue, "failure", None))
    world.run(timedelta(hours=24))
    assert world.outcome(job) == "completed"
    assert any("no space left" in warning for warning in world.warnings)


def test_another_takes_over_when_the_holder_is_gone() -> None:
    world = World([100.0] * 96)
    job = world.job(hours=1)
    assert world.queue.lease("dead", world.clock.now(), world.clock.now() + timedelta(minutes=2))
    world.run(timedelta(hours=24))
    assert world.outcome(job) == "completed"
    assert timedelta(minutes=2) <= timedelta(hours=world.starts(job)[0]) <= timedelta(minutes=4)


def test_the_lease_is_given_back_at_the_end_and_jobs_go_on() -> None:
    world = World([100.0] * 96)
    world.job(hours=1)
    world.run(timedelta(minutes=10))
    assert world.queue.holder(world.clock.now()) is None
    assert len(world.executor.alive()) == 1


def test_a_lease_that_cannot_be_given_back_is_only_warned_of() -> None:
    world = World([100.0] * 96)
    assert isinstance(world.queue, MemoryQueue)
    world.queue.failure = StoreError("no space left")
    run_ticks(world.doors, Memory(), stop=lambda: world.clock.now() > START + HOUR)
    world.queue.failure = None
    assert world.warnings[-1] == "no space left"


def test_a_job_of_an_engine_that_is_not_set_up_is_held_and_says_so() -> None:
    world = World([100.0] * 96)
    away = world.job(hours=1, executor="elsewhere")
    here = world.job(hours=1)
    world.run(timedelta(hours=3))
    assert (world.outcome(away), world.outcome(here)) == ("Held", "completed")
    assert world.reasons(away)[-1] == "held: it is to run on elsewhere, which is not set up here"
    assert world.starts(here) == [0.0]


def test_a_planned_job_whose_engine_is_away_takes_no_room_and_waits_for_it() -> None:
    world = World([400.0] * 2 + [100.0] * 94)
    planned = world.job(hours=1)
    world.tick()
    here, world.doors = world.doors, world.doors_of("first", executors={})
    world.run(timedelta(hours=3))
    assert isinstance(world.status(planned), Waiting)
    assert f"job {planned} is to run on local, which is not set up here" in world.warnings
    world.doors = here
    world.run(timedelta(hours=3))
    assert world.outcome(planned) == "completed"


def test_a_job_that_runs_on_while_its_engine_is_away_is_found_when_that_is_back() -> None:
    world = World([100.0] * 96)
    job = world.job(hours=1)
    world.tick()
    here, world.doors = world.doors, world.doors_of("first", executors={})
    world.run(HOUR / 2)
    assert isinstance(world.status(job), Running)
    world.doors = here
    world.run(2 * HOUR)
    assert world.outcome(job) == "completed"
    assert len(world.executor.launched) == 1
