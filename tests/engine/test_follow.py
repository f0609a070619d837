"""Following jobs: launches that never became runs, wishes that come late, and engines that are not there."""

from __future__ import annotations

from datetime import timedelta

from tests.engine.queue_scenario import World

from greenai.errors import StoreError
from greenai.model.queue import Paused, Pausing, Running, Waiting

LATER = [400.0] * 8 + [100.0] * 8 + [400.0] * 80


def unlaunched(**given: int) -> tuple[World, str]:
    """A job of which it was written down that it runs, and that nobody could launch."""
    world = World([100.0] * 96)
    job = world.job(**given)

    def refuse(call: str) -> None:
        if call == "launch":
            raise StoreError("no space left")

    world.executor.before_call = refuse
    world.tick()
    world.executor.before_call = lambda _: None
    assert isinstance(world.status(job), Running)
    assert not world.executor.launched
    return world, job


def running_leg(world: World, job: str) -> Running:
    status = world.status(job)
    assert isinstance(status, Running)
    return status


def asked_to_pause(world: World, job: str) -> Pausing:
    leg = running_leg(world, job)
    return Pausing(run_id=leg.run_id, started_at=leg.started_at, asked_at=world.clock.now(), windows=leg.windows)


def test_a_launch_that_failed_is_made_again_under_the_same_run() -> None:
    world, job = unlaunched()
    world.tick()
    assert [task.run_id for task in world.executor.launched] == list(world.entry(job).run_ids) == ["run-1"]


def test_a_job_that_is_cancelled_before_its_launch_never_runs() -> None:
    world, job = unlaunched(retries=2)
    world.wish(job, "cancel")
    world.tick()
    assert world.outcome(job) == "cancelled"
    assert world.reasons(job)[-1] == "cancelled before it began"
    assert not world.executor.launched


def test_a_wish_that_finds_the_job_not_running_any_more_ends_it() -> None:
    world = World(LATER)
    job = world.job()
    world.tick()
    assert isinstance(world.status(job), Waiting)
    world.wish(job, "cancel")
    world.tick()
    assert world.outcome(job) == "cancelled"


def test_a_pause_of_what_had_not_begun_is_dropped_and_it_is_launched() -> None:
    world, job = unlaunched()
    world.move(job, asked_to_pause(world, job))
    world.tick()
    assert running_leg(world, job).handle
    assert "it had not begun yet: nothing to pause" in world.reasons(job)
    assert len(world.executor.launched) == 1


def test_a_frozen_process_of_which_nothing_is_left_is_lost() -> None:
    world, job = unlaunched()
    asked = asked_to_pause(world, job)
    world.move(job, asked)
    world.move(job, Paused(since_at=asked.asked_at, run_id=asked.run_id, started_at=asked.started_at))
    world.tick()
    assert world.outcome(job) == "lost"
    assert world.reasons(job)[-1] == "nothing is left of its frozen process"


def test_a_job_that_vanishes_while_it_is_cancelled_is_not_tried_again() -> None:
    world = World([100.0] * 96)
    job = world.job(retries=3)
    world.tick()
    world.wish(job, "cancel")
    world.executor.kill(world.executor.launched[0].run_id)
    world.tick()
    assert world.outcome(job) == "cancelled"
    assert world.reasons(job)[-1].startswith("cancelled by the user; its process is gone")


def test_the_wish_to_cancel_stops_a_frozen_process_too() -> None:
    world = World([100.0] * 96)
    job = world.job(hours=2, behaviour={"freezes": True})
    world.tick()
    world.clock.advance(timedelta(minutes=10))
    world.wish(job, "pause")
    world.tick()
    world.tick()
    assert isinstance(world.status(job), Paused)
    world.wish(job, "cancel")
    world.tick()
    world.tick()
    assert world.outcome(job) == "cancelled"


def test_a_job_of_an_engine_that_comes_back_runs_there_once() -> None:
    world = World([100.0] * 96)
    job = world.job(executor="elsewhere")
    there, gone = (world.doors_of("first", executors=engines) for engines in ({"elsewhere": world.executor}, {}))

    def refuse(call: str) -> None:
        raise StoreError(f"no {call}")

    world.doors, world.executor.before_call = there, refuse
    world.tick()
    world.doors, world.executor.before_call = gone, lambda _: None
    world.tick()
    assert running_leg(world, job).handle == ""
    assert world.warnings[1:] == [f"job {job} runs on elsewhere, which is not set up here"]
    world.doors = there
    world.tick()
    assert running_leg(world, job).handle
    assert [task.run_id for task in world.executor.launched] == ["run-1"]
