"""Plans stand still while nothing but time moves: each event of a job stays for ever."""

from __future__ import annotations

from datetime import timedelta

from tests.engine.queue_scenario import START, World

from greenai.model.queue import Moved, Waiting


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
