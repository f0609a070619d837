"""The ledger file under everything that happens to files: many writers, full disks, torn lines, lost rows, kill -9."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenai.adapters import ledger as door
from greenai.adapters.ledger import FileLedger
from greenai.errors import EvidenceDamaged, InputError, StoreError
from greenai.logic.chain import read_chain
from greenai.model.evidence import Head

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path):
    return FileLedger(tmp_path / "state" / "greenai")


def problems(ledger):
    return read_chain(ledger.lines(), ledger.head()).problems


def fill(ledger, count=3):
    return [ledger.append("note", {"number": number}, AT) for number in range(count)]


def test_nothing_is_an_empty_ledger(ledger):
    assert list(ledger.records()) == []
    assert ledger.head() is None


def test_what_is_appended_is_read_back(ledger):
    records = fill(ledger)
    assert list(ledger.records()) == records
    assert ledger.head() == Head(seq=3, sha256=records[-1].sha256)
    assert problems(ledger) == ()


def test_only_the_owner_may_look(ledger):
    fill(ledger, 1)
    for path, mode in ((ledger.path.parent, 0o700), (ledger.path, 0o600), (ledger.path.with_suffix(".head"), 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_line_longer_than_the_tail_read(ledger):
    first = ledger.append("note", {"text": "x" * (3 * door.TAIL_BYTES)}, AT)
    second = ledger.append("note", {"number": 2}, AT)
    assert second.prev_sha256 == first.sha256
    assert problems(ledger) == ()


def test_what_is_no_json_is_refused_and_nothing_written(ledger):
    fill(ledger, 1)
    before = ledger.path.read_bytes()
    for payload in ({"x": float("nan")}, {"x": 2**60}, {"x": "\udce9"}):
        with pytest.raises(InputError, match="canonical JSON"):
            ledger.append("note", payload, AT)
    assert ledger.path.read_bytes() == before


def test_records_while_appending(ledger):
    fill(ledger)
    for record in ledger.records():
        ledger.append("note", {"about": record.seq}, AT)
    assert len(list(ledger.records())) == 6
    assert problems(ledger) == ()


def test_a_line_that_is_no_record_is_named(ledger):
    fill(ledger)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(lines[0] + b"rubbish\n" + lines[2])
    with pytest.raises(EvidenceDamaged, match=r"ledger\.jsonl, line 2: not a ledger record") as caught:
        list(ledger.records())
    assert "verify" in caught.value.hint


@pytest.mark.parametrize("torn", [b"x", b'{"payload":{"a":1', b"\x00" * 4096, b"y" * (2 * door.TAIL_BYTES)])
def test_a_torn_last_line_is_set_aside_and_said(ledger, torn):
    fill(ledger)
    with ledger.path.open("ab") as file:
        file.write(torn)
    assert len(list(ledger.records())) == 3, "a reader leaves it out"
    assert problems(ledger) == (), "it is no damage, a power cut leaves it"
    ledger.append("note", {"number": 4}, AT)
    note, record = list(ledger.records())[3:]
    assert note.payload["about"] == "torn line"
    assert note.payload["bytes"] == len(torn)
    assert (ledger.path.parent / note.payload["file"]).read_bytes() == torn
    assert record.payload == {"number": 4}
    assert problems(ledger) == ()


def test_each_torn_line_has_its_own_file(ledger):
    for number in (1, 2):
        fill(ledger, 1)
        with ledger.path.open("ab") as file:
            file.write(f"torn {number}".encode())
    fill(ledger, 1)
    assert [path.name for path in sorted(ledger.path.parent.glob("ledger.torn-*"))] == ["ledger.torn-1", "ledger.torn-2"]


def test_a_ledger_torn_in_its_first_line(ledger):
    fill(ledger, 1)
    ledger.path.write_bytes(ledger.path.read_bytes()[:10])
    ledger.path.with_suffix(".head").unlink()
    ledger.append("note", {"number": 1}, AT)
    assert [record.payload.get("about", record.payload.get("number")) for record in ledger.records()] == ["torn line", 1]
    assert problems(ledger) == ()


def cut_last_row(ledger):
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(b"".join(lines[:-1]))


def test_deleted_last_rows_show_at_once_and_for_ever(ledger):
    gone = fill(ledger)[-1]
    cut_last_row(ledger)
    assert "rows 3 to 3 are missing at the end" in problems(ledger)[0]
    ledger.append("note", {"number": 4}, AT)
    note = list(ledger.records())[2]
    assert note.payload["about"] == "rows missing"
    assert (note.payload["head_seq"], note.payload["head_sha256"]) == (3, gone.sha256)


def test_a_replaced_last_row_is_noted_by_the_next_append(ledger, tmp_path):
    fill(ledger)
    other = FileLedger(tmp_path / "other")
    for number in (0, 1, "forged"):
        other.append("note", {"number": number}, AT)
    ledger.path.write_bytes(other.path.read_bytes())
    assert "it was replaced" in problems(ledger)[0]
    fill(ledger, 1)
    assert "was not the row that ledger.head named" in list(ledger.records())[3].payload["text"]


def test_a_missing_head_is_noted_before_it_is_made_anew(ledger):
    fill(ledger)
    ledger.path.with_suffix(".head").unlink()
    assert "ledger.head is missing" in problems(ledger)[0]
    fill(ledger, 1)
    assert list(ledger.records())[3].payload["about"] == "rows missing"


def test_a_missing_head_after_one_row_is_a_crash(ledger):
    fill(ledger, 1)
    ledger.path.with_suffix(".head").unlink()
    fill(ledger, 1)
    assert [record.payload for record in ledger.records()] == [{"number": 0}, {"number": 0}]


@pytest.mark.parametrize("body", [b"", b"{}", b"x", b'{"seq":"3","sha256":"a"}', b'{"seq":3,"sha256":null}', b"[1]", b"\xff"])
def test_a_damaged_head_is_named_and_noted(ledger, body):
    fill(ledger)
    ledger.path.with_suffix(".head").write_bytes(body)
    with pytest.raises(EvidenceDamaged, match=r"ledger\.head is damaged"):
        ledger.head()
    fill(ledger, 1)
    assert list(ledger.records())[3].payload["about"] == "rows missing"


@pytest.mark.parametrize("spoil", [lambda line: line.replace(b'"number":2', b'"number":3'), lambda _line: b"rubbish\n"])
def test_nothing_follows_a_damaged_last_row(ledger, spoil):
    fill(ledger)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(b"".join([*lines[:2], spoil(lines[2])]))
    before = ledger.path.read_bytes()
    with pytest.raises(EvidenceDamaged, match="last row") as caught:
        fill(ledger, 1)
    assert "greenai evidence verify" in caught.value.hint
    assert ledger.path.read_bytes() == before


@contextmanager
def largest_file(limit):
    """No file of this process may grow beyond so many bytes: the nearest to a full disk that needs no root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_ledger_as_it_was(ledger):
    fill(ledger)
    before, head = ledger.path.read_bytes(), ledger.head()
    with largest_file(len(before) + 50), pytest.raises(StoreError, match="cannot be written: File too large") as caught:
        ledger.append("note", {"text": "x" * 500}, AT)
    assert "free space" in caught.value.hint
    assert ledger.path.read_bytes() == before
    assert ledger.head() == head
    fill(ledger, 1)
    assert problems(ledger) == ()


def test_a_full_disk_that_takes_nothing_at_all(ledger):
    fill(ledger)
    before = ledger.path.read_bytes()
    with largest_file(0), pytest.raises(StoreError):
        fill(ledger, 1)
    assert ledger.path.read_bytes() == before
    fill(ledger, 1)
    assert problems(ledger) == ()


def test_a_torn_line_stays_while_the_disk_has_no_room_to_set_it_aside(ledger):
    fill(ledger)
    with ledger.path.open("ab") as file:
        file.write(b"torn")
    before = ledger.path.read_bytes()
    with largest_file(2), pytest.raises(StoreError):
        fill(ledger, 1)
    assert ledger.path.read_bytes() == before
    fill(ledger, 1)
    assert problems(ledger) == ()
    assert [record.payload.get("bytes") for record in ledger.records()] == [None, None, None, 4, None]


FULL_DISK = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from greenai.adapters.ledger import FileLedger
from greenai.errors import StoreError
from greenai.logic.chain import read_chain
ledger = FileLedger(Path(sys.argv[1]))
written = 0
try:
    while True:
        ledger.append("note", {"text": "x" * 3000}, datetime(2026, 11, 24, tzinfo=UTC))
        written += 1
except StoreError as error:
    assert "No space left" in str(error), error
for _ in range(3):
    try:
        ledger.append("note", {"text": "x" * 30000}, datetime(2026, 11, 24, tzinfo=UTC))
    except StoreError:
        pass
records = list(ledger.records())
assert len(records) == written, (len(records), written)
assert read_chain(ledger.lines(), ledger.head()).problems == ()
print(written)
"""


def run_python(script, *arguments, **options):
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True, **options)


def can_mount():
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        os.geteuid() == 0
        and bool(shutil.which("unshare"))
        and subprocess.run(command, check=False, capture_output=True).returncode == 0
    )


@pytest.mark.skipif(not can_mount(), reason="a small disk needs root and a mount namespace of its own")
def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=128k none {disk} && exec {sys.executable} -c "$0" {disk}'
    done = subprocess.run(["unshare", "--mount", "sh", "-c", mount, FULL_DISK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


AS_NOBODY = """
import os, sys
from datetime import datetime, UTC
from pathlib import Path
from greenai.adapters.ledger import FileLedger
from greenai.errors import StoreError
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
ledger = FileLedger(Path(sys.argv[1]))
print(len(list(ledger.records())))
try:
    ledger.append("note", {}, datetime(2026, 11, 24, tzinfo=UTC))
except StoreError as error:
    print(error, "|", error.hint)
"""


def test_a_home_that_may_only_be_read():
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        ledger = FileLedger(Path(place) / "home")
        fill(ledger)
        for path in ledger.path.parent.iterdir():
            path.chmod(0o444)
        ledger.path.parent.chmod(0o555)
        out, _ = run_python(AS_NOBODY, ledger.path.parent).communicate()
        ledger.path.parent.chmod(0o755)
    assert out.splitlines()[0] == "3"
    assert "cannot be written: Permission denied | free space or mend the permissions" in out


def test_a_home_that_is_no_directory(tmp_path):
    (tmp_path / "file").write_text("")
    ledger = FileLedger(tmp_path / "file" / "home")
    with pytest.raises(StoreError, match="cannot be written"):
        fill(ledger, 1)
    with pytest.raises(StoreError, match="cannot be read"):
        list(ledger.records())


WRITER = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from greenai.adapters.ledger import FileLedger
ledger = FileLedger(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    payload = {"writer": sys.argv[2], "number": number, "text": "x" * 500}
    record = ledger.append("note", payload, datetime(2026, 11, 24, tzinfo=UTC))
    print(record.seq, record.sha256, flush=True)
"""


def test_many_processes_write_at_once(ledger):
    writers = [run_python(WRITER, ledger.path.parent, name, 25) for name in range(6)]
    acknowledged = [line for writer in writers for line in writer.communicate()[0].splitlines()]
    records = list(ledger.records())
    assert problems(ledger) == ()
    assert sorted(acknowledged) == sorted(f"{record.seq} {record.sha256}" for record in records)
    for name in range(6):
        own = [record.payload["number"] for record in records if record.payload["writer"] == str(name)]
        assert own == list(range(25)), "each writer's rows in its own order"


def test_threads_of_one_process_write_at_once(ledger):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: fill(ledger, 5), range(8)))
    assert len(list(ledger.records())) == 40
    assert problems(ledger) == ()


def test_kill_9_loses_nothing_that_was_acknowledged(ledger):
    acknowledged = []
    for acknowledgements in (1, 2, 3, 5, 8, 13, 2, 4):
        with run_python(WRITER, ledger.path.parent, "a", 1000) as writer:
            acknowledged += [writer.stdout.readline() for _ in range(acknowledgements)]
            writer.send_signal(signal.SIGKILL)
            acknowledged += writer.stdout.readlines()
        assert problems(ledger) == ()
    fill(ledger, 1)
    stored = {f"{record.seq} {record.sha256}" for record in ledger.records()}
    assert {line.strip() for line in acknowledged if line.endswith("\n")} <= stored
    assert len(stored) >= 8
    assert problems(ledger) == ()


def test_appending_to_a_long_ledger_reads_its_end_only(ledger, monkeypatch):
    fill(ledger, 1)
    line = ledger.path.read_bytes()
    ledger.path.write_bytes(b"x" * 5_000_000 + b"\n" + line)
    read = []
    pread = os.pread
    monkeypatch.setattr(door.os, "pread", lambda *arguments: read.append(arguments[1]) or pread(*arguments))
    fill(ledger, 1)
    assert sum(read) < 3 * door.TAIL_BYTES
