"""A job's life: what may follow what, and what each step counts."""

from datetime import timedelta

import pytest
from tests.queue_world import HOUR, NOON, lived, moved, submission

from greenai.errors import InputError
from greenai.model.queue import (
    LEGAL,
    STATUS_NAMES,
    Ended,
    JobEvent,
    Moved,
    Paused,
    Pausing,
    Queued,
    Retimed,
    Running,
    Submitted,
    Waiting,
    Wished,
    after,
)


@pytest.fixture
def entry():
    return after(None, JobEvent(job_id="1", version=1, at=NOON, change=Submitted(submission=submission("1", duration=4 * HOUR))))


def running(run_id="a", at=NOON):
    return Running(run_id=run_id, started_at=at)


def test_every_status_has_a_name_and_what_may_follow():
    assert set(LEGAL) == set(STATUS_NAMES)
    assert {following for ways in LEGAL.values() for following in ways} == set(STATUS_NAMES)


def test_what_does_not_follow_is_refused(entry):
    with pytest.raises(InputError, match="queued and cannot become paused"):
        after(entry, moved(entry, Paused(since_at=NOON)))
    with pytest.raises(InputError, match="event 5 of job 1 does not follow 1"):
        after(entry, JobEvent(job_id="1", version=5, at=NOON, change=Moved(status=Queued())))
    with pytest.raises(InputError, match="does not follow nothing"):
        after(None, moved(entry, Queued()))
    with pytest.raises(InputError, match="submitted before"):
        after(entry, JobEvent(job_id="1", version=1, at=NOON, change=Submitted(submission=entry.submission)))


def test_a_pause_keeps_the_work_and_the_next_leg_is_a_resume(entry):
    paused = lived(
        entry,
        (Waiting(windows=()), NOON),
        (running("a"), NOON),
        (Pausing(run_id="a", started_at=NOON, asked_at=NOON + HOUR), NOON + HOUR),
        (Paused(since_at=NOON + HOUR), NOON + HOUR),
    )
    assert (paused.worked, paused.left, paused.resumes, paused.run_ids) == (HOUR, 3 * HOUR, 0, ("a",))
    resumed = lived(paused, (running("b", NOON + 5 * HOUR), NOON + 5 * HOUR))
    assert (resumed.resumes, resumed.run_ids, resumed.failures) == (1, ("a", "b"), 0)
    ended = lived(resumed, (Ended(outcome="completed", ended_at=NOON + 8 * HOUR, exit_code=0), NOON + 8 * HOUR))
    assert (ended.worked, ended.is_over, ended.takes_room) == (4 * HOUR, True, False)


def test_a_thawed_leg_is_a_resume_of_the_same_run(entry):
    frozen = lived(entry, (running("a"), NOON), (Paused(since_at=NOON, run_id="a", started_at=NOON), NOON + HOUR))
    thawed = lived(frozen, (running("a", NOON + 2 * HOUR), NOON + 2 * HOUR))
    assert (thawed.run_ids, thawed.resumes) == (("a",), 1)


def test_a_retry_begins_from_nothing_and_counts(entry):
    failed = lived(entry, (running("a"), NOON), (Queued(), NOON + HOUR))
    assert (failed.failures, failed.worked, failed.left) == (1, timedelta(0), 4 * HOUR)
    assert lived(failed, (running("b"), NOON)).resumes == 0


def test_the_users_retry_forgets_the_failures(entry):
    over = lived(
        entry, (running("a"), NOON), (Queued(), NOON), (running("b"), NOON), (Ended(outcome="failed", ended_at=NOON), NOON)
    )
    assert over.failures == 1
    assert lived(over, (Queued(), NOON)).failures == 0


def test_a_job_never_runs_twice_at_once(entry):
    started = lived(entry, (running("a"), NOON))
    with pytest.raises(InputError, match="runs as a: it cannot run as b too"):
        after(started, moved(started, running("b")))
    frozen = lived(started, (Paused(since_at=NOON, run_id="a", started_at=NOON), NOON))
    with pytest.raises(InputError, match="runs as a"):
        after(frozen, moved(frozen, running("b")))


def test_a_handle_found_later_changes_nothing_else(entry):
    started = lived(entry, (running("a"), NOON))
    known = lived(started, (Running(run_id="a", started_at=NOON, handle="7:1"), NOON + HOUR))
    assert (known.run_ids, known.worked, known.takes_room) == (("a",), timedelta(0), True)


def test_a_wish_lasts_until_it_came_true(entry):
    asked = lived(entry, (running("a"), NOON))
    asked = after(asked, JobEvent(job_id="1", version=3, at=NOON, change=Wished(wish="pause")))
    assert asked.wish == "pause"
    assert lived(asked, (Pausing(run_id="a", started_at=NOON, asked_at=NOON), NOON)).wish == "pause"
    assert lived(asked, (Paused(since_at=NOON), NOON)).wish == ""
    waiting = after(entry, JobEvent(job_id="1", version=2, at=NOON, change=Wished(wish="cancel")))
    assert lived(waiting, (Ended(outcome="cancelled", ended_at=NOON), NOON)).wish == ""


def test_progress_shortens_what_is_left(entry):
    told = JobEvent(job_id="1", version=2, at=NOON, change=Retimed(duration=10 * HOUR, progress_share=0.75, source="progress"))
    retimed = after(entry, told)
    assert (retimed.left, retimed.duration_source) == (2.5 * HOUR, "progress")
    over = after(retimed, JobEvent(job_id="1", version=3, at=NOON, change=Retimed(duration=HOUR, progress_share=1.0, source="")))
    assert over.left == timedelta(0)


def test_a_clock_set_back_during_a_leg_takes_no_work_away(entry):
    paused = lived(entry, (running("a", NOON), NOON), (Paused(since_at=NOON - HOUR), NOON - HOUR))
    assert paused.worked == timedelta(0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"retries": -1}, "0 times or more, not -1"),
        ({"grace": -HOUR}, "grace cannot be negative"),
        ({"demands": {"gpus": float("nan")}}, "0 or more of gpus, not nan"),
        ({"demands": {"gpus": -1.0}}, "0 or more of gpus, not -1"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, words):
    with pytest.raises(InputError, match=words):
        submission("1", **given)


def test_a_frozen_run_that_is_lost_counts_as_a_failure(entry):
    frozen = lived(entry, (running("a"), NOON), (Paused(since_at=NOON, run_id="a", started_at=NOON), NOON + HOUR))
    again = lived(frozen, (Queued(), NOON + 2 * HOUR))
    assert (again.failures, again.worked, again.left) == (1, timedelta(0), 4 * HOUR)
