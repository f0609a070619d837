"""The digest of a ledger is what reading all of it anew gives, whatever became of ledger and file in between."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence_world import START

from greenai.adapters.digests import LedgerDigest
from greenai.adapters.ledger import FileLedger
from greenai.errors import StoreError

NAME = "digest.json"


def digest_of(home, read=None) -> LedgerDigest:
    def digest(payload):
        if read is not None:
            read.append(payload["n"])
        return None if payload["n"] < 0 else payload["n"]

    return LedgerDigest(home, NAME, "evidence", digest)


def grow(home, *numbers, kind="evidence"):
    ledger = FileLedger(home)
    for number in numbers:
        ledger.append(kind, {"n": number}, START)


def test_only_what_is_new_is_read(tmp_path):
    assert digest_of(tmp_path).rows() == []
    grow(tmp_path, 1, 2, -1)
    grow(tmp_path, 7, kind="note")
    read = []
    assert digest_of(tmp_path, read).rows() == [1, 2]
    assert digest_of(tmp_path, read).rows() == [1, 2]
    assert read == [1, 2, -1]
    grow(tmp_path, 3)
    assert digest_of(tmp_path, read).rows() == [1, 2, 3]
    assert read == [1, 2, -1, 3]


def test_another_ledger_is_read_anew(tmp_path):
    grow(tmp_path, 1, 2, 3)
    digest_of(tmp_path).rows()
    for path in tmp_path.glob("ledger*"):
        path.unlink()
    grow(tmp_path, 4)
    assert digest_of(tmp_path).rows() == [4]
    grow(tmp_path, 5, 6, 7, 8)
    assert digest_of(tmp_path).rows() == [4, 5, 6, 7, 8]


def test_a_ledger_cut_back_is_read_anew(tmp_path):
    grow(tmp_path, 1)
    short = (tmp_path / "ledger.jsonl").read_bytes()
    grow(tmp_path, 2, 3)
    digest_of(tmp_path).rows()
    (tmp_path / "ledger.jsonl").write_bytes(short)
    assert digest_of(tmp_path).rows() == [1]


@pytest.mark.parametrize("body", ["", "[]", "{", '{"format":1}', '{"format":0,"bytes":0,"end":"","rows":[9]}', "null", "\x00"])
def test_a_damaged_file_is_made_anew(tmp_path, body):
    grow(tmp_path, 1, 2)
    (tmp_path / NAME).write_text(body)
    assert digest_of(tmp_path).rows() == [1, 2]
    assert json.loads((tmp_path / NAME).read_text())["rows"] == [1, 2]


def test_a_line_that_is_being_written_waits(tmp_path):
    grow(tmp_path, 1, 2)
    path = tmp_path / "ledger.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    assert digest_of(tmp_path).rows() == [1]
    path.write_bytes(whole)
    assert digest_of(tmp_path).rows() == [1, 2]


def test_a_damaged_row_is_passed_over(tmp_path):
    grow(tmp_path, 1, 2)
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"seq":1,"type":"evidence"}\n' + path.read_bytes())
    assert digest_of(tmp_path).rows() == [1, 2]


def test_a_directory_that_cannot_be_written(tmp_path, monkeypatch):
    grow(tmp_path, 1)
    real = os.open

    def refuse(path, flags, *rest):
        if flags & os.O_CREAT:
            raise OSError(28, "No space left on device")
        return real(path, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    assert digest_of(tmp_path).rows() == [1]
    assert not (tmp_path / NAME).exists()


def test_a_ledger_that_cannot_be_read(tmp_path, monkeypatch):
    (tmp_path / "ledger.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"ledger\.jsonl cannot be read"):
        digest_of(tmp_path).rows()

    def refuse(*_):
        raise OSError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match="Permission denied"):
        digest_of(tmp_path).rows()


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(["grow", "read", "drop", "other"]), max_size=10))
def test_it_is_what_reading_anew_gives(tmp_path_factory, steps):
    home = tmp_path_factory.mktemp("home")
    for number, step in enumerate(steps):
        if step == "grow":
            grow(home, number, number)
        elif step == "other":
            grow(home, number, kind="note")
        elif step == "drop":
            (home / NAME).unlink(missing_ok=True)
        else:
            digest_of(home).rows()
    expected = [record.payload["n"] for record in FileLedger(home).records() if record.type == "evidence"]
    assert digest_of(home).rows() == expected
