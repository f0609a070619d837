"""Ticks that take longer than their lease: what they write and start then, and who runs the queue meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.engine.queue_scenario import POLICIES, World
from tests.queue_world import HOUR

from greenai.adapters.store.queue import DurableQueue
from greenai.engine.lease import LEASE_FOR, PLANNING_FOR, Lease
from greenai.engine.tick import Memory, tick
from greenai.ports import JobQueue
from greenai.testing.queue import MemoryQueue

MINUTE = timedelta(minutes=1)
Queues = Callable[[str], JobQueue]


@pytest.fixture(params=["in memory", "durable"])
def queues(request: pytest.FixtureRequest, tmp_path: Path) -> Queues:
    """The queue as each process opens it."""
    shared = MemoryQueue()
    return (lambda _: shared) if request.param == "in memory" else lambda _: DurableQueue(tmp_path)


def slow(do: Callable[[], object]) -> Callable[[str], Any]:
    """Policies of which the first plan takes until something has been done."""
    left = [do]

    def policy(name: str) -> Any:
        if left:
            left.pop()()
        return POLICIES[name]

    return policy


def one_after_another(queues: Queues) -> tuple[World, str]:
    """Two jobs of a minute, both due; the first has just ended, so that there is a plan to be made and room for one."""
    world = World([100.0] * 96, queue=queues("first"))
    world.job(hours=1 / 60)
    waiting = world.job(hours=1 / 60)
    world.tick()
    assert len(world.executor.alive()) == 1
    world.clock.advance(MINUTE)
    return world, waiting


def test_a_tick_that_outlived_its_lease_starts_nothing(queues: Queues) -> None:
    world, waiting = one_after_another(queues)
    other, memory, urgent = world.doors_of("second", queue=queues("second")), Memory(), []

    def sleep() -> None:
        world.clock.advance(PLANNING_FOR + MINUTE)
        # As short as the other: both fit into this half hour, and the other's plan stays as it is, unwritten.
        urgent.append(world.job(hours=1 / 60, priority=5))
        assert tick(world.clock.now(), other, memory).launched == (urgent[0],)

    late = tick(world.clock.now(), world.doors_of("first", policy=slow(sleep)), world.memory)
    assert late.launched == ()
    assert [task.job_id for task in world.executor.alive()] == urgent
    for _ in range(4):
        world.clock.advance(HOUR)
        tick(world.clock.now(), other, memory)
    assert [world.executor.finished(job) for job in (waiting, *urgent)] == [1, 1]


def test_who_plans_for_longer_than_a_lease_keeps_it(queues: Queues) -> None:
    world, waiting = one_after_another(queues)
    other = world.doors_of("second", queue=queues("second"))

    def plan_long() -> None:
        world.clock.advance(4 * LEASE_FOR)
        assert not tick(world.clock.now(), other, Memory()).is_mine

    done = tick(world.clock.now(), world.doors_of("first", policy=slow(plan_long)), world.memory)
    assert done.launched == (waiting,)
    # It was taken for longer to plan alone: who dies after that is not waited for any longer than else.
    assert world.queue.holder(world.clock.now()) == "first"
    assert world.queue.holder(world.clock.now() + LEASE_FOR) is None


def test_a_lease_is_renewed_when_half_of_it_is_over_or_the_clock_was_set_back() -> None:
    world = World([100.0] * 96)
    lease = Lease(world.queue, "first", world.clock)
    assert lease.keep()
    world.clock.advance(0.4 * LEASE_FOR)
    assert lease.keep()
    assert world.queue.holder(world.clock.now() + 0.7 * LEASE_FOR) is None
    world.clock.advance(0.2 * LEASE_FOR)
    assert lease.keep()
    assert world.queue.holder(world.clock.now() + 0.9 * LEASE_FOR) == "first"
    world.clock.jump(-HOUR)
    assert lease.keep()
    assert world.queue.holder(world.clock.now() + LEASE_FOR) is None


def test_a_lost_lease_is_not_kept() -> None:
    world = World([100.0] * 96)
    lease = Lease(world.queue, "first", world.clock)
    assert lease.take(world.clock.now())
    world.clock.advance(2 * LEASE_FOR)
    assert world.queue.lease("second", world.clock.now(), world.clock.now() + LEASE_FOR)
    assert not lease.keep()
    assert not lease.take_to_plan()


def test_who_loses_the_lease_among_launches_leaves_the_rest_to_the_other() -> None:
    world = World([100.0] * 96, gpus=3)
    jobs = [world.job(hours=1) for _ in range(3)]
    other, memory = world.doors_of("second"), Memory()

    def stall(call: str) -> None:
        if call == "launch" and not world.executor.launched:
            world.executor.before_call = lambda _: None
            world.clock.advance(2 * LEASE_FOR)
            assert world.queue.lease("second", world.clock.now(), world.clock.now() + LEASE_FOR)

    world.executor.before_call = stall
    tick(world.clock.now(), world.doors, world.memory)
    assert len(world.executor.launched) == 1
    tick(world.clock.now(), other, memory)
    assert sorted(task.job_id for task in world.executor.launched) == sorted(jobs)
    world.clock.advance(HOUR)
    tick(world.clock.now(), other, memory)
    assert [world.executor.finished(job) for job in jobs] == [1, 1, 1]
