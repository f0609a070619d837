"""Jobs and lives of jobs for the tests of the queue."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from hypothesis import strategies as st

from greenai.model.job import Constraints, Job
from greenai.model.plan import Window
from greenai.model.queue import (
    LEGAL,
    Ended,
    Entry,
    Held,
    JobEvent,
    Moved,
    Paused,
    PauseWay,
    Pausing,
    Queued,
    Retimed,
    Running,
    Status,
    Submission,
    Waiting,
    Wished,
    after,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def submission(job_id: str = "", *, duration: timedelta = HOUR, slack: timedelta = 24 * HOUR, **given: Any) -> Submission:
    """One job: `python train.py`, done a day from noon."""
    of_job = {name: given.pop(name) for name in ("command", "zone", "labels", "power_w", "policy") if name in given}
    limits = {name: given.pop(name) for name in ("interruptible", "resume_cost", "min_chunk") if name in given}
    submitted_at = given.pop("submitted_at", NOON)
    earliest_at = given.pop("earliest_at", submitted_at)
    job = Job(
        id=job_id,
        submitted_at=submitted_at,
        constraints=Constraints(earliest_at=earliest_at, deadline_at=earliest_at + duration + slack, duration=duration, **limits),
        **{"command": ("python", "train.py"), "zone": "GB", **of_job},
    )
    return Submission(job=job, cwd="/work", **given)


moments = st.integers(0, 10**9).map(lambda seconds: NOON + timedelta(milliseconds=seconds))
spans = st.timedeltas(timedelta(seconds=1), timedelta(days=3))
windows = st.lists(st.builds(lambda at, span: Window(start_at=at, end_at=at + span), moments, spans), max_size=3).map(tuple)
names = st.text(st.characters(codec="utf-8"), max_size=8)
legs = {"run_id": names, "started_at": moments, "windows": windows, "handle": names}
ends = st.sampled_from(["completed", "failed", "cancelled", "lost"])
frozen = {"since_at": moments, "by_user": st.booleans(), "run_id": names, "started_at": st.none() | moments, "handle": names}
statuses = {
    Held: st.just(Held()),
    Queued: st.just(Queued()),
    Waiting: st.builds(Waiting, windows=windows),
    Running: st.builds(Running, **legs),
    Pausing: st.builds(Pausing, **legs, asked_at=moments, way=st.sampled_from(get_args(PauseWay))),
    Paused: st.builds(Paused, windows=windows, **frozen),
    Ended: st.builds(Ended, outcome=ends, ended_at=moments, exit_code=st.none() | st.integers(0, 255)),
}
submissions = st.builds(
    submission,
    duration=spans,
    name=names,
    command=st.lists(names, min_size=1, max_size=3).map(tuple),
    labels=st.dictionaries(names, names, max_size=2),
    power_w=st.none() | st.floats(0.1, 1e4),
    interruptible=st.booleans(),
    resume_cost=spans,
    demands=st.dictionaries(st.sampled_from(["cpus", "gpus", "memory_gb"]), st.floats(0, 64)),
    priority=st.integers(-5, 5),
    retries=st.integers(0, 3),
    after=st.lists(names, max_size=2).map(tuple),
    array_index=st.none() | st.integers(0, 99),
    environment=st.dictionaries(names, names, max_size=2),
    pause_way=st.sampled_from(["auto", "checkpoint", "freeze"]),
    grace=spans,
    pause_cost_source=names,
    share_of=names,
)


@st.composite
def next_events(draw: st.DrawFn, entry: Entry) -> JobEvent:
    """An event that may follow."""
    legal = st.one_of(*(statuses[kind] for kind in LEGAL[type(entry.status)]))
    held = getattr(entry.status, "run_id", "")
    legal = legal.map(lambda status: replace(status, run_id=held) if held and isinstance(status, Running) else status)
    change = draw(
        st.one_of(
            legal.map(lambda status: Moved(status=status)),
            st.builds(Wished, wish=st.sampled_from(["", "cancel", "pause"])),
            st.builds(Retimed, duration=spans, progress_share=st.none() | st.floats(0, 1), source=names),
        )
    )
    return JobEvent(job_id=entry.id, version=entry.version + 1, at=draw(moments), change=change, reason=draw(names))


def moved(entry: Entry, status: Status, at: datetime = NOON, reason: str = "") -> JobEvent:
    """The next event of a job: another status."""
    return JobEvent(job_id=entry.id, version=entry.version + 1, at=at, change=Moved(status=status), reason=reason)


def lived(entry: Entry, *statuses_in_turn: tuple[Status, datetime]) -> Entry:
    """A job after these steps."""
    for status, at in statuses_in_turn:
        entry = after(entry, moved(entry, status, at))
    return entry
