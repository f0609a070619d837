"""evidence.csv and the decision log as files: headers, strangers' files, torn rows, many writers, full disks."""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from greenai.adapters.exporters import decision_json, evidence_csv
from greenai.errors import InputError, StoreError
from greenai.logic.evidence_rows import COLUMNS, PROTOTYPE_COLUMNS

ROW = {column: f"{column} 1" for column in COLUMNS}
PROTOTYPE = ",".join(PROTOTYPE_COLUMNS) + "\n" + "old," * 13 + "Proxy\n"


@contextmanager
def largest_file(limit):
    """No file of this process may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "artifacts" / "evidence.csv"


def names(place):
    return sorted(path.name for path in place.iterdir())


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_first_row_brings_the_header_and_the_directory(path):
    evidence_csv.check_writable(path, COLUMNS)
    assert not path.exists(), "looking leaves no trace"
    assert evidence_csv.append_row(path, ROW) == ()
    assert evidence_csv.append_row(path, {**ROW, "run_id": 'a, "b"'}) == ()
    assert path.read_text(encoding="utf-8").startswith(",".join(COLUMNS) + "\n")
    assert [row["run_id"] for row in rows(path)] == ["run_id 1", 'a, "b"']
    assert evidence_csv.read_rows(path) == rows(path)


def test_a_bare_file_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evidence_csv.check_writable(Path("evidence.csv"), COLUMNS)
    evidence_csv.append_row(Path("evidence.csv"), ROW)
    decision_json.check_writable(Path("d.json"))
    decision_json.append_entry(Path("d.json"), {"a": 1})
    assert len(rows(tmp_path / "evidence.csv")) == 1
    assert json.loads((tmp_path / "d.json").read_text()) == [{"a": 1}]


@pytest.mark.parametrize("check", [lambda path: evidence_csv.check_writable(path, COLUMNS), decision_json.check_writable])
def test_a_path_that_cannot_be_written_is_refused_before_the_run(tmp_path, check):
    (tmp_path / "file").write_text("")
    for bad in (tmp_path, tmp_path / "file" / "evidence.csv"):
        with pytest.raises(InputError, match="cannot be written") as caught:
            check(bad)
        assert caught.value.hint == "choose another path"


def test_somebody_else_s_file_is_refused_and_left_alone(path):
    path.parent.mkdir()
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"not an evidence\.csv"):
        evidence_csv.check_writable(path, COLUMNS)
    with pytest.raises(StoreError, match=r"not an evidence\.csv any more") as caught:
        evidence_csv.append_row(path, ROW)
    assert "greenai evidence export" in caught.value.hint
    assert path.read_text() == "a,b\n1,2\n"


def test_the_prototype_s_file_is_set_aside_whole(path):
    path.parent.mkdir()
    path.write_text(PROTOTYPE)
    evidence_csv.check_writable(path, COLUMNS)
    (warning,) = evidence_csv.append_row(path, ROW)
    assert "kept as evidence.csv.bak-1" in warning
    assert path.with_name("evidence.csv.bak-1").read_text() == PROTOTYPE
    assert [row["run_id"] for row in rows(path)] == ["run_id 1"]
    path.write_text(PROTOTYPE)
    assert "bak-2" in evidence_csv.append_row(path, ROW)[0]


def test_columns_that_users_add_are_kept(path):
    evidence_csv.append_row(path, ROW)
    lines = path.read_text().splitlines()
    path.write_text(lines[0] + ",mine\n" + lines[1] + ",7\n")
    evidence_csv.append_row(path, ROW)
    first, second = evidence_csv.read_rows(path)
    assert (first["mine"], second["mine"]) == ("7", "")


def test_an_empty_file_gets_a_header(path):
    path.parent.mkdir()
    path.touch()
    evidence_csv.check_writable(path, COLUMNS)
    evidence_csv.append_row(path, ROW)
    assert len(rows(path)) == 1


def test_a_byte_order_mark_and_crlf_are_no_stranger(path):
    evidence_csv.append_row(path, ROW)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert evidence_csv.append_row(path, ROW) == ()
    assert [row["run_id"] for row in evidence_csv.read_rows(path)] == ["run_id 1", "run_id 1"]


def test_a_last_line_without_its_newline_is_completed(path):
    evidence_csv.append_row(path, ROW)
    path.write_bytes(path.read_bytes()[:-1])
    assert evidence_csv.append_row(path, ROW) == ()
    assert len(rows(path)) == 2


def test_a_torn_row_is_set_aside(path):
    evidence_csv.append_row(path, ROW)
    with path.open("a") as file:
        file.write("run_id 2,phase")
    (warning,) = evidence_csv.append_row(path, {**ROW, "run_id": "3"})
    assert "evidence.csv.torn-1" in warning
    assert path.with_name("evidence.csv.torn-1").read_text() == "run_id 2,phase"
    assert [row["run_id"] for row in rows(path)] == ["run_id 1", "3"]


def test_a_full_disk_leaves_the_table_as_it_was(path):
    evidence_csv.append_row(path, ROW)
    before = path.read_bytes()
    with largest_file(len(before) + 20), pytest.raises(StoreError, match="File too large"):
        evidence_csv.append_row(path, ROW)
    assert path.read_bytes() == before


def test_what_is_no_csv_is_refused(path, tmp_path):
    with pytest.raises(InputError, match="cannot be read as CSV"):
        evidence_csv.read_rows(path)
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        evidence_csv.read_rows(tmp_path / "x")


def test_rows_too_long_or_too_short_are_read_as_far_as_they_go(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("a,b\n1\n1,2,3\n")
    assert evidence_csv.read_rows(file) == [{"a": "1", "b": ""}, {"a": "1", "b": "2"}]


WRITER = """
import sys
from pathlib import Path
from greenai.adapters.exporters import decision_json, evidence_csv
for number in range(int(sys.argv[3])):
    evidence_csv.append_row(Path(sys.argv[1]) / "evidence.csv", {f"c{n}": f"{sys.argv[2]} {number}" for n in range(20)})
    decision_json.append_entry(Path(sys.argv[1]) / "d.json", {"who": sys.argv[2], "number": number})
"""


def test_many_processes_write_at_once(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(name), "10"]) for name in range(5)]
    assert [writer.wait() for writer in writers] == [0] * 5
    expected = sorted(f"{name} {number}" for name in range(5) for number in range(10))
    assert sorted(row["c0"] for row in rows(tmp_path / "evidence.csv")) == expected
    entries = json.loads((tmp_path / "d.json").read_text())
    assert sorted(f"{entry['who']} {entry['number']}" for entry in entries) == expected
    assert names(tmp_path) == ["d.json", "evidence.csv"], "nothing is left lying about"


def test_entries_are_added_to_the_list(tmp_path):
    path = tmp_path / "artifacts" / "carbon_aware_decision.json"
    decision_json.check_writable(path)
    assert decision_json.append_entry(path, {"a": "ü"}) == ()
    assert decision_json.append_entry(path, {"b": [1.5, None]}) == ()
    assert json.loads(path.read_text(encoding="utf-8")) == [{"a": "ü"}, {"b": [1.5, None]}]


@pytest.mark.parametrize("body", [b'[{"a": 1}', b'{"a": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_log_is_kept_and_said(tmp_path, body):
    path = tmp_path / "d.json"
    for number in (1, 2):
        path.write_bytes(body)
        (warning,) = decision_json.append_entry(path, {"new": number})
        assert f"kept as d.json.bak-{number}" in warning
        assert path.with_name(f"d.json.bak-{number}").read_bytes() == body
        assert json.loads(path.read_text()) == [{"new": number}]


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path):
    path = tmp_path / "d.json"
    decision_json.append_entry(path, {"a": 1})
    before = path.read_bytes()
    with largest_file(5), pytest.raises(StoreError, match="File too large"):
        decision_json.append_entry(path, {"b": 2})
    assert path.read_bytes() == before
    assert names(tmp_path) == ["d.json"]


def test_a_link_is_followed_not_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "d.json"
    link.symlink_to(tmp_path / "real" / "d.json")
    decision_json.append_entry(link, {"a": 1})
    assert link.is_symlink()
    assert json.loads((tmp_path / "real" / "d.json").read_text()) == [{"a": 1}]
