"""Jobs and steps as JSON types, in every state a life can have."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.queue_world import HOUR, NOON, lived, moved, next_events, submission, submissions

from greenai.logic.queue_document import event_document, job_document, start_of, windows_of
from greenai.model.plan import Window
from greenai.model.queue import (
    Ended,
    Entry,
    Held,
    JobEvent,
    Paused,
    Queued,
    Running,
    Status,
    Submission,
    Submitted,
    Waiting,
    after,
)

CHECK = {
    name: jsonschema.Draft202012Validator(
        json.loads(files("greenai.schemas").joinpath(f"{name}.schema.json").read_text(encoding="utf-8"))
    ).validate
    for name in ("job", "job_event")
}
LATER = Window(start_at=NOON + HOUR, end_at=NOON + 2 * HOUR)


def first(what: Submission) -> Entry:
    """A job that was just handed over."""
    return after(None, JobEvent(job_id=what.job.id, version=1, at=NOON, change=Submitted(submission=what)))


@settings(max_examples=30)
@given(st.data(), submissions)
def test_every_life_keeps_to_the_schemas(data: st.DataObject, what: Submission) -> None:
    entry = first(what)
    CHECK["job"](job_document(entry))
    for _ in range(3):
        event = data.draw(next_events(entry))
        CHECK["job_event"](event_document(event))
        entry = after(entry, event)
        document = job_document(entry)
        CHECK["job"](json.loads(json.dumps(document)))
        assert (document["status"] == "ended") == (document["outcome"] is not None)


def test_an_environment_is_never_shown() -> None:
    what = submission("1", environment={"API_KEY": "s3cret"})
    event = JobEvent(job_id="1", version=1, at=NOON, change=Submitted(submission=what))
    text = json.dumps([job_document(first(what)), event_document(event)])
    assert "s3cret" not in text
    assert "API_KEY" not in text


def test_the_start_is_that_of_the_run_or_of_the_next_window() -> None:
    assert start_of(Running(run_id="r", started_at=NOON)) == NOON
    assert start_of(Waiting(windows=(LATER,))) == LATER.start_at
    assert start_of(Paused(since_at=NOON, windows=(LATER,))) == LATER.start_at
    assert start_of(Paused(since_at=NOON)) is None
    assert [start_of(status) for status in (Held(), Queued(), Ended(outcome="lost", ended_at=NOON))] == [None] * 3
    assert windows_of(Held()) == ()


def test_an_ended_job_says_how_and_when() -> None:
    ended = Ended(outcome="failed", ended_at=NOON + HOUR, exit_code=3)
    entry = lived(first(submission("1")), (Running(run_id="r", started_at=NOON), NOON), (ended, NOON + HOUR))
    document = job_document(entry)
    assert (document["outcome"], document["exit_code"], document["ended_at"]) == ("failed", 3, "2026-11-24T13:00:00Z")
    assert (document["worked_s"], document["run_ids"]) == (3600.0, ["r"])


@pytest.mark.parametrize("status", [Held(), Queued(), Waiting(windows=(LATER,))])
def test_a_step_names_its_status(status: Status) -> None:
    document = event_document(moved(first(submission("1")), status, NOON, "because"))
    assert (document["kind"], document["status"], document["reason"]) == ("moved", type(status).__name__.lower(), "because")
    assert document["start_at"] == ("2026-11-24T13:00:00Z" if isinstance(status, Waiting) else None)
