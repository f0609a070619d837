"""The chain by its lines: each way to spoil it is named, an honest one is not."""

from __future__ import annotations

import pytest
from tests.evidence_world import START

from greenai.errors import EvidenceDamaged
from greenai.logic.chain import read_chain
from greenai.model.evidence import Head, hash_fits, next_record, record_from_line, record_line


def chain(count=5):
    records = []
    for number in range(count):
        payload = {"run_id": f"r{number}", "x": number * 0.1, "big": 1e300, "text": 'a "quoted" ,"sha256":"x" ü'}
        records.append(next_record(records[-1] if records else None, at=START, type="note", payload=payload))
    return records


def lines(records):
    return [record_line(record)[:-1] for record in records]


def head(records):
    return Head(seq=records[-1].seq, sha256=records[-1].sha256)


def test_an_honest_chain_has_no_problem():
    records = chain()
    found = read_chain(lines(records), head(records))
    assert found.problems == ()
    assert found.records == tuple(records)


def test_nothing_is_an_honest_chain():
    assert read_chain([], None).problems == ()


def test_a_head_that_lags_after_a_crash_is_honest():
    records = chain()
    assert read_chain(lines(records), head(records[:3])).problems == ()
    assert read_chain(lines(records[:1]), None).problems == ()


@pytest.mark.parametrize("place", range(5))
def test_a_deleted_row_is_named(place):
    records = chain()
    left = lines(records)
    del left[place]
    found = read_chain(left, head(records)).problems
    assert len(found) == 1
    assert f"rows {place + 1} to {place + 1} are missing" in found[0]


def test_a_missing_head_is_named():
    assert "ledger.head is missing" in read_chain(lines(chain(2)), None).problems[0]


def test_all_rows_gone():
    assert "rows 1 to 5 are missing at the end" in read_chain([], head(chain())).problems[0]


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_row_made_anew_does_not_fit_its_neighbours(place):
    records = chain()
    forged = next_record(records[place - 1] if place else None, at=START, type="note", payload={"x": "forged"})
    found = read_chain(lines([*records[:place], forged, *records[place + 1 :]]), head(records)).problems
    assert found == (
        ("seq 5 is not the row that ledger.head names: it was replaced",)
        if place == 4
        else (f"line {place + 2} (seq {place + 2}, note): does not follow the row before it, which was replaced or changed",)
    )


def test_rows_that_changed_places_are_named():
    one, two, three, four, five = lines(chain())
    found = " | ".join(read_chain([one, three, two, four, five], head(chain())).problems)
    assert "line 2: seq 3 follows seq 1: rows 2 to 2 are missing" in found
    assert "line 3: seq 2 follows seq 3: a row stands twice or out of order" in found


@pytest.mark.parametrize(
    "line",
    [b"", b"not json", b"[]", b"{}", b'{"seq":1}', b"\xff", b'{"payload":NaN}', b"[" * 100_000],
)
def test_what_is_no_record_is_named(line):
    records = chain(2)
    found = read_chain([*lines(records), line], head(records)).problems
    assert len(found) == 1
    assert found[0].startswith("line 3: not a ledger record")


@pytest.mark.parametrize(
    "spoiled",
    [{"seq": "1"}, {"seq": True}, {"payload": []}, {"ts": 5}, {"sha256": None}, {"type": 1}, {"prev_sha256": {}}],
)
def test_a_field_of_the_wrong_type_is_no_record(spoiled):
    import json

    fields = {**json.loads(lines(chain(1))[0]), **spoiled}
    with pytest.raises(EvidenceDamaged, match="wrong type"):
        record_from_line(json.dumps(fields).encode())


def test_records_come_back_from_their_lines():
    for record, line in zip(chain(), lines(chain()), strict=True):
        assert record_from_line(line) == record
        assert hash_fits(line, record)


def test_a_hash_that_is_no_text_does_not_fit():
    line = lines(chain(1))[0]
    record = record_from_line(line.replace(b'"sha256":"' + chain(1)[0].sha256.encode(), b'"sha256":"\\ud800'))
    assert not hash_fits(line, record)


@pytest.mark.parametrize("flip", [1, 32])
def test_every_byte_counts(flip):
    records = chain(3)
    good = lines(records)
    for place in range(len(good[1])):
        bad = bytearray(good[1])
        bad[place] ^= flip
        if bytes(bad).count(b"\n"):
            continue
        assert read_chain([good[0], bytes(bad), good[2]], head(records)).problems, f"byte {place} of {good[1]!r}"
