"""What `submit` fills in from the past: ledgers and queues in real files, the runs in them made up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.evidence_world import START, body_of, facts, keep_run, priced, trace
from tests.queue_world import HOUR, NOON, submission

from greenai import api
from greenai.adapters.ledger import FileLedger
from greenai.adapters.runs import RunDirectories
from greenai.adapters.store.archive import SqliteArchive
from greenai.adapters.store.queue import DurableQueue
from greenai.api.learning import (
    CACHE_NAME,
    filled_in,
    learned_for,
    length_for,
    pause_cost_for,
    pauses_seen,
    way_to_pause,
    with_length,
)
from greenai.config import Settings, load
from greenai.errors import InputError
from greenai.logic.evidencing import evidence_document
from greenai.model.evidence import sha256_of
from greenai.model.plan import Window
from greenai.model.queue import Ended, JobEvent, Moved, Paused, Pausing, Running
from greenai.wiring_queue import open_queue

COMMAND = ("python", "train.py", "--lr", "0.1")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def settings(tmp_path) -> Settings:
    return load({"GREENAI_HOME": str(tmp_path), "GREENAI_ZONE": "GB", "GREENAI_CONSTANT_G_PER_KWH": "200"}, tmp_path)


def ran(settings: Settings, number: int, command=COMMAND, **changes) -> None:
    """A run of 20 minutes at 110 W in the middle."""
    doors = FileLedger(settings.home), RunDirectories(settings.home), SqliteArchive(settings.home / "archive.sqlite")
    keep_run(*doors, run_id=f"run-{number}", command=command, **changes)


def froze(settings: Settings, number: int) -> None:
    """A run of an hour that stood for 20 of its minutes and drew 20 W meanwhile, 100 W otherwise."""
    run = trace(power_w=(100.0,) * 4 + (20.0,) * 4 + (100.0,) * 4)
    stood = Window(start_at=START + 20 * MINUTE, end_at=START + 40 * MINUTE)
    body = body_of(run)
    spool = RunDirectories(settings.home).claim(f"run-{number}")
    assert spool is not None
    spool.write(body)
    spool.close()
    known = facts(run_id=f"run-{number}", command=COMMAND, frozen=(stood,), samples_sha256=sha256_of(body))
    FileLedger(settings.home).append("evidence", evidence_document(known, run, priced([200.0] * 8)), START + HOUR)


def queued(settings: Settings, *statuses, command=COMMAND) -> None:
    """A job that lived like this; each status with the minute it came at."""
    queue = DurableQueue(settings.home)
    (entry,) = queue.enqueue([submission(command=command)], NOON)
    events = [
        JobEvent(job_id=entry.id, version=2 + number, at=NOON + minute * MINUTE, change=Moved(status=status))
        for number, (minute, status) in enumerate(statuses)
    ]
    assert all(queue.append(events))


def ended(minute: float) -> tuple[float, Ended]:
    return minute, Ended(outcome="completed", ended_at=NOON + minute * MINUTE, exit_code=0)


def saved_once(settings: Settings) -> None:
    """Asked after an hour, gone three minutes later."""
    going = Running(run_id="a", started_at=NOON)
    asked = Pausing(run_id="a", started_at=NOON, asked_at=NOON + HOUR)
    again = replace(going, run_id="b", started_at=NOON + 2 * HOUR)
    queued(settings, (0, going), (60, asked), (63, Paused(since_at=NOON + 63 * MINUTE)), (120, again), ended(150))


def test_nothing_is_known_at_first(settings):
    assert learned_for(COMMAND, settings=settings) is None
    assert learned_for((), settings=settings) is None
    assert pause_cost_for(COMMAND, power_w=100.0, settings=settings) is None
    ask = {"duration": None, "interruptible": True}
    assert filled_in(COMMAND, ask, settings) == (ask, {})


def test_what_the_ledger_tells(settings):
    for number in range(3):
        ran(settings, number)
    found = learned_for(COMMAND, settings=settings)
    assert found is not None
    assert (found.degree, found.runs, found.typical, found.duration) == ("this command", 3, 20 * MINUTE, 23 * MINUTE)
    assert found.power_w == pytest.approx(110)
    assert (settings.home / CACHE_NAME).exists()
    ran(settings, 3)
    grown = learned_for(COMMAND, settings=settings)
    assert grown is not None
    assert grown.runs == 4
    looser = learned_for(("python3", "train.py", "--lr", "0.2"), settings=settings)
    assert looser is not None
    assert looser.degree == "this script with other arguments"
    assert learned_for(("python3", "other.py"), settings=settings) is None


def test_what_the_queue_tells_where_the_ledger_does_not(settings):
    queued(settings, (0, Running(run_id="a", started_at=NOON)), ended(30))
    queued(settings, (0, Running(run_id="b", started_at=NOON)), ended(90), command=("python", "other.py"))
    found = learned_for(COMMAND, settings=settings)
    assert found is not None
    assert (found.runs, found.longest, found.power_w) == (1, 30 * MINUTE, None)


def test_a_pause_that_was_seen(settings):
    saved_once(settings)
    cost = pause_cost_for(COMMAND, settings=settings)
    assert cost is not None
    assert (cost.way, cost.cost) == ("checkpoint", 3 * MINUTE)


def test_a_run_that_stood_frozen(settings):
    froze(settings, 1)
    seen = pauses_seen(COMMAND, settings=settings)
    assert seen.held_w == (pytest.approx(20),)
    cost = pause_cost_for(COMMAND, power_w=100.0, settings=settings)
    assert cost is not None
    assert (cost.way, cost.cost) == ("freeze", 12 * MINUTE)


def test_samples_that_are_gone_are_passed_over(settings):
    froze(settings, 1)
    (settings.home / "runs" / "run-1" / "samples.jsonl").write_bytes(b"no samples\n")
    assert pauses_seen(COMMAND, settings=settings).held_w == ()
    (settings.home / "runs" / "run-1" / "samples.jsonl").unlink()
    assert pauses_seen(COMMAND, settings=settings).held_w == ()


def test_a_plan_takes_its_length_from_past_runs_and_says_how_many(settings):
    with pytest.raises(InputError, match="how long does python take"):
        length_for(COMMAND, settings=settings)
    with pytest.raises(InputError, match="how long does the job take"):
        length_for((), settings=settings)
    with pytest.raises(InputError, match="how long does python take"):
        api.plan(command=COMMAND, finish_by="24h", settings=settings)
    for number in range(3):
        ran(settings, number)
    found = api.plan(command=COMMAND, finish_by="24h", settings=settings)
    assert found.job.constraints.duration == 23 * MINUTE
    assert f"its length: {length_for(COMMAND, settings=settings).source}" in found.document()["notes"]
    assert "3 runs" in found.document()["notes"][-1]
    given = api.plan(command=COMMAND, duration="1h", finish_by="24h", settings=settings)
    assert given.job.constraints.duration == HOUR
    assert not any("its length" in note for note in given.decision.notes)


def test_a_run_that_may_wait_takes_its_length_from_past_runs(settings):
    ask = {"duration": None, "max_wait": "1h"}
    assert with_length(COMMAND, ask, settings) == (ask, "")
    ran(settings, 1)
    filled, source = with_length(COMMAND, ask, settings)
    assert filled["duration"] == length_for(COMMAND, settings=settings).duration
    assert "1 run" in source
    for said in ({"duration": "2h", "max_wait": "1h"}, {"duration": None}):
        assert with_length(COMMAND, said, settings) == (said, "")


def test_what_is_said_is_not_filled_in(settings):
    ran(settings, 1)
    saved_once(settings)
    ask = {"duration": "2h", "power_w": 50.0, "interruptible": True, "resume_cost": "1m"}
    assert filled_in(COMMAND, ask, settings) == (ask, {})


def test_what_is_not_said_is_filled_in(settings):
    ran(settings, 1)
    saved_once(settings)
    found, sources = filled_in(COMMAND, {"duration": None, "interruptible": True}, settings)
    assert (found["duration"], found["resume_cost"]) == (28 * MINUTE, 3 * MINUTE)
    assert found["power_w"] == pytest.approx(110)
    assert "pause_way" not in found
    assert sources == {
        "duration": "1 run of this command, and 40 % more",
        "power_w": "median of 1 run of this command",
        "resume_cost": "3 min to save, the time to be back is not known: median of 1 pause",
    }
    given, sources = filled_in(COMMAND, {"duration": "2h"}, settings)
    assert given["duration"] == "2h"
    assert list(sources) == ["power_w"]


def test_a_frozen_past_is_charged_and_leaves_the_way_to_be_chosen_then(settings):
    ran(settings, 1)
    froze(settings, 2)
    found, _ = filled_in(COMMAND, {"duration": "2h", "interruptible": True, "pause_way": "auto"}, settings)
    assert found["pause_way"] == "auto"
    assert found["resume_cost"] == timedelta(seconds=round(3600 * 20 / found["power_w"]))


def waiting_job(settings, **given):
    (entry,) = open_queue(settings).enqueue([submission(command=COMMAND, **given)], NOON)
    return entry


def test_the_way_to_pause_follows_from_what_was_measured_until_then_and_how_long_it_will_stand(settings):
    entry = waiting_job(settings, power_w=100.0)
    assert way_to_pause(entry, MINUTE, settings=settings) == ("auto", "")
    froze(settings, 1)
    assert way_to_pause(entry, MINUTE, settings=settings) == ("auto", ""), "it may have learned to save"
    saved_once(settings)
    way, why = way_to_pause(entry, 10 * MINUTE, settings=settings)
    assert (way, why) == ("freeze", "to freeze, which costs 2 min of its run, where saving costs 3 min")
    assert way_to_pause(entry, 2 * HOUR, settings=settings)[0] == "auto"


def test_its_own_pauses_count_before_it_has_ended(settings):
    froze(settings, 1)
    entry = waiting_job(settings, power_w=100.0)
    going = Running(run_id="x", started_at=NOON)
    asked = Pausing(run_id="x", started_at=NOON, asked_at=NOON + HOUR)
    steps = enumerate((going, asked, Paused(since_at=NOON + HOUR + 9 * MINUTE)), start=2)
    events = [JobEvent(job_id=entry.id, version=number, at=NOON + HOUR, change=Moved(status=status)) for number, status in steps]
    assert all(open_queue(settings).append(events))
    assert "saving costs 9 min" in way_to_pause(entry, 10 * MINUTE, settings=settings)[1]


def test_one_that_holds_a_gpu_is_asked_to_save_and_one_whose_power_is_not_known_too(settings):
    froze(settings, 1)
    saved_once(settings)
    assert way_to_pause(waiting_job(settings, power_w=100.0, demands={"gpus": 1.0}), MINUTE, settings=settings) == ("auto", "")
    assert way_to_pause(waiting_job(settings), MINUTE, settings=settings) == ("auto", "")
    ran(settings, 2)
    assert way_to_pause(waiting_job(settings), MINUTE, settings=settings)[0] == "freeze", "what it draws was learned"


def test_submit_needs_no_length_once_there_is_a_past(settings, tmp_path):
    from greenai import api

    (tmp_path / "train.py").write_text("")
    command = ("python3", "train.py", "--lr", "0.1")
    with pytest.raises(InputError, match="how long does the job take"):
        api.submit(command, cwd=tmp_path, settings=settings)
    ran(settings, 1)
    saved_once(settings)
    (entry,) = api.submit(command, cwd=tmp_path, interruptible=True, settings=settings)
    assert (entry.duration, entry.duration_source) == (28 * MINUTE, "1 run of this script with other arguments, and 40 % more")
    assert entry.submission.job.constraints.resume_cost == 3 * MINUTE
    assert entry.submission.pause_cost_source.startswith("3 min to save")
    assert entry.submission.job.power_w == pytest.approx(110)
