"""The codec of the queue: exact both ways, and strict about what is no event."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.queue_world import HOUR, NOON, moments, next_events, submission, submissions

from greenai.errors import EvidenceDamaged
from greenai.model.queue import (
    Ended,
    Held,
    JobEvent,
    Moved,
    Paused,
    Pausing,
    Queued,
    Retimed,
    Running,
    Submitted,
    Task,
    Waiting,
    Wished,
    after,
)
from greenai.model.queue_lines import (
    entry_document,
    entry_from,
    event_from_line,
    event_line,
    submission_document,
    submission_from,
    task_document,
    task_from,
)


def first(given):
    return JobEvent(job_id=given.job.id, version=1, at=NOON, change=Submitted(submission=given))


@given(submissions)
def test_a_submission_comes_back_as_it_was(given):
    assert submission_from(json.loads(json.dumps(submission_document(given)))) == given
    assert event_from_line(event_line(first(given))) == first(given)


@given(submissions, st.data())
def test_a_life_comes_back_as_it_was(given, data):
    entry = after(None, first(given))
    for _ in range(4):
        event = data.draw(next_events(entry))
        assert event_from_line(event_line(event)) == event
        entry = after(entry, event)
        assert entry_from(json.loads(json.dumps(entry_document(entry))), given) == entry


@pytest.mark.parametrize(
    "status",
    [
        Held(),
        Queued(),
        Waiting(windows=()),
        Running(run_id="a", started_at=NOON),
        Pausing(run_id="a", started_at=NOON, asked_at=NOON),
        Paused(since_at=NOON, run_id="a", started_at=NOON),
        Ended(outcome="lost", ended_at=NOON),
    ],
)
def test_each_status_comes_back_as_it_was(status):
    for change in (Moved(status=status), Wished(wish="pause"), Retimed(duration=HOUR, source="x")):
        event = JobEvent(job_id="1", version=2, at=NOON, change=change)
        assert event_from_line(event_line(event)) == event


@given(st.none() | moments, st.none() | st.just({"a": 1}))
def test_a_task_comes_back_as_it_was(latest_start_at, decision):
    task = Task(
        run_id="r", job_id="1", command=("a", "b"), cwd="/", zone="GB", environment={"A": "b"}, runnable_at=NOON,
        latest_start_at=latest_start_at, decision=decision, labels={"x": "y"}, demands={"gpus": 1.0}, resumes=2,
        pause_way="freeze", grace=timedelta(seconds=3), duration=HOUR, name="n",
    )  # fmt: skip
    assert task_from(json.loads(json.dumps(task_document(task)))) == task


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"job_id":"1","version":2,"at":"2026-11-24T12:00:00Z","reason":"","moved":{"status":"asleep"}}',
        b'{"job_id":"1","version":2,"at":"yesterday","reason":"","wished":""}',
        b'{"job_id":"1","version":2,"at":"2026-11-24T12:00:00Z","reason":"","moved":7}',
        b'{"job_id":"1","version":1,"at":"2026-11-24T12:00:00Z","reason":"","submitted":{"job":{}}}',
    ],
)
def test_what_is_no_event_is_named(line):
    with pytest.raises(EvidenceDamaged, match="not an event of a job"):
        event_from_line(line)


def test_a_line_is_one_line():
    line = event_line(first(submission("1", command=("echo", "a\nb"))))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")


def test_a_submission_written_before_pauses_were_learned():
    document = submission_document(submission("7"))
    del document["pause_cost_source"]
    assert submission_from(document) == submission("7")
