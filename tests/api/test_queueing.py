"""The verbs of the queue, on the real store: what is refused, and what each does to a job in each state."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.queue_world import moved

from greenai import api
from greenai.adapters.executors._processes import handle_of
from greenai.api.serving import _telling
from greenai.config import Settings
from greenai.engine.tick import Memory
from greenai.errors import InputError, NoFeasibleWindow, StoreError, UnknownJob
from greenai.model.intensity import Query, Reading
from greenai.model.plan import Window
from greenai.model.queue import (
    Ended,
    Entry,
    Held,
    Paused,
    Pausing,
    Queued,
    Running,
    Status,
    Waiting,
    Wished,
)
from greenai.wiring_queue import holder_name, open_queue, read_holder

NOW = datetime.now(UTC)
WINDOW = Window(start_at=NOW + timedelta(hours=1), end_at=NOW + timedelta(hours=2))
WAITING = Waiting(windows=(WINDOW,))
RUNNING = Running(run_id="r1", started_at=NOW, handle="1:1")
PAUSING = Pausing(run_id="r1", started_at=NOW, asked_at=NOW, handle="1:1")
LEFT = Paused(since_at=NOW, windows=(WINDOW,))
FROZEN = Paused(since_at=NOW, run_id="r1", started_at=NOW, handle="1:1", by_user=True)
FAILED = Ended(outcome="failed", ended_at=NOW, exit_code=3)
DONE = Ended(outcome="completed", ended_at=NOW, exit_code=0)

PATHS: dict[str, tuple[Status, ...]] = {
    "queued": (),
    "held": (Held(),),
    "waiting": (WAITING,),
    "running": (RUNNING,),
    "pausing": (RUNNING, PAUSING),
    "paused": (RUNNING, LEFT),
    "frozen": (RUNNING, FROZEN),
    "failed": (RUNNING, FAILED),
    "done": (RUNNING, DONE),
}
"""How a job gets into each state."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", zone="GB", capacity_cpus=4.0, capacity_gpus=2.0, capacity_memory_gb=8.0)


@pytest.fixture
def submit(settings: Settings) -> Any:
    def handed_over(*command: str, **ask: Any) -> tuple[Entry, ...]:
        return api.submit(command or ("sleep", "1"), settings=settings, **{"duration": "1h", **ask})

    return handed_over


def in_state(name: str, settings: Settings) -> str:
    """A new job, brought into a state."""
    (entry,) = api.submit(("sleep", "1"), duration="1h", settings=settings)
    queue = open_queue(settings)
    for status in PATHS[name]:
        (entry,) = queue.entries([entry.id])
        assert all(queue.append([moved(entry, status, NOW)]))
    return entry.id


# Handing over --------------------------------------------------------------------------------------------------------


def test_a_job_is_kept_as_it_was_asked_for(submit: Any, settings: Settings, tmp_path: Path) -> None:
    (entry,) = submit(
        "sleep",
        "1",
        finish_by="5h",
        gpus=1,
        memory="4GB",
        priority=3,
        interruptible=True,
        pause_way="checkpoint",
        grace="5m",
        min_chunk="10m",
        name="night",
        labels={"task": "resnet"},
        env={"SEED": "1"},
        cwd=tmp_path,
        retries=2,
        power_w=300.0,
    )
    again = api.job(1, settings=settings)
    assert again == entry
    submission, limits = entry.submission, entry.submission.job.constraints
    assert dict(submission.demands) == {"cpus": 1.0, "gpus": 1.0, "memory_gb": 4.0}
    assert (submission.priority, submission.retries, submission.name, submission.cwd) == (3, 2, "night", str(tmp_path))
    assert (submission.pause_way, submission.grace, submission.executor) == ("checkpoint", timedelta(minutes=5), "local")
    assert (dict(submission.environment), dict(submission.job.labels)) == ({"SEED": "1"}, {"task": "resnet"})
    assert (limits.interruptible, limits.min_chunk, submission.job.power_w) == (True, timedelta(minutes=10), 300.0)
    assert limits.deadline_at - submission.job.submitted_at == timedelta(hours=5)


def test_without_a_limit_a_job_has_a_day_of_slack(submit: Any) -> None:
    (entry,) = submit()
    assert entry.submission.job.constraints.latest_start_at - entry.submission.job.submitted_at == timedelta(hours=24)


@pytest.mark.parametrize(
    ("array", "numbers"), [("1-3", [1, 2, 3]), ("2", [2]), ("1,4,7", [1, 4, 7]), ("1-9:4", [1, 5, 9]), ("1-2,2-3", [1, 2, 3])]
)
def test_an_array_is_one_job_for_each_number(submit: Any, array: str, numbers: list[int]) -> None:
    entries = submit("echo", "--seed={index}", array=array)
    assert [entry.id for entry in entries] == [f"1_{number}" for number in numbers]
    assert [entry.submission.job.command[1] for entry in entries] == [f"--seed={number}" for number in numbers]
    assert [entry.submission.environment["GREENAI_ARRAY_INDEX"] for entry in entries] == [str(number) for number in numbers]


def test_the_word_index_is_left_alone_without_an_array(submit: Any) -> None:
    assert submit("echo", "{index}")[0].submission.job.command == ("echo", "{index}")


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ({"duration": None}, "how long does the job take"),
        ({"duration": "soon"}, "soon"),
        ({"gpus": 3}, "takes 3 GPUs and jobs here may take 2"),
        ({"cpus": 5}, "takes 5 CPU cores"),
        ({"memory": "9GB"}, "takes 9 GB of memory"),
        ({"memory": "lots"}, "an amount of memory is written"),
        ({"cpus": -1}, "0 or more"),
        ({"array": "5-1"}, "an array is written"),
        ({"array": "1-5:0"}, "an array is written"),
        ({"array": "x"}, "an array is written"),
        ({"array": "1-20%4"}, "an array is written"),
        ({"array": "1-1000000"}, "at most 10,000"),
        ({"after": ["99"]}, "no job '99'"),
        ({"policy": "elastic"}, "how many workers"),
        ({"policy": "greener"}, "no policy named 'greener'"),
        ({"cwd": "/not/there"}, "is not there"),
        ({"executor": "moon"}, "no executor 'moon'"),
        ({"pause_way": "beg"}, "gives way by"),
        ({"env": {"A=B": "1"}}, "NAME=VALUE"),
        ({"env": {"GREENAI_HOME": "/tmp"}}, "another GREENAI_HOME"),
        ({"retries": -1}, "retried 0 times or more"),
        ({"deadline": "2020-01-01 10:00"}, "passed"),
        ({"duration": "0s"}, "positive"),
    ],
)
def test_what_cannot_run_is_refused_and_nothing_is_stored(
    submit: Any, settings: Settings, ask: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        submit(**ask)
    assert api.jobs(settings=settings).jobs == ()


@pytest.mark.parametrize("command", [("no-such-program",), ("./not-there",), ("",), ("echo", "a\0b")])
def test_a_command_that_cannot_start_is_refused(submit: Any, command: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        submit(*command)


def test_a_command_is_looked_for_where_it_will_run(submit: Any, tmp_path: Path) -> None:
    script = tmp_path / "train.sh"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(InputError, match="not executable"):
        submit("./train.sh", cwd=tmp_path)
    script.chmod(0o755)
    assert submit("./train.sh", cwd=tmp_path)[0].id == "1"


def test_a_job_that_no_longer_fits_is_infeasible(submit: Any) -> None:
    with pytest.raises(NoFeasibleWindow, match="takes 2 h and only 1 h"):
        submit(duration="2h", finish_by="1h")


def test_a_job_above_the_power_cap_is_refused(tmp_path: Path) -> None:
    capped = Settings(home=tmp_path, power_cap_w=100.0)
    with pytest.raises(InputError, match="draws 200 W"):
        api.submit(("sleep", "1"), duration="1h", power_w=200.0, settings=capped)


def test_a_share_is_counted_to_the_label_named_in_the_settings(tmp_path: Path) -> None:
    shared = Settings(home=tmp_path, share_by="project")
    entries = [api.submit(("sleep", "1"), duration="1h", labels=labels, settings=shared)[0] for labels in ({"project": "p"}, {})]
    assert [entry.submission.share_of for entry in entries] == ["p", ""]


def test_an_unknown_argument_is_refused_as_python_does(submit: Any) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'gpu'"):
        submit(gpu=1)


# Reading -------------------------------------------------------------------------------------------------------------


def test_pages_and_counts(submit: Any, settings: Settings) -> None:
    submit(array="1-5")
    page = api.jobs(limit=2, settings=settings)
    assert ([entry.id for entry in page.jobs], page.has_more, page.unfinished) == (["1_1", "1_2"], True, 5)
    everything = api.jobs(limit=None, settings=settings)
    assert (len(everything.jobs), everything.has_more, everything.holder) == (5, False, None)
    assert api.jobs(match="1_4", settings=settings).jobs[0].id == "1_4"
    with pytest.raises(InputError, match="no status 'asleep'"):
        api.jobs(status="asleep", settings=settings)


def test_one_job_is_one_job(submit: Any, settings: Settings) -> None:
    submit(array="1-2")
    with pytest.raises(InputError, match="an array of 2 jobs"):
        api.job(1, settings=settings)
    with pytest.raises(UnknownJob):
        api.job("7", settings=settings)
    with pytest.raises(UnknownJob):
        api.job_events("7", settings=settings)


def test_the_output_of_a_job_that_has_not_run(settings: Settings) -> None:
    waiting, ran = in_state("waiting", settings), in_state("failed", settings)
    with pytest.raises(InputError, match="has not run yet"):
        api.log_path(waiting, settings=settings)
    assert api.log_path(ran, settings=settings) == settings.home / "runs" / "r1" / "output.log"
    assert api.log_path(ran, leg=1, settings=settings) == api.log_path(ran, settings=settings)
    with pytest.raises(InputError, match="no leg 2"):
        api.log_path(ran, leg=2, settings=settings)


def test_reading_an_absent_queue_makes_nothing(settings: Settings) -> None:
    assert api.jobs(settings=settings).counts == {}
    assert not settings.home.exists()


# Changing ------------------------------------------------------------------------------------------------------------

WISHED_CANCEL, WISHED_PAUSE = "cancel", "pause"
RESULTS: list[tuple[str, str, Any]] = [
    ("cancel", "queued", Ended),
    ("cancel", "held", Ended),
    ("cancel", "waiting", Ended),
    ("cancel", "paused", Ended),
    ("cancel", "running", WISHED_CANCEL),
    ("cancel", "pausing", WISHED_CANCEL),
    ("cancel", "frozen", WISHED_CANCEL),
    ("cancel", "failed", FAILED),
    ("hold", "queued", Held),
    ("hold", "waiting", Held),
    ("hold", "held", Held),
    ("hold", "running", "only what has not started can be held"),
    ("hold", "done", "job 1 is completed"),
    ("release", "held", Queued),
    ("release", "running", "it is not held"),
    ("pause", "running", WISHED_PAUSE),
    ("pause", "pausing", WISHED_PAUSE),
    ("pause", "paused", Paused),
    ("pause", "frozen", FROZEN),
    ("pause", "waiting", "only what runs can be paused"),
    ("pause", "done", "only what runs can be paused"),
    ("resume", "frozen", Paused),
    ("resume", "paused", LEFT),
    ("resume", "running", "it is not paused"),
    ("resume", "held", "it is not paused"),
    ("retry", "failed", Queued),
    ("retry", "done", "only what failed"),
    ("retry", "waiting", "only what failed"),
]


@pytest.mark.parametrize(("verb", "state", "result"), RESULTS, ids=[f"{verb} {state}" for verb, state, _ in RESULTS])
def test_each_verb_in_each_state(settings: Settings, verb: str, state: str, result: Any) -> None:
    job_id = in_state(state, settings)
    change = getattr(api, verb)
    if isinstance(result, str) and result not in {WISHED_CANCEL, WISHED_PAUSE}:
        before = api.job_events(job_id, settings=settings)
        with pytest.raises(InputError, match=result):
            change(job_id, settings=settings)
        assert api.job_events(job_id, settings=settings) == before
        return
    (entry,) = change(job_id, settings=settings)
    if isinstance(result, str):
        assert entry.wish == result
    elif isinstance(result, type):
        assert isinstance(entry.status, result)
    else:
        assert entry.status == result
    if verb not in {"release", "retry"}:
        assert change(job_id, settings=settings) == (entry,), "asking twice changes nothing"


def test_a_pause_by_the_plan_becomes_the_users(settings: Settings) -> None:
    job_id = in_state("paused", settings)
    (entry,) = api.pause(job_id, settings=settings)
    assert isinstance(entry.status, Paused)
    assert (entry.status.by_user, entry.status.windows) == (True, ())
    (entry,) = api.resume(job_id, settings=settings)
    assert isinstance(entry.status, Paused)
    assert not entry.status.by_user


def test_a_pause_that_has_not_come_true_is_taken_back(settings: Settings) -> None:
    job_id = in_state("running", settings)
    api.pause(job_id, settings=settings)
    (entry,) = api.resume(job_id, settings=settings)
    assert entry.wish == ""
    assert api.job_events(job_id, settings=settings)[-1].change == Wished(wish="")


def test_of_an_array_those_that_can_are_changed(submit: Any, settings: Settings) -> None:
    submit(array="1-3")
    api.cancel("1_2", settings=settings)
    assert [type(entry.status) for entry in api.hold(1, settings=settings)] == [Held, Ended, Held]
    assert [type(entry.status) for entry in api.release("1", settings=settings)] == [Queued, Ended, Queued]
    assert [entry.is_over for entry in api.cancel("1", settings=settings)] == [True, True, True]


def test_nothing_is_changed_where_one_of_several_is_unknown(submit: Any, settings: Settings) -> None:
    submit()
    with pytest.raises(UnknownJob):
        api.cancel("1", "9", settings=settings)
    assert isinstance(api.job("1", settings=settings).status, Queued)
    with pytest.raises(InputError, match="which job"):
        api.cancel(settings=settings)


@pytest.fixture
def outrun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A queue in which somebody else is quicker as often as the list says."""
    from greenai.adapters.store.queue import DurableQueue

    times = [0]
    append = DurableQueue.append

    def slow(self: DurableQueue, events: Any) -> tuple[bool, ...]:
        if times[0] > 0:
            times[0] -= 1
            return (False,) * len(events)
        return append(self, events)

    monkeypatch.setattr(DurableQueue, "append", slow)
    return times


def test_somebody_elses_step_in_between_is_taken_into_account(settings: Settings, outrun: list[int]) -> None:
    job_id = in_state("waiting", settings)
    outrun[0] = 3
    assert isinstance(api.hold(job_id, settings=settings)[0].status, Held)
    outrun[0] = 1000
    with pytest.raises(StoreError, match="faster"):
        api.release(job_id, settings=settings)


# Who runs it ---------------------------------------------------------------------------------------------------------


def test_this_process_holds_a_lease_until_it_is_gone(settings: Settings, submit: Any) -> None:
    submit()
    queue, now_at = open_queue(settings), datetime.now(UTC)
    mine = holder_name("daemon")
    assert read_holder(mine) == ("daemon", f"process {os.getpid()}")
    assert queue.lease(mine, now_at, now_at + timedelta(hours=1))
    assert api.running_holder(settings) == mine
    dead = mine.rpartition("|")[0] + "|999999999:1"
    queue.release(mine)
    assert queue.lease(dead, now_at, now_at + timedelta(hours=1))
    assert api.running_holder(settings) is None
    elsewhere = "|".join(("daemon", "other-machine", "boot", "999999999:1"))
    assert queue.lease(elsewhere, now_at, now_at + timedelta(hours=1))
    assert api.running_holder(settings) == elsewhere
    assert read_holder(elsewhere) == ("daemon", "process 999999999 on other-machine")


def test_a_killed_daemon_that_nobody_has_buried_holds_nothing(settings: Settings, submit: Any) -> None:
    submit()
    queue, now_at = open_queue(settings), datetime.now(UTC)
    daemon = subprocess.Popen(["sleep", "600"])
    holder = f"{holder_name('daemon').rpartition('|')[0]}|{handle_of(daemon.pid)}"
    queue.lease(holder, now_at, now_at + timedelta(hours=1))
    assert api.running_holder(settings) == holder
    daemon.kill()
    os.waitid(os.P_PID, daemon.pid, os.WEXITED | os.WNOWAIT)
    assert api.running_holder(settings) is None
    daemon.wait()


def test_a_second_daemon_is_refused(settings: Settings, submit: Any) -> None:
    submit()
    queue, now_at = open_queue(settings), datetime.now(UTC)
    queue.lease("daemon|other-machine|boot|12:1", now_at, now_at + timedelta(hours=1))
    with pytest.raises(InputError, match=r"another daemon runs this queue \(process 12 on other-machine\)"):
        api.serve(settings=settings, stop=lambda: True)
    assert api.tick_once(settings=settings) is False


@pytest.mark.parametrize(
    ("command", "ask", "said"),
    [
        ("sleep 1", {}, "a command is a list of words"),
        (["sleep", "1"], {"priority": "high"}, "priority is a whole number, not 'high'"),
        (["sleep", "1"], {"retries": "2"}, "retries is a whole number, not '2'"),
        (["sleep", "1"], {"env": {"SEED": 3}}, "env hold text, not 'SEED': 3"),
        (["sleep", "1"], {"labels": {1: "a"}}, "labels hold text, not 1: 'a'"),
    ],
)
def test_what_is_of_another_kind_is_refused_before_it_is_stored(
    settings: Settings, command: Any, ask: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        api.submit(command, duration="1h", settings=settings, **ask)
    assert not api.jobs(settings=settings).jobs


@pytest.fixture
def cluster(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two partitions, of which that in DE is the cleaner, and Slurm's commands on the path."""
    (tmp_path / "sbatch").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    table = tmp_path / "table.csv"
    rows = [f"{zone},{hour},{grams}" for zone, grams in (("GB", 300), ("DE", 200)) for hour in range(24)]
    table.write_text("\n".join(["region,UTC_hour,carbon_intensity_gco2_per_kwh", *rows]) + "\n")
    return replace(settings, slurm_partitions="GB=london,DE=berlin", series=table)


def test_the_cleanest_place_of_an_engine_is_taken(cluster: Settings) -> None:
    (entry,) = api.submit(["true"], duration="1h", executor="slurm", places=("GB", "DE"), settings=cluster)
    assert entry.submission.job.zone == "DE"
    (entry,) = api.submit(["true"], duration="1h", executor="slurm", places=("GB",), settings=cluster)
    assert entry.submission.job.zone == "GB"


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        ({"places": ("GB", "DE")}, "the executor local is in one place, the zone GB"),
        ({"places": ("GB", "FR"), "executor": "slurm"}, "no partition is known to stand in FR"),
    ],
)
def test_places_that_the_engine_does_not_reach_are_refused(cluster: Settings, ask: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        api.submit(["true"], duration="1h", settings=cluster, **ask)
    assert not api.jobs(settings=cluster).jobs


@pytest.mark.parametrize("begin", ["serve", "wait"])
def test_a_queue_that_cannot_be_written_is_refused_at_the_start(
    settings: Settings, submit: Any, monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    (entry,) = submit()

    def full(*_: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr("greenai.adapters.store.queue.DurableQueue.release", full)
    with pytest.raises(StoreError, match="the disk is full"):
        api.serve(settings=settings, started=pytest.fail) if begin == "serve" else api.wait(entry.id, settings=settings)


def test_a_grid_that_is_not_read_live_is_told_of_once(settings: Settings) -> None:
    in_state("held", settings)
    away, warnings, looks = replace(settings, urls={"uk": "http://127.0.0.1:9"}), [], iter([False, False, True])
    api.serve(settings=away, warn=warnings.append, stop=lambda: next(looks, True))
    (said,) = warnings
    assert said.startswith("zone GB: MODELLED: the usual day of this season, not today's grid (uk: ")


def test_a_grid_that_is_read_live_again_is_told_of_too() -> None:
    memory, told = Memory(), []
    look = _telling(memory, told.append, lambda: False)
    query = Query(zone="GB", start_at=NOW, end_at=NOW + timedelta(hours=1), now_at=NOW, purpose="forecast")
    for step in ("live", "annual", "annual", "live", "old-archive"):
        memory.known.readings = {"GB": Reading(series=None, step=step, fallback_reason=None, query=query)}
        assert look() is False
    flat = "zone GB: ANNUAL MEAN: flat, it can account but never justifies waiting"
    assert told == [flat, "zone GB is read live again", "zone GB: ARCHIVED"]


def test_waiting_for_what_is_over_or_held_returns_at_once(settings: Settings) -> None:
    done, held = in_state("failed", settings), in_state("held", settings)
    told: list[bool] = []
    entries = api.wait(done, held, settings=settings, tell=lambda _, alone: told.append(alone))
    assert [type(entry.status) for entry in entries] == [Ended, Held]
    assert told == [True]
    with pytest.raises(InputError, match="which job"):
        api.wait(settings=settings)


def test_waiting_ends_when_the_time_is_up(settings: Settings, submit: Any) -> None:
    submit(finish_by="20h", policy="asap", after=[in_state("held", settings)])
    (entry,) = api.wait(2, timeout="0.2s", settings=settings)
    assert not entry.is_over


def test_without_a_limit_a_job_after_others_has_a_day_from_when_they_are_due(settings: Settings, submit: Any) -> None:
    now_at = datetime.now(UTC)
    (first,) = submit(finish_by="60h")
    (late,) = submit(duration="1h")
    queue = open_queue(settings)
    far = Window(start_at=now_at + timedelta(hours=90), end_at=now_at + timedelta(hours=91))
    assert all(queue.append([moved(late, Waiting(windows=(far,)), now_at)]))

    def due(*after: str) -> timedelta:
        (entry,) = submit("true", duration="2h", after=after)
        return entry.submission.job.constraints.deadline_at - now_at

    minute = timedelta(minutes=2)
    assert abs(due() - timedelta(hours=26)) < minute
    assert abs(due(first.id) - timedelta(hours=60 + 26)) < minute
    assert abs(due(first.id, late.id) - timedelta(hours=91 + 26)) < minute, "its plan ends after it is due"
    assert abs(due(in_state("done", settings)) - timedelta(hours=26)) < minute
    (said,) = submit("true", duration="2h", after=[first.id], finish_by="40h")
    assert abs(said.submission.job.constraints.deadline_at - now_at - timedelta(hours=40)) < minute
