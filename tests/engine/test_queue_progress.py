"""Progress of a job that runs: what it says of its length, and when it is not believed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.engine.queue_scenario import World
from tests.queue_world import HOUR

from greenai.model.queue import Alive, Retimed


def told(share: float, *, is_read: bool, after: timedelta, expected_hours: float = 4) -> list[Retimed]:
    """What is written down of a job that shows this share this long after its start."""
    world = World([100.0] * 96)
    job_id = world.job(hours=expected_hours, slack_hours=0)
    world.tick()
    world.clock.advance(after)
    look = world.executor.look

    def seen(run_id, handle):
        state = look(run_id, handle)
        return replace(state, progress_share=share, is_read=is_read) if isinstance(state, Alive) else state

    world.executor.look = seen  # type: ignore[method-assign]  # the fake says nothing of progress
    world.tick()
    return [event.change for event in world.queue.events(job_id) if isinstance(event.change, Retimed)]


def test_a_program_is_believed():
    (change,) = told(0.5, is_read=False, after=0.5 * HOUR)
    assert (change.duration, change.progress_share, change.source) == (HOUR, 0.5, "its progress")


@pytest.mark.parametrize("after_hours", [1.0, 2.0, 3.0])
def test_output_is_believed_as_far_as_it_fits_what_was_expected(after_hours):
    (change,) = told(0.5, is_read=True, after=after_hours * HOUR)
    assert change.duration == 2 * after_hours * HOUR


def test_the_first_of_many_bars_is_not_believed():
    """A bar that would have the job done in half an hour instead of four counts an epoch."""
    assert told(0.5, is_read=True, after=0.25 * HOUR) == []


def test_nothing_done_yet_says_nothing():
    assert told(0.0, is_read=True, after=0.25 * HOUR) == []
