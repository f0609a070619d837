"""The two files of the queue: kept open, written by many at once, and made equal again after whatever befell them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from tests.adapters.making import unprivileged
from tests.adapters.stored import filled
from tests.queue_world import HOUR, NOON, moved, submission

from greenai.adapters.store.queue import DurableQueue
from greenai.errors import StoreError
from greenai.model.queue import Held
from greenai.model.queue_lines import event_from_line

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path):
    return tmp_path / "state"


# One connection that stays open.


def test_the_database_stays_open_from_one_verb_to_the_next(home, monkeypatch):
    opened = []
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: opened.append(given) or real(*given, **more))
    queue = DurableQueue(home)
    for _ in range(5):
        (entry,) = queue.enqueue([submission()], NOON)
        assert queue.entries([entry.id]) == (entry,)
    assert len(opened) == 1
    queue.close()
    assert len(queue.unfinished()) == 5
    assert len(opened) == 2


def test_a_database_that_took_the_name_of_the_open_one_is_noticed(home):
    entries = filled(home)
    reader, writer = DurableQueue(home), DurableQueue(home)
    assert reader.unfinished() == writer.unfinished() == entries
    reader.release("nobody")
    writer.rebuild()
    assert (home / "queue.damaged-1.sqlite").exists(), "asked to, it makes a new one"
    (entry,) = writer.enqueue([submission()], NOON)
    assert writer.lease("a", NOON, NOON + HOUR / 12)
    assert reader.unfinished() == (*entries, entry)
    assert reader.holder(NOON) == "a", "there is one lease, in one database"
    reader.close()
    del reader
    (last,) = DurableQueue(home).enqueue([submission()], NOON)
    assert writer.unfinished() == (*entries, entry, last), "the log of the new database is not taken away with the old one"


READER = """
import sys
from pathlib import Path
from greenai.adapters.store.queue import DurableQueue
DurableQueue(Path(sys.argv[1])).counts()
"""


def test_a_second_queue_in_the_process_leaves_the_locks_of_the_first(home):
    """Locks belong to the process: whoever closes a descriptor of the file drops them, and others then remove the WAL in use."""
    first = DurableQueue(home)
    first.enqueue([submission()], NOON)
    DurableQueue(home).enqueue([submission()], NOON)
    subprocess.run([sys.executable, "-c", READER, str(home)], check=True, cwd=ROOT)
    assert (home / "queue.sqlite-wal").exists()
    assert len(first.unfinished()) == 2


def test_who_finds_the_damage_second_lets_the_new_database_be(home):
    entries = filled(home)
    first, second = DurableQueue(home), DurableQueue(home)
    assert first.unfinished() == second.unfinished() == entries
    first.rebuild()
    second.rebuild()
    assert [path.name for path in home.glob("*damaged*.sqlite")] == ["queue.damaged-1.sqlite"]
    assert second.unfinished() == entries


def test_threads_share_a_queue(home):
    queue = DurableQueue(home)

    def hand_over(number: int) -> list[str]:
        entries = [queue.enqueue([submission(name=f"{number}-{index}")], NOON)[0] for index in range(8)]
        return [queue.entries([entry.id])[0].submission.name for entry in entries]

    with ThreadPoolExecutor(4) as threads:
        names = list(threads.map(hand_over, range(4)))
    assert names == [[f"{number}-{index}" for index in range(8)] for number in range(4)]
    assert len(DurableQueue(home).unfinished()) == 32


def test_a_thread_waits_until_another_has_finished(home):
    entries = filled(home)
    queue, seen = DurableQueue(home), []
    reader = threading.Thread(target=lambda: seen.append(queue.unfinished()))
    with queue._files.changing() as turn:
        event = moved(entries[1], Held())
        queue._files.write(turn, [(event, queue._files.after(turn, event))])
        reader.start()
        reader.join(0.5)
    reader.join()
    assert isinstance(seen[0][1].status, Held)


FORKER = """
import os, sqlite3, sys
from pathlib import Path
from greenai.adapters.store.queue import DurableQueue
from tests.queue_world import NOON, submission
opened, real = [], sqlite3.connect
sqlite3.connect = lambda *given, **more: opened.append(os.getpid()) or real(*given, **more)
queue = DurableQueue(Path(sys.argv[1]), wait_s=60)
queue.enqueue([submission()], NOON)
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        for _ in range(10):
            queue.enqueue([submission()], NOON)
        os._exit(0 if len(queue.unfinished()) > 10 and opened[-1] == os.getpid() else 1)
    children.append(child)
for _ in range(10):
    queue.enqueue([submission()], NOON)
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
assert sorted(int(entry.id) for entry in queue.unfinished()) == list(range(1, 32))
"""


def test_a_process_that_forks_shares_no_connection(home):
    subprocess.run([sys.executable, "-c", FORKER, str(home)], check=True, cwd=ROOT)
    assert DurableQueue(home).counts() == {"queued": 31}
    with closing(sqlite3.connect(home / "queue.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# The disk is waited for without the lock.


def test_others_write_while_one_waits_for_the_disk(home, monkeypatch):
    queue, other = DurableQueue(home), DurableQueue(home, wait_s=0.5)
    filled(home)
    real, order = os.fdatasync, []

    def slow(descriptor: int) -> None:
        if not order:
            order.append("the first one waits")
            other.enqueue([submission(name="second")], NOON)
            order.append("the second one is done")
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    queue.enqueue([submission(name="first")], NOON)
    assert order == ["the first one waits", "the second one is done"]
    assert [entry.submission.name for entry in queue.unfinished()[3:]] == ["first", "second"]


def test_a_line_that_the_disk_refused_stays_where_others_wrote_behind_it(home, monkeypatch):
    queue, other = DurableQueue(home), DurableQueue(home)
    filled(home)
    real, failed = os.fdatasync, []

    def failing(descriptor: int) -> None:
        if failed:
            real(descriptor)
            return
        failed.append(descriptor)
        other.enqueue([submission(name="behind")], NOON)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", failing)
    with pytest.raises(StoreError, match="Input/output error") as failure:
        queue.enqueue([submission(name="refused")], NOON)
    assert "may be stored" in str(failure.value.hint)
    assert [entry.submission.name for entry in queue.unfinished()[3:]] == ["refused", "behind"]


def test_nothing_is_synced_where_nothing_was_written(home, monkeypatch):
    queue = DurableQueue(home)
    (entry,) = queue.enqueue([submission()], NOON)
    monkeypatch.setattr(os, "fdatasync", lambda _: pytest.fail("waited for the disk"))
    assert queue.lease("a", NOON, NOON + HOUR)
    assert queue.append([moved(entry, Held(), NOON)], holder="b") == (False,)


def test_the_name_of_a_new_log_is_made_durable_too(home, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    queue = DurableQueue(home)
    for _ in range(2):
        queue.enqueue([submission()], NOON)
    assert synced == [home]


# What a power cut leaves: the log has all that was acknowledged, the database what the kernel happened to write.


def states_of_the_database(home: Path, steps: int) -> list[dict[str, bytes]]:
    """The files of the database before each of some writes, as a disk may hold them when the power goes."""
    queue, states = DurableQueue(home), []
    for number in range(steps):
        names = [name for name in ("queue.sqlite", "queue.sqlite-wal") if (home / name).exists()]
        states.append({name: (home / name).read_bytes() for name in names})
        queue.enqueue([submission(name=str(number))], NOON)
    queue.close()
    return states


def put_back(home: Path, state: dict[str, bytes]) -> None:
    for path in home.glob("queue.sqlite*"):
        path.unlink()
    for name, body in state.items():
        (home / name).write_bytes(body)


def test_a_database_of_any_earlier_moment_is_caught_up_with(home):
    states = states_of_the_database(home, 6)
    body = (home / "queue.jsonl").read_bytes()
    for state in states:
        put_back(home, state)
        queue = DurableQueue(home)
        assert [entry.submission.name for entry in queue.unfinished()] == list("012345")
        assert queue.repairs == []
        (entry,) = queue.enqueue([submission()], NOON)
        assert entry.id == "7"
        queue.close()
        (home / "queue.jsonl").write_bytes(body)


@pytest.mark.parametrize("torn", ["cut", "zeros", "noise"])
def test_a_torn_end_of_the_databases_own_log_is_caught_up_with(home, torn):
    *_, state = states_of_the_database(home, 6)
    wal = state["queue.sqlite-wal"]
    kept = wal[: len(wal) * 2 // 3]
    lost = len(wal) - len(kept)
    put_back(home, {**state, "queue.sqlite-wal": kept + {"cut": b"", "zeros": bytes(lost), "noise": os.urandom(lost)}[torn]})
    assert [entry.submission.name for entry in DurableQueue(home).unfinished()] == list("012345")


def test_torn_pages_are_found_kept_aside_and_built_anew(home):
    """A disk that lies about syncing may keep some new pages of a database and lose others."""
    states_of_the_database(home, 6)
    path = home / "queue.sqlite"
    body = path.read_bytes()
    for page in range(1, len(body) // 4096):
        path.write_bytes(body[: page * 4096] + bytes(4096) + body[(page + 1) * 4096 :])
        queue = DurableQueue(home)
        queue.check()
        assert [entry.submission.name for entry in queue.unfinished()] == list("012345")
        queue.close()
        for kept in home.glob("queue*sqlite*"):
            kept.unlink()


def test_an_event_that_only_the_database_has_was_acknowledged_to_nobody_and_stays(home):
    """The kernel wrote the database's pages first: the log lacks the last line, which nobody was told is stored."""
    states_of_the_database(home, 3)
    log = home / "queue.jsonl"
    whole = log.read_bytes()
    log.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    queue = DurableQueue(home)
    assert [entry.submission.name for entry in queue.unfinished()] == list("012")
    assert log.read_bytes() == whole
    assert not list(home.glob("*damaged*"))


def test_what_a_log_held_instead_is_kept(home):
    entries = filled(home)
    log = home / "queue.jsonl"
    whole = log.read_bytes()
    log.write_bytes(b"somebody's notes\n")
    queue = DurableQueue(home)
    assert queue.unfinished() == entries
    assert log.read_bytes() == whole
    assert (home / "queue.damaged-1.jsonl").read_bytes() == b"somebody's notes\n"
    assert "kept as queue.damaged-1.jsonl" in queue.repairs[0]


def test_a_database_of_another_log_is_built_anew(home, tmp_path):
    filled(home)
    other = tmp_path / "other"
    DurableQueue(other).enqueue([submission(name=f"other {number}") for number in range(20)], NOON)
    (home / "queue.jsonl").write_bytes((other / "queue.jsonl").read_bytes())
    queue = DurableQueue(home)
    assert [entry.submission.name for entry in queue.unfinished()] == [f"other {number}" for number in range(20)]
    assert "built anew" in queue.repairs[0]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE job SET standing = '{\"status\":\"wai' WHERE id = '1'",
        "UPDATE job SET command = '[\"python\"] x' WHERE id = '1'",
        "UPDATE job SET worked_s = 'long' WHERE id = '1'",
        "UPDATE common SET document = '[]'",
        "DELETE FROM common",
    ],
)
def test_a_row_that_holds_no_job_is_damage_and_is_mended(home, damage):
    entries = filled(home)
    with closing(sqlite3.connect(home / "queue.sqlite", isolation_level=None)) as database:
        database.execute(damage)
    queue = DurableQueue(home)
    assert queue.unfinished() == entries
    assert "queue.sqlite was damaged" in queue.repairs[0]


# The schema before: documents of whole submissions and states.

SCHEMA_1 = """
CREATE TABLE job (
    place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, number INTEGER NOT NULL, status TEXT NOT NULL, over INTEGER NOT NULL,
    start_at TEXT, changed_at TEXT NOT NULL, version INTEGER NOT NULL, words TEXT NOT NULL, submission TEXT NOT NULL,
    state TEXT NOT NULL
);
CREATE INDEX job_by_number ON job (number);
CREATE INDEX job_unfinished ON job (place) WHERE over = 0;
CREATE INDEX job_by_status ON job (status, changed_at);
CREATE TABLE event (
    place INTEGER PRIMARY KEY, job_id TEXT NOT NULL, version INTEGER NOT NULL, line BLOB NOT NULL, UNIQUE (job_id, version)
);
CREATE TABLE applied (bytes INTEGER NOT NULL);
CREATE TABLE lease (holder TEXT NOT NULL, until_at TEXT NOT NULL);
PRAGMA user_version = 1;
"""


@pytest.mark.parametrize("has_log", [True, False])
def test_a_database_of_the_first_schema_is_brought_up_to_date(home, has_log):
    entries = filled(home)
    lines = (home / "queue.jsonl").read_bytes().splitlines(keepends=True)
    (home / "queue.sqlite").unlink()
    with closing(sqlite3.connect(home / "queue.sqlite", isolation_level=None)) as database:
        database.executescript(SCHEMA_1)
        for line in lines:
            event = event_from_line(line)
            database.execute("INSERT INTO event (job_id, version, line) VALUES (?, ?, ?)", (event.job_id, event.version, line))
            if event.version == 1:
                row = (event.job_id, int(event.job_id), "queued", 0, "", 1, "", "{}", "{}")
                columns = "id, number, status, over, changed_at, version, words, submission, state"
                database.execute(f"INSERT INTO job ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        database.execute("INSERT INTO applied VALUES (?)", (sum(map(len, lines)),))
        database.execute("INSERT INTO lease VALUES ('daemon', '2026-11-24T12:05:00Z')")
    if not has_log:
        (home / "queue.jsonl").unlink()
    queue = DurableQueue(home)
    assert queue.unfinished() == entries
    assert queue.events("1")[-1].reason == "cheap at one"
    assert queue.holder(NOON) == "daemon"
    assert (home / "queue.jsonl").read_bytes() == b"".join(lines)
    assert bool(queue.repairs) is not has_log


# What the system refuses.

FILLED_UP = """
import resource, sys
from pathlib import Path
from greenai.adapters.store.queue import DurableQueue
from greenai.errors import StoreError
from tests.queue_world import NOON, submission
home, limit = Path(sys.argv[1]), int(sys.argv[2])
queue = DurableQueue(home)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for _ in range(10_000):
    try:
        print(queue.enqueue([submission()], NOON)[0].id, flush=True)
    except StoreError as error:
        assert error.hint
        break
else:
    sys.exit("the limit was never met")
"""


@pytest.mark.parametrize("limit", [3_000, 40_000, 150_000, 400_000])
def test_a_disk_that_takes_no_more_loses_nothing_it_had(home, limit):
    """A limit on the size of files fails writes as a full disk does: of the log, of the database, or of its own log."""
    filled(home)
    run = subprocess.run(
        [sys.executable, "-c", FILLED_UP, str(home), str(limit)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    acknowledged = ["1", "2", "3", *run.stdout.split()]
    queue = DurableQueue(home)
    assert [entry.id for entry in queue.unfinished()] == acknowledged
    assert queue.repairs == []
    assert len((home / "queue.jsonl").read_bytes().splitlines()) == len(acknowledged) + 1
    assert queue.enqueue([submission()], NOON)[0].id == str(len(acknowledged) + 1)


def test_a_read_only_home_is_read_and_not_written(tmp_path):
    home = Path(tempfile.mkdtemp())
    entries = filled(home)
    (home / "queue.jsonl").chmod(0o444)
    (home / "queue.sqlite").chmod(0o444)
    home.chmod(0o555)
    try:
        with unprivileged():
            queue = DurableQueue(home)
            assert queue.unfinished() == entries
            assert queue.page(limit=2) == entries[:2]
            assert queue.counts() == {"queued": 2, "waiting": 1}
            with pytest.raises(StoreError, match="cannot be opened: Permission denied") as failure:
                queue.enqueue([submission()], NOON)
            assert "GREENAI_HOME" in str(failure.value.hint)
    finally:
        home.chmod(0o755)
        shutil.rmtree(home)
