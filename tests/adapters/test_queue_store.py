"""The durable queue: what is acknowledged survives, and nobody is obeyed twice."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adapters.stored import filled, waiting
from tests.queue_world import HOUR, NOON, moved, next_events, submission, submissions

from greenai.adapters.store.queue import DurableQueue
from greenai.errors import StoreError, UnknownJob
from greenai.model.queue import Ended, Held, JobEvent, Queued, Running, Wished, after
from greenai.testing.queue import MemoryQueue


@pytest.fixture
def home(tmp_path):
    return tmp_path / "state"


@pytest.fixture(params=["durable", "memory"])
def queue(request, home):
    return DurableQueue(home) if request.param == "durable" else MemoryQueue()


def test_jobs_are_numbered_and_an_array_shares_its_number(queue):
    single = queue.enqueue([submission(), submission(name="b")], NOON)
    array = queue.enqueue([submission(array_index=index) for index in (1, 2, 5)], NOON)
    assert [entry.id for entry in (*single, *array)] == ["1", "2", "3_1", "3_2", "3_5"]
    assert [entry.id for entry in queue.enqueue([submission()], NOON)] == ["4"]
    assert [entry.id for entry in queue.entries(["3", "1"])] == ["3_1", "3_2", "3_5", "1"]
    assert queue.enqueue([], NOON) == ()


def test_an_unknown_job_is_named(queue):
    for job_id in ("7", "x", "7_1", "²"):
        with pytest.raises(UnknownJob, match=f"no job '{job_id}'"):
            queue.entries([job_id])
        with pytest.raises(UnknownJob, match="no job"):
            queue.events(job_id)


def test_only_the_next_event_is_obeyed(queue):
    (entry,) = queue.enqueue([submission()], NOON)
    run, hold = moved(entry, Running(run_id="a", started_at=NOON)), moved(entry, Held())
    assert queue.append([run, hold]) == (True, False)
    assert queue.append([hold]) == (False,)
    assert queue.append([]) == ()
    assert [type(event.change).__name__ for event in queue.events("1")] == ["Submitted", "Moved"]
    assert queue.entries(["1"])[0] == after(entry, run)
    assert queue.append([JobEvent(job_id="9", version=2, at=NOON, change=Wished(wish="pause"))]) == (False,)


def test_two_events_of_a_job_in_one_go(queue):
    (entry,) = queue.enqueue([submission()], NOON)
    first = moved(entry, waiting(1))
    second = moved(after(entry, first), waiting(2))
    assert queue.append([first, second]) == (True, True)


def test_what_is_over_is_not_unfinished(queue):
    one, two = queue.enqueue([submission(), submission()], NOON)
    queue.append([moved(one, Ended(outcome="cancelled", ended_at=NOON))])
    assert queue.unfinished() == (two,)
    assert queue.counts() == {"queued": 1, "ended": 1}
    queue.append([moved(queue.entries(["1"])[0], Queued())])
    assert [entry.id for entry in queue.unfinished()] == ["1", "2"]


def test_the_lease_has_one_holder_until_it_ends(queue):
    minute = timedelta(minutes=1)
    assert queue.holder(NOON) is None
    assert queue.lease("a", NOON, NOON + minute)
    assert queue.lease("a", NOON, NOON + 2 * minute)
    assert not queue.lease("b", NOON + minute, NOON + 2 * minute)
    assert queue.holder(NOON + minute) == "a"
    assert queue.lease("b", NOON + 2 * minute, NOON + 3 * minute)
    queue.release("a")
    assert queue.holder(NOON + 2 * minute) == "b"
    queue.release("b")
    assert queue.holder(NOON) is None


def test_a_lease_trusts_no_clock_alone(home):
    dead = set()
    queue = DurableQueue(home, is_dead=dead.__contains__)
    assert queue.lease("a", NOON, NOON + 100 * HOUR)
    assert queue.holder(NOON + HOUR) is None, "a lease cannot be taken for that long"
    assert queue.lease("a", NOON, NOON + timedelta(minutes=5))
    assert queue.lease("b", NOON - HOUR, NOON), "the clock was set back by an hour: the lease ends too far ahead"
    dead.add("b")
    assert queue.lease("c", NOON - HOUR, NOON - HOUR + timedelta(minutes=1)), "b is seen to be dead"


def test_a_page_shows_what_runs_then_what_will_then_what_was(home):
    queue = DurableQueue(home)
    entries = queue.enqueue([submission(name=f"n{number}", labels={"team": "x_y"}) for number in range(1, 7)], NOON)
    queue.append(
        [
            moved(entries[0], waiting(3)),
            moved(entries[1], waiting(2)),
            moved(entries[2], Ended(outcome="cancelled", ended_at=NOON), NOON),
            moved(entries[3], Ended(outcome="cancelled", ended_at=NOON), NOON + HOUR),
            moved(entries[4], Running(run_id="a", started_at=NOON)),
        ]
    )

    def ids(**asked):
        return [entry.id for entry in queue.page(**{"limit": 10, **asked})]

    assert ids() == ["5", "2", "1", "6", "4", "3"]
    assert ids(limit=2) == ["5", "2"]
    assert ids(limit=3, offset=3) == ["6", "4", "3"]
    assert ids(offset=5) == ["3"]
    assert ids(status="ended", offset=1) == ["3"]
    assert ids(status="waiting") == ["2", "1"]
    assert ids(words="n3") == ["3"]
    assert ids(words="team=x_y", limit=1) == ["5"]
    assert ids(words="%") == []
    assert ids(words="xzy") == []


def test_another_process_sees_what_was_written(home):
    first, second = DurableQueue(home), DurableQueue(home)
    (entry,) = first.enqueue([submission()], NOON)
    assert second.unfinished() == (entry,)
    assert second.append([moved(entry, waiting(1))]) == (True,)
    assert first.append([moved(entry, waiting(2))]) == (False,)
    assert first.unfinished() == second.unfinished()


@given(st.lists(submissions, min_size=1, max_size=3), st.data())
@settings(max_examples=25)
def test_log_and_database_say_the_same(tmp_path_factory, drafts, data):
    home = tmp_path_factory.mktemp("queue")
    queue = DurableQueue(home)
    drafts = [replace(draft, array_index=None) for draft in drafts]
    entries = {entry.id: entry for entry in queue.enqueue(drafts, NOON)}
    for _ in range(4):
        entry = entries[data.draw(st.sampled_from(sorted(entries)))]
        event = data.draw(next_events(entry))
        assert queue.append([event]) == (True,)
        entries[entry.id] = after(entry, event)
    assert DurableQueue(home).entries(sorted(entries)) == tuple(entries[job_id] for job_id in sorted(entries))
    for damage in ("queue.sqlite", "queue.jsonl"):
        (home / damage).unlink()
        again = DurableQueue(home)
        assert again.entries(sorted(entries)) == tuple(entries[job_id] for job_id in sorted(entries)), damage


@pytest.mark.parametrize("body", [b"no database " * 400, b"", None])
def test_a_damaged_database_is_kept_and_built_anew(home, body):
    entries = filled(home)
    path = home / "queue.sqlite"
    if body is None:
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 4096)
    else:
        path.write_bytes(body)
        (home / "queue.sqlite-wal").unlink(missing_ok=True)
    queue = DurableQueue(home)
    queue.check()
    assert queue.entries(["1", "2", "3"]) == entries
    assert queue.events("1")[-1].reason == "cheap at one"
    if body != b"":
        assert "kept as queue.damaged-1.sqlite" in queue.repairs[0]
        assert (home / "queue.damaged-1.sqlite").exists()
    assert queue.append([moved(entries[1], waiting(1))]) == (True,)


def test_a_sound_database_is_left_alone(home):
    filled(home)
    queue = DurableQueue(home)
    queue.check()
    assert queue.repairs == []
    DurableQueue(home / "nothing").check()


def test_a_log_without_its_end_is_restored(home):
    entries = filled(home)
    log = home / "queue.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole[:200])
    queue = DurableQueue(home)
    assert queue.entries(["1", "2", "3"]) == entries
    assert log.read_bytes() == whole
    assert "lost its end" in queue.repairs[0]


def test_a_torn_line_was_never_acknowledged(home):
    entries = filled(home)
    log = home / "queue.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"job_id":"2","vers')
    assert DurableQueue(home).entries(["1", "2", "3"]) == entries
    assert log.read_bytes() == whole


def test_a_log_that_is_ahead_is_caught_up_with(home):
    entries = filled(home)
    log, path = home / "queue.jsonl", home / "queue.sqlite"
    before, body = path.read_bytes(), log.read_bytes()
    DurableQueue(home).append([moved(entries[1], Running(run_id="r", started_at=NOON))])
    line = log.read_bytes()[len(body) :]
    path.write_bytes(before)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    log.write_bytes(body + line + b"what is this\n" + line)
    queue = DurableQueue(home)
    assert queue.entries(["2"])[0].run_ids == ("r",)
    assert len(queue.repairs) == 2
    assert queue.repairs[0] == "a line of queue.jsonl is damaged and was left out: what is this ..."


def test_a_failing_disk_takes_the_line_back(home, monkeypatch):
    entries = filled(home)
    body = (home / "queue.jsonl").read_bytes()
    queue = DurableQueue(home)
    real = os.fdatasync

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(StoreError, match="log of the queue cannot be written: No space left") as failure:
        queue.append([moved(entries[1], Held())])
    assert "free space" in str(failure.value.hint)
    monkeypatch.setattr(os, "fdatasync", real)
    assert (home / "queue.jsonl").read_bytes() == body
    assert queue.entries(["1", "2", "3"]) == entries
    assert queue.append([moved(entries[1], Held())]) == (True,)


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"queue.jsonl cannot be opened"):
        DurableQueue(tmp_path / "file" / "home").enqueue([submission()], NOON)


def test_a_log_held_by_another_process_is_waited_for_and_named(home):
    filled(home)
    with (home / "queue.jsonl").open("rb") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="held by another process"):
            DurableQueue(home, wait_s=0.05).enqueue([submission()], NOON)


def test_a_newer_database_is_refused(home):
    filled(home)
    with closing(sqlite3.connect(home / "queue.sqlite")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="of a newer greenai"):
        DurableQueue(home).unfinished()


SUBMITTER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from greenai.adapters.store.queue import DurableQueue
from tests.queue_world import NOON, submission
queue = DurableQueue(Path(sys.argv[1]), wait_s=60)
while True:
    (entry,) = queue.enqueue([submission()], NOON)
    print(entry.id, flush=True)
"""


def test_what_was_acknowledged_survives_sigkill(home):
    acknowledged = set()
    for killed_after in (1, 3, 2):
        child = subprocess.Popen(
            [sys.executable, "-c", SUBMITTER, str(home)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        for _ in range(killed_after):
            acknowledged.add(child.stdout.readline().strip())
        child.send_signal(signal.SIGKILL)
        acknowledged |= set(child.communicate()[0].split())
    queue = DurableQueue(home)
    stored = [entry.id for entry in queue.unfinished()]
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))
    (home / "queue.sqlite").unlink()
    assert [entry.id for entry in DurableQueue(home).unfinished()] == stored


CLAIMER = """
import sys
from pathlib import Path
from greenai.adapters.store.queue import DurableQueue
from greenai.model.queue import Running
from tests.queue_world import NOON, moved
queue = DurableQueue(Path(sys.argv[1]), wait_s=60)
me, won = sys.argv[2], 0
for entry in queue.unfinished():
    won += queue.append([moved(entry, Running(run_id=f"{me}{entry.id}", started_at=NOON))])[0]
print(won)
"""


def test_two_processes_never_both_start_a_job(home):
    DurableQueue(home).enqueue([submission() for _ in range(40)], NOON)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, str(home), name], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )
        for name in ("a", "b")
    ]
    won = [int(racer.communicate()[0]) for racer in racers]
    assert sum(won) == 40
    runs = [entry.run_ids for entry in DurableQueue(home).unfinished()]
    assert [sum(names[0].startswith(name) for names in runs) for name in ("a", "b")] == won
    assert all(len(names) == 1 for names in runs)


def test_the_log_is_waited_for_and_the_database_is_not(tmp_path: Path) -> None:
    queue = DurableQueue(tmp_path)
    queue.enqueue([submission()], NOON)
    with queue._files.database.writing() as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA synchronous").fetchone() == (1,)
