"""Run directories: one holder at a time, lines that survive, and a lock that dies with its process."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys

import pytest

from greenai.adapters import runs as door
from greenai.adapters.runs import RunDirectories
from greenai.errors import InputError, StoreError


@pytest.fixture
def seconds():
    return [0.0]


@pytest.fixture
def runs(tmp_path, seconds):
    return RunDirectories(tmp_path / "home", monotonic=lambda: seconds[0])


@pytest.fixture
def synced(monkeypatch):
    calls = []
    fsync = os.fsync
    monkeypatch.setattr(door.os, "fsync", lambda descriptor: calls.append(descriptor) or fsync(descriptor))
    return calls


def test_no_runs_yet(runs):
    assert runs.run_ids() == ()
    assert runs.body("never") == b""


def test_lines_are_on_file_as_soon_as_they_are_written(runs):
    spool = runs.claim("run-1")
    for line in (b"one\n", b"two\n"):
        spool.write(line)
    assert runs.body("run-1") == b"one\ntwo\n"
    spool.close()
    assert runs.body("run-1") == b"one\ntwo\n"


def test_only_the_owner_may_look(runs, tmp_path):
    spool = runs.claim("run-1")
    spool.write(b"x\n")
    place = tmp_path / "home" / "runs" / "run-1"
    for directory in (place, place.parent, place.parent.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((place / "samples.jsonl").stat().st_mode) == 0o600
    spool.close()


def test_a_claim_without_a_line_leaves_no_samples(runs, tmp_path):
    runs.claim("run-1").close()
    assert [path.name for path in (tmp_path / "home" / "runs" / "run-1").iterdir()] == ["run.lock"]


def test_a_held_run_is_not_given_twice(runs, tmp_path):
    first = runs.claim("run-1")
    assert runs.claim("run-1") is None
    assert RunDirectories(tmp_path / "home").claim("run-1") is None
    other = runs.claim("run-2")
    assert other is not None
    first.close()
    again = runs.claim("run-1")
    assert again is not None
    for spool in (again, other):
        spool.close()


def test_closing_twice_is_nothing(runs):
    spool = runs.claim("run-1")
    spool.close()
    spool.close()
    assert spool.closed
    with pytest.raises(StoreError, match="closed"):
        spool.write(b"x\n")


def test_lines_go_to_the_disk_once_a_minute(runs, seconds, synced):
    spool = runs.claim("run-1")
    for moment in (0, 59.9, 60, 61, 119, 120.5):
        seconds[0] = moment
        spool.write(b"x\n")
    assert len(synced) == 2
    spool.close()
    assert len(synced) == 3


def test_what_evidence_will_rest_on_is_on_the_disk(runs, synced):
    spool = runs.claim("run-1")
    spool.write(b"x\n")
    runs.body("run-1")
    assert len(synced) == 1
    spool.close()
    runs.body("run-1")
    assert len(synced) == 2, "of a run nobody here holds, reading is just reading"


def test_a_line_torn_by_an_earlier_death_is_cut_off(runs, tmp_path):
    spool = runs.claim("run-1")
    spool.write(b"one\n")
    spool.close()
    with (tmp_path / "home" / "runs" / "run-1" / "samples.jsonl").open("ab") as file:
        file.write(b"to")
    assert runs.body("run-1") == b"one\nto"
    spool = runs.claim("run-1")
    spool.write(b"three\n")
    spool.close()
    assert runs.body("run-1") == b"one\nthree\n"


def test_a_full_disk_leaves_whole_lines(runs):
    spool = runs.claim("run-1")
    spool.write(b"one\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, limits[1]))
    try:
        with pytest.raises(StoreError, match="cannot be written: File too large"):
            spool.write(b"0123456789\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert runs.body("run-1") == b"one\n"
    spool.write(b"two\n")
    spool.close()
    assert runs.body("run-1") == b"one\ntwo\n"


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".", "..", ".hidden", "a" * 200, "x\n"])
def test_an_id_that_is_no_plain_name_is_refused(runs, run_id):
    with pytest.raises(InputError, match="no run id"):
        runs.claim(run_id)
    with pytest.raises(InputError, match="no run id"):
        runs.body(run_id)


def test_run_ids_are_sorted_and_strangers_left_out(runs, tmp_path):
    for run_id in ("b", "a"):
        runs.claim(run_id).close()
    (tmp_path / "home" / "runs" / ".DS_Store").touch()
    assert runs.run_ids() == ("a", "b")


def test_a_home_that_is_no_directory(tmp_path):
    (tmp_path / "file").write_text("")
    runs = RunDirectories(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot be made"):
        runs.claim("run-1")
    with pytest.raises(StoreError, match="cannot be read"):
        runs.body("run-1")
    with pytest.raises(StoreError, match="cannot be read"):
        runs.run_ids()


HOLDER = """
import subprocess, sys
from pathlib import Path
from greenai.adapters.runs import RunDirectories
spool = RunDirectories(Path(sys.argv[1])).claim("run-1")
spool.write(b"one\\n")
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_the_lock_dies_with_its_process_whatever_its_children_do(runs, tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "home")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        child = int(holder.stdout.readline())
        assert runs.claim("run-1") is None, "a living process holds it"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        spool = runs.claim("run-1")
        os.kill(child, signal.SIGKILL)
    assert spool is not None
    assert runs.body("run-1") == b"one\n"
    spool.close()
