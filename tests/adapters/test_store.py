"""The archive: what is kept comes back as it was, whatever happens to the disk and beside it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.making import NOW, payload, query, unprivileged

from greenai.adapters.store.archive import SqliteArchive
from greenai.errors import EvidenceDamaged, StoreError

HOUR = timedelta(hours=1)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "state" / "archive.sqlite"


@pytest.fixture(params=["file", "memory"])
def archive(request, path) -> SqliteArchive:
    return SqliteArchive(path if request.param == "file" else ":memory:")


def bodies(archive, *, not_after=NOW, zone="GB", purpose="forecast", provider="uk"):
    return [[part.body for part in parts] for _, parts in archive.answers(provider, zone, purpose, not_after)]


def troubled(trouble, kind=StoreError):
    with pytest.raises(kind) as caught:
        trouble()
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


# What is kept.


def test_an_answer_comes_back_as_it_was(archive):
    asked = query(hours=48, now_at=NOW + timedelta(microseconds=7))
    parts = [payload(b"one", url="https://grid.example/1"), payload(b"\x00\xff", fetched_at=NOW + timedelta(microseconds=1))]
    archive.keep("uk", asked, parts)
    assert list(archive.answers("uk", "GB", "forecast", NOW + HOUR)) == [(asked, tuple(parts))]
    assert archive.payload(parts[1].sha256) == parts[1]


def test_an_archive_not_begun_is_empty_and_stays_unbegun(path):
    archive = SqliteArchive(path)
    assert bodies(archive) == []
    assert archive.payload("ab" * 32) is None
    assert not path.parent.exists()


def test_an_empty_file_is_an_archive_not_begun(path):
    path.parent.mkdir()
    path.touch()
    assert bodies(SqliteArchive(path)) == []
    SqliteArchive(path).keep("uk", query(), [payload("a")])
    assert bodies(SqliteArchive(path)) == [[b"a"]]


def test_answers_come_newest_first_up_to_a_moment(archive):
    for hours in (2, 0, 3, 1):
        archive.keep("uk", query(), [payload(f"{hours}", fetched_at=NOW + hours * HOUR)])
    assert bodies(archive, not_after=NOW + 2 * HOUR) == [[b"2"], [b"1"], [b"0"]]
    assert bodies(archive, not_after=NOW - HOUR) == []


def test_answers_of_one_moment_come_the_later_kept_first(archive):
    archive.keep("uk", query(), [payload("a")])
    archive.keep("uk", query(), [payload("b")])
    assert bodies(archive) == [[b"b"], [b"a"]]


def test_answers_are_kept_apart_by_provider_zone_and_purpose(archive):
    archive.keep("uk", query("GB"), [payload("a")])
    archive.keep("uk", query("GB-13"), [payload("b")])
    archive.keep("uk", query("GB", purpose="observed"), [payload("c")])
    archive.keep("csv", query("GB"), [payload("d")])
    assert bodies(archive) == [[b"a"]]
    assert bodies(archive, zone="GB-13") == [[b"b"]]
    assert bodies(archive, purpose="observed") == [[b"c"]]
    assert bodies(archive, provider="csv") == [[b"d"]]


def test_times_of_other_zones_are_the_same_moments(archive):
    plus_5 = timezone(5 * HOUR)
    archive.keep("uk", query(start_at=NOW.astimezone(plus_5)), [payload("a", fetched_at=NOW.astimezone(plus_5))])
    ((asked, (part,)),) = archive.answers("uk", "GB", "forecast", NOW.astimezone(timezone(-3 * HOUR)))
    assert (asked.start_at, part.fetched_at) == (NOW, NOW)


def test_a_body_is_kept_once_and_remembers_when_it_was_first_read(path):
    archive = SqliteArchive(path)
    for hours in (1, 0, 2):
        archive.keep("uk", query(), [payload("same" * 10_000, fetched_at=NOW + hours * HOUR)])
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*), max(length(compressed)) < 1000 FROM body").fetchone() == (1, 1)
        assert database.execute("SELECT issued_slot_at FROM answer WHERE id = 1").fetchone() == ("2026-11-24T11:30:00.000000Z",)
    database.close()
    assert archive.payload(payload("same" * 10_000).sha256).fetched_at == NOW


def test_an_answer_without_payloads_is_kept_at_its_moment(archive):
    archive.keep("uk", query(), [])
    assert bodies(archive) == [[]]


def test_reading_may_stop_half_way(archive):
    for number in range(3):
        archive.keep("uk", query(), [payload(str(number))])
    answers = archive.answers("uk", "GB", "forecast", NOW)
    next(answers)
    answers.close()
    archive.keep("uk", query(), [payload("3")])
    assert len(bodies(archive)) == 4


@given(body=st.binary(max_size=2000))
def test_every_body_comes_back_byte_for_byte(body):
    archive = SqliteArchive(":memory:")
    archive.keep("uk", query(), [payload(body)])
    assert archive.payload(payload(body).sha256).body == body


# Several at once.

WRITER = """
import sys
from pathlib import Path
from greenai.adapters.store.archive import SqliteArchive
from tests.adapters.making import payload, query
archive = SqliteArchive(Path(sys.argv[1]), wait_s=60)
for number in range(int(sys.argv[3])):
    archive.keep("uk", query(), [payload(f"{sys.argv[2]}-{number}"), payload("common")])
    print(number, flush=True)
"""
ROOT = Path(__file__).parents[2]


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_processes_that_begin_and_write_at_once_lose_nothing(path):
    writers = [writer(path, name, 10) for name in "abc"]
    for process in writers:
        process.communicate()
        assert process.returncode == 0
    kept = {parts[0] for parts in bodies(SqliteArchive(path))}
    assert kept == {f"{name}-{number}".encode() for name in "abc" for number in range(10)}


def test_a_writer_killed_at_work_leaves_what_it_had_kept(path):
    process = writer(path, "a", 100_000)
    kept = [process.stdout.readline() for _ in range(5)]
    process.send_signal(signal.SIGKILL)
    kept += process.communicate()[0].splitlines()
    archive = SqliteArchive(path)
    assert {f"a-{int(line)}".encode() for line in kept} <= {parts[0] for parts in bodies(archive)}
    archive.keep("uk", query(), [payload("after")])
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_threads_share_an_archive(path):
    archive = SqliteArchive(path, wait_s=60)
    threads = [threading.Thread(target=archive.keep, args=("uk", query(), [payload(str(number))])) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {parts[0] for parts in bodies(archive)} == {str(number).encode() for number in range(8)}


def test_a_reader_is_not_kept_waiting_by_a_writer(path):
    archive = SqliteArchive(path, wait_s=0.05)
    archive.keep("uk", query(), [payload("a")])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert bodies(archive) == [[b"a"]]
    error = troubled(lambda: archive.keep("uk", query(), [payload("b")]))
    other.close()
    assert "another process holds it" in str(error)
    archive.keep("uk", query(), [payload("b")])


# What goes wrong.


def test_a_file_that_is_no_database(path):
    path.parent.mkdir()
    path.write_bytes(b"this is not a database, it is a sentence\n" * 100)
    archive = SqliteArchive(path)
    for trouble in (lambda: bodies(archive), lambda: archive.keep("uk", query(), []), lambda: archive.payload("ab")):
        error = troubled(trouble)
        assert f"the archive {path} cannot be" in str(error)
        assert "move the file away" in error.hint
    assert path.read_bytes().startswith(b"this is not")


def test_a_database_with_torn_pages(path):
    archive = SqliteArchive(path)
    archive.keep("uk", query(), [payload(os.urandom(60_000))])
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    error = troubled(lambda: bodies(archive))
    assert "damaged" in str(error)


@pytest.mark.parametrize("damage", [b"garbage", None, 7, "zlib of another body"])
def test_a_changed_body_is_named(path, damage):
    archive = SqliteArchive(path)
    kept = payload("a")
    archive.keep("uk", query(), [kept])
    archive.keep("uk", query(), [payload("b")])
    with sqlite3.connect(path) as database:
        if damage == "zlib of another body":
            other = database.execute("SELECT compressed FROM body WHERE sha256 <> ?", (kept.sha256,)).fetchone()[0]
        else:
            other = damage if damage is not None else b""
        database.execute("UPDATE body SET compressed = ? WHERE sha256 = ?", (other, kept.sha256))
    database.close()
    for trouble in (lambda: archive.payload(kept.sha256), lambda: bodies(archive)):
        assert kept.sha256[:12] in str(troubled(trouble, EvidenceDamaged))
    assert archive.payload(payload("b").sha256).body == b"b"


def test_an_archive_of_a_later_version(path):
    archive = SqliteArchive(path)
    archive.keep("uk", query(), [])
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    for trouble in (lambda: bodies(archive), lambda: archive.keep("uk", query(), [])):
        assert "newer greenai" in str(troubled(trouble))


def test_a_home_that_is_a_file(tmp_path):
    (tmp_path / "home").touch()
    archive = SqliteArchive(tmp_path / "home" / "archive.sqlite")
    assert "cannot be written" in str(troubled(lambda: archive.keep("uk", query(), [])))
    assert bodies(archive) == []


FULL = """
import resource, sys
from pathlib import Path
from greenai.adapters.store.archive import SqliteArchive
from greenai.errors import StoreError
from tests.adapters.making import payload, query
import os
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
archive = SqliteArchive(Path(sys.argv[1]))
try:
    archive.keep("uk", query(), [payload(os.urandom(1_000_000))])
except StoreError as error:
    print(f"{error} | {error.hint}")
"""


def test_a_disk_that_takes_no_more(path):
    """A file-size limit fails writes as a full disk does."""
    archive = SqliteArchive(path)
    archive.keep("uk", query(), [payload("before")])
    run = subprocess.run([sys.executable, "-c", FULL, str(path)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"the archive {path} cannot be written: " in run.stdout
    assert " | " in run.stdout
    assert bodies(archive) == [[b"before"]]
    archive.keep("uk", query(), [payload("after")])
    assert bodies(archive) == [[b"after"], [b"before"]]


@pytest.fixture
def public_path() -> Iterator[Path]:
    """An archive with one answer in a directory everyone may look into."""
    home = Path(tempfile.mkdtemp())
    SqliteArchive(home / "archive.sqlite").keep("uk", query(), [payload("a")])
    yield home / "archive.sqlite"
    home.chmod(0o755)
    shutil.rmtree(home)


def test_a_read_only_home_is_read_and_not_written(public_path):
    public_path.chmod(0o444)
    public_path.parent.chmod(0o555)
    archive = SqliteArchive(public_path)
    with unprivileged():
        assert bodies(archive) == [[b"a"]]
        assert archive.payload(payload("a").sha256).body == b"a"
        error = troubled(lambda: archive.keep("uk", query(), [payload("b")]))
    assert "cannot be written" in str(error)
    assert "GREENAI_HOME" in error.hint


def test_a_home_closed_to_us(public_path):
    public_path.parent.chmod(0o000)
    archive = SqliteArchive(public_path)
    with unprivileged():
        for trouble in (lambda: bodies(archive), lambda: archive.keep("uk", query(), [])):
            assert "GREENAI_HOME" in troubled(trouble).hint


def test_the_home_is_made_for_its_owner_alone(path):
    SqliteArchive(path).keep("uk", query(), [])
    assert path.parent.stat().st_mode & 0o077 == 0


def test_the_database_is_its_owners_alone_wherever_it_lies(path):
    path.parent.mkdir(mode=0o755)
    path.parent.chmod(0o755)
    archive = SqliteArchive(path)
    archive.keep("uk", query(), [])
    with archive._file.writing() as database:
        database.execute("CREATE TABLE more (number)")
        modes = {each.name: each.stat().st_mode & 0o077 for each in path.parent.iterdir()}
    assert len(modes) > 1, "the journal lies beside it"
    assert set(modes.values()) == {0}, modes


def test_moments_need_a_time_zone(archive):
    with pytest.raises(ValueError, match="no time zone"):
        archive.keep("uk", query(start_at=datetime(2026, 1, 1)), [])  # noqa: DTZ001
