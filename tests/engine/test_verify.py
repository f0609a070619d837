"""Verification against forgers: every changed byte, lost row and edited number is named; honest ledgers pass."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.engine.scenario import LIST, Scenario
from tests.evidence_world import (
    DIRTY_THEN_CLEAN,
    GRID,
    HOUR,
    START,
    body_of,
    facts,
    keep_run,
    payload,
    priced,
    reading,
    series,
    trace,
)

from greenai.adapters.ledger import FileLedger
from greenai.adapters.runs import RunDirectories
from greenai.engine.run import run_job
from greenai.engine.verify import verify, verify_csv
from greenai.logic.evidence_rows import evidence_row
from greenai.logic.evidencing import evidence_document, facts_from_document
from greenai.logic.spool import trace_of
from greenai.model.evidence import canonical, next_record, record_line, sha256_of
from greenai.model.plan import Window
from greenai.model.series import Source
from greenai.model.units import parse_iso_utc
from greenai.testing.fakes import FakeArchive


class Books:
    """A state directory with three runs, the second settled, and a forger's tools."""

    def __init__(self, home):
        self.home = home
        self.ledger = FileLedger(home)
        self.runs = RunDirectories(home)
        self.archive = FakeArchive()
        self.keep("run-1")
        self.keep("run-2", read=priced(DIRTY_THEN_CLEAN, kind="forecast"), hold_w=5.0)
        self.settle("run-2")
        self.keep("run-3", delay=timedelta(0), csv_path="/tmp/evidence.csv")

    def keep(self, run_id, **changes):
        return keep_run(self.ledger, self.runs, self.archive, run_id=run_id, **changes)

    def settle(self, run_id):
        open_one = [record for record in self.records if record.payload["run_id"] == run_id][-1]
        read = priced(DIRTY_THEN_CLEAN)
        self.archive.keep("list", read.query, read.payloads)
        known = facts_from_document(open_one.payload)
        document = evidence_document(known, trace_of(self.runs.body(run_id)), read, settles=open_one.sha256)
        return self.ledger.append("settlement", document, START + 24 * HOUR)

    @property
    def records(self):
        return list(self.ledger.records())

    def report(self, providers=(GRID,)):
        return verify(self.ledger, self.runs, self.archive, providers)

    @property
    def problems(self):
        return self.report().problems

    def rewrite(self, rows):
        """What a forger with all the time in the world does: every hash, settlement and head made anew."""
        records, evidence = [], {}
        for kind, ts, written in rows:
            settles = {"settles": evidence.get(written["run_id"])} if kind == "settlement" else {}
            row = {**written, **settles}
            records.append(next_record(records[-1] if records else None, at=parse_iso_utc(ts), type=kind, payload=row))
            if kind == "evidence":
                evidence[written["run_id"]] = records[-1].sha256
        self.ledger.path.write_bytes(b"".join(record_line(record) for record in records))
        self.home.joinpath("ledger.head").write_bytes(canonical({"seq": len(records), "sha256": records[-1].sha256}))

    def rows(self):
        return [(record.type, record.ts, copy.deepcopy(dict(record.payload))) for record in self.records]

    def forge(self, place, change, rows=None):
        """Rewrite the ledger with one payload changed."""
        rows = copy.deepcopy(rows or self.rows())
        change(rows[place][2])
        self.rewrite(rows)


@pytest.fixture
def books(tmp_path):
    return Books(tmp_path / "home")


def test_honest_books_pass(books):
    report = books.report()
    assert report.problems == ()
    assert report.notes == ()
    assert (report.records, report.evidences) == (10, 4)


def test_an_empty_directory_passes(tmp_path):
    report = verify(FileLedger(tmp_path), RunDirectories(tmp_path), None, ())
    assert (report.problems, report.records) == ((), 0)


def test_forging_without_changing_anything_passes(books):
    """The forger's tools are themselves honest: what fails below fails for the change."""
    books.forge(2, lambda written: None)
    assert books.problems == ()


def test_a_changed_byte_anywhere_in_the_ledger_is_named(books):
    body = books.ledger.path.read_bytes()
    for place in range(0, len(body), 211):
        spoiled = bytearray(body)
        spoiled[place] ^= 1
        books.ledger.path.write_bytes(bytes(spoiled))
        assert books.problems, f"byte {place}: {body[place - 30 : place + 10]!r}"


def test_a_changed_byte_says_which_row(books):
    body = books.ledger.path.read_bytes()
    books.ledger.path.write_bytes(body.replace(b'"machine_j":132000', b'"machine_j":132001', 1))
    assert books.problems[0] == "line 3 (seq 3, evidence): changed since it was written, the hash does not fit"


@pytest.mark.parametrize("place", range(10))
def test_a_deleted_row_is_named(books, place):
    lines = books.ledger.path.read_bytes().splitlines(keepends=True)
    del lines[place]
    books.ledger.path.write_bytes(b"".join(lines))
    assert any(f"rows {place + 1} to {place + 1} are missing" in problem for problem in books.problems)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (0, "run-1, evidence (seq 2): the rows of its start or end could not be written"),
        (1, "run-1, evidence (seq 2): the rows of its start or end could not be written"),
        (2, "run-1: has ended and has no evidence yet"),
        (5, "run-2: settlement (seq 6) settles no evidence of this run that was still open"),
        (9, "run-3: has ended and has no evidence yet"),
    ],
)
def test_a_row_deleted_with_all_hashes_made_anew_leaves_a_trace(books, place, said):
    """Without an outside witness of the head this is all that can be known; only a lost settlement leaves nothing."""
    rows = books.rows()
    del rows[place]
    books.rewrite(rows)
    report = books.report()
    assert any(said in trouble for trouble in (*report.problems, *report.notes))


def test_a_whole_run_deleted_with_all_hashes_made_anew_leaves_its_samples(books):
    books.rewrite([row for row in books.rows() if row[2]["run_id"] != "run-1"])
    assert books.problems == ("run run-1: has samples but no row in the ledger",)


def numbers(value, path=()):
    """The path of every number in a payload."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from numbers(part, (*path, name))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from numbers(part, (*path, place))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def edited(written, path):
    *way, last = path
    for name in way:
        written = written[name]
    written[last] = written[last] + 1 if written[last] == 0 else written[last] * 1.01


def test_every_edited_number_is_named_even_with_all_hashes_made_anew(books):
    """All rows of the run that was settled."""
    rows = books.rows()
    tried = 0
    for place in (3, 4, 5, 6):
        kind, _, written = rows[place]
        for path in numbers(written):
            books.forge(place, lambda written, path=path: edited(written, path), rows)
            named = [part for part in path if isinstance(part, str)][-1]
            assert any(named in problem for problem in books.problems), f"{kind} {path}: {books.problems}"
            tried += 1
    assert tried > 100


def test_an_edited_number_says_what_it_should_be(books):
    books.forge(2, lambda written: written.update(operational_g=1.0))
    (problem,) = books.problems
    assert problem == "run run-1, evidence (seq 3): operational_g is 1, it recomputes to 4.3999999999999995"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("verdict", "not claimable: x"),
        ("provisional", True),
        ("command", ["x"]),
        ("exit_code", None),
        ("started_at", "2026-11-24T14:00:01Z"),
    ],
)
def test_edited_words_are_named_too(books, name, value):
    books.forge(2, lambda written: written.update({name: value}))
    assert any(name in problem for problem in books.problems)


def test_a_member_added_or_taken_away_is_named(books):
    books.forge(2, lambda written: written.update(extra=1))
    assert books.problems == ("run run-1, evidence (seq 3): extra is 1, it recomputes to 'nothing'",)
    books.forge(2, lambda written: [written.pop("extra"), written.pop("notes")])
    assert "notes is 'nothing', it recomputes to" in books.problems[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda written: written.pop("inputs"),
        lambda written: written.update(inputs=None),
        lambda written: written["inputs"].update(query=5),
        lambda written: written["inputs"].pop("payloads"),
        lambda written: written["inputs"].update(place="here"),
        lambda written: written["inputs"].update(payloads=[{"url": 5}]),
        lambda written: written.update(schema="greenai.evidence/9"),
        lambda written: written["inputs"]["payloads"][0].update(fetched_at="never"),
        lambda written: written.update(run_id="run-9"),
    ],
)
def test_evidence_of_the_wrong_shape_is_named_and_ends_nothing(books, change):
    books.forge(9, change)
    found = books.problems
    assert found
    assert all("run-3" in problem or "run-9" in problem for problem in found)


def test_edited_samples_are_named(books):
    path = books.home / "runs" / "run-1" / "samples.jsonl"
    path.write_bytes(path.read_bytes().replace(b"30000", b"30001", 1))
    assert books.problems == ("run run-1, evidence (seq 3): the samples were changed since",)
    path.unlink()
    assert books.problems == ("run run-1, evidence (seq 3): the samples are missing",)


def test_samples_and_their_hash_edited_together_do_not_agree_with_the_end_of_the_run(books):
    forged = body_of(trace(start_at=START + 5 * HOUR, power_w=(1.0,) * 4))
    (books.home / "runs" / "run-1" / "samples.jsonl").write_bytes(forged)
    books.forge(2, lambda written: written["inputs"].update(samples_sha256=sha256_of(forged)))
    found = " | ".join(books.problems)
    assert "samples_sha256 is" in found
    assert "run_ended says" in found
    assert "it_kwh is" in found


def test_archived_responses_are_hashed_anew(books):
    (name, query, payloads), *rest = books.archive.kept
    books.archive.kept = rest[1:]
    missing = books.problems
    assert any("the archived response" in problem and "is missing" in problem for problem in missing)
    books.archive.kept = [(name, query, (replace(payloads[0], body=b"observed 1 2 3"),)), *rest]
    assert any("was changed" in problem for problem in books.problems)
    assert any("is missing" in problem for problem in verify(books.ledger, books.runs, None, (GRID,)).problems)


def test_a_provider_that_is_not_there_is_named(books):
    assert all("there is no provider named 'list'" in problem for problem in books.report(providers=()).problems)
    assert len(books.report(providers=()).problems) == 4


def test_doubled_evidence_is_named(books):
    rows = books.rows()
    books.rewrite([*rows, rows[2]])
    assert books.problems == ("run run-1: evidence is written twice (seq 11)",)


def test_a_run_started_or_ended_twice_is_named(books):
    rows = books.rows()
    books.rewrite([rows[0], *rows])
    assert "run run-1: run_started is written twice (seq 2)" in books.problems


def test_rows_in_the_wrong_order_are_named(books):
    rows = books.rows()
    books.rewrite([rows[1], rows[0], *rows[2:]])
    assert books.problems == ("run run-1: run_started (seq 2) stands after run_ended",)


def test_a_settlement_settles_what_is_open_in_its_run_and_once(books):
    rows = books.rows()
    settlement = next(row for row in rows if row[0] == "settlement")
    books.rewrite([*rows, settlement])
    assert books.problems == ("run run-2: settlement (seq 11) settles no evidence of this run that was still open",)


def test_a_settlement_may_be_settled_again(books):
    books.settle("run-2")
    assert books.problems == ()


def test_rows_that_were_missing_stay_named_after_the_next_append(books):
    lines = books.ledger.path.read_bytes().splitlines(keepends=True)
    books.ledger.path.write_bytes(b"".join(lines[:-1]))
    books.keep("run-4")
    found = [problem for problem in books.problems if "missing" in problem]
    assert found == ["seq 10: found before this row was written: rows 10 to 10 were missing at the end"]


def test_a_damaged_head_is_named(books):
    (books.home / "ledger.head").write_bytes(b"")
    assert books.problems == ("ledger.head is damaged: rows deleted at the end would not show",)


def test_a_line_that_is_no_record_does_not_end_the_verification(books):
    lines = books.ledger.path.read_bytes().splitlines(keepends=True)
    books.ledger.path.write_bytes(b"".join([*lines[:6], b"rubbish\n", *lines[7:]]))
    found = books.problems
    assert found[0].startswith("line 7: not a ledger record")


def test_a_note_without_a_run_is_no_run(books):
    books.ledger.append("note", {"about": "torn line", "run_id": 5}, START)
    assert books.problems == ()


def test_a_start_that_could_not_be_written_is_noted(books):
    books.rewrite(books.rows()[1:])
    report = books.report()
    assert report.problems == ()
    assert report.notes == ("run run-1, evidence (seq 2): the rows of its start or end could not be written",)


def test_samples_that_could_not_be_written_are_noted_not_blamed(tmp_path):
    books = Books(tmp_path)
    spool = books.runs.claim("run-4")
    known = facts(run_id="run-4", samples_sha256=sha256_of(b""))
    books.ledger.append("evidence", evidence_document(known, trace(), priced(DIRTY_THEN_CLEAN)), START)
    spool.close()
    report = books.report()
    assert report.problems == ()
    assert "its samples could not be written when it ran" in " ".join(report.notes)


def test_a_run_that_nothing_is_known_of_the_grid_of_recomputes(books):
    books.keep("run-4", read=reading(None, step="none", fallback_reason="uk: no answer"))
    assert books.problems == ()


def csv_of(books):
    shown = [{**record.payload, "sha256": record.sha256} for record in books.records if record.type == "evidence"]
    return [evidence_row(document) for document in shown]


def test_an_honest_table_passes(books):
    assert verify_csv(csv_of(books), books.records) == ()
    assert verify_csv([], books.records) == ()


def test_every_edited_cell_is_named(books):
    for place in range(3):
        for column in csv_of(books)[0]:
            table = csv_of(books)
            table[place][column] += "1"
            found = verify_csv(table, books.records)
            assert any(f"row {place + 2}" in problem and column in problem for problem in found), (place, column, found)


def test_a_row_without_evidence_is_named(books):
    table = csv_of(books)
    del table[1]["evidence_sha256"]
    assert verify_csv(table, books.records) == ("row 3 (run run-2): no evidence in the ledger has its evidence_sha256",)


def test_a_missing_row_is_named(books):
    books.keep("run-4", csv_path="/tmp/evidence.csv")
    table = csv_of(books)
    assert verify_csv(table[:3], books.records) == ("the row of run run-4 is missing",)
    assert verify_csv(table[:2], books.records) == (), "run-1 and run-2 wrote to no file: nothing is known to be missing"


def test_a_settled_row_stands_for_its_run(books):
    settled = next({**record.payload, "sha256": record.sha256} for record in books.records if record.type == "settlement")
    table = [evidence_row(settled) if row["run_id"] == "run-2" else row for row in csv_of(books)]
    assert verify_csv(table, books.records) == ()


def test_a_row_whose_evidence_is_misshapen_is_named(books):
    table = csv_of(books)
    books.forge(9, lambda written: written.update(inputs={}))
    table[2]["evidence_sha256"] = books.records[9].sha256
    found = verify_csv(table[2:], books.records)
    assert found == ("row 2 (run run-3): its evidence is not shaped like evidence",)


def test_the_same_answer_is_parsed_once(books):
    calls = []
    counting = replace(GRID, parse=lambda payloads, query: calls.append(1) or GRID.parse(payloads, query))
    assert verify(books.ledger, books.runs, books.archive, (counting,)).problems == ()
    assert len(calls) == 2, "one forecast, one measured answer"


def test_the_payload_helper_is_what_the_books_hold(books):
    assert books.archive.payload(payload(DIRTY_THEN_CLEAN).sha256) is not None
    assert json.loads(books.ledger.path.read_bytes().splitlines()[0])["type"] == "run_started"


def test_labels_learned_during_the_run_are_stated_by_its_end(books):
    """A start cannot know the quality a training will reach; what it did say must still stand."""
    learned = {"phase": "run", "quality_metric_value": "0.3"}

    def rows_with(start, end, evidence):
        rows = books.rows()
        for place, labels in zip(range(3), (start, end, evidence), strict=True):
            (rows[place][2].get("inputs") or rows[place][2])["labels"] = labels
        return rows

    books.rewrite(rows_with({"phase": "run"}, learned, learned))
    assert books.problems == ()
    books.rewrite(rows_with({"phase": "run"}, {**learned, "quality_metric_value": "0.2"}, learned))
    assert "labels.quality_metric_value is '0.3', run_ended says '0.2'" in books.problems[0]
    books.rewrite(rows_with({"phase": "measure"}, learned, learned))
    assert "labels.phase is 'run', run_started says 'measure'" in books.problems[0]


def frozen_books(tmp_path):
    """A ledger of one run that stood still for a while, as the engine writes it."""
    scene = Scenario([400.0] * 6 + [100.0] * 42, hours=2)
    scene.publish([400.0] * 6 + [100.0] * 42)
    scene.executor.standing = (Window(start_at=START + 3.5 * HOUR, end_at=START + 4 * HOUR),)
    run_job(scene.request(), scene.doors)
    return scene


def verified(scene):
    return verify(scene.ledger, scene.runs, scene.archive, (LIST,)).problems


def test_a_run_that_stood_still_recomputes(tmp_path):
    scene = frozen_books(tmp_path)
    document = scene.ledger.written[-1].payload
    assert document["inputs"]["frozen"] == [{"start_at": "2026-11-24T12:30:00Z", "end_at": "2026-11-24T13:00:00Z"}]
    assert document["counterfactual_g"] == pytest.approx(0.15 * 400), "the half hour is not in it"
    assert document["actual_g"] == pytest.approx(0.2 * 100)
    assert verified(scene) == ()


@pytest.mark.parametrize("spans", [None, [{"start_at": "2026-11-24T12:30:00Z", "end_at": "2026-11-24T13:30:00Z"}]])
def test_evidence_that_hides_or_stretches_a_frozen_span_is_named(tmp_path, spans):
    """With its numbers made anew to fit: the row of the end still says when it stood still."""
    scene = frozen_books(tmp_path)
    last = scene.ledger.written.pop()
    forged = copy.deepcopy(dict(last.payload))
    del forged["inputs"]["frozen"]
    if spans is not None:
        forged["inputs"]["frozen"] = spans
    answer = scene.archive.kept[-1]
    source = Source(provider="list", url="https://grid.invalid/observed", fetched_at=START, payload_sha256="0" * 64)
    observed = series([400.0] * 6 + [100.0] * 42, kind="observed", source=source)
    read = replace(reading(observed), payloads=answer[2], query=answer[1])
    known = facts_from_document(forged)
    body = scene.runs.body("run-1")
    forged = {**evidence_document(known, trace_of(body), read), "inputs": {**last.payload["inputs"], **forged["inputs"]}}
    if spans is None:
        del forged["inputs"]["frozen"]
    scene.ledger.append("evidence", forged, START + 24 * HOUR)
    assert any("frozen" in problem and "run_ended says" in problem for problem in verified(scene))


def test_evidence_that_invents_a_frozen_span_is_named(books):
    def invent(written):
        written["inputs"]["frozen"] = [{"start_at": "2026-11-24T14:05:00Z", "end_at": "2026-11-24T14:10:00Z"}]

    books.forge(2, invent)
    assert any("frozen is" in problem and "run_ended says []" in problem for problem in books.problems)


def test_evidence_that_hides_or_invents_what_was_done_to_the_command_is_named(tmp_path, books):
    scene = Scenario([400.0] * 6 + [100.0] * 42, hours=2)
    scene.publish([400.0] * 6 + [100.0] * 42)
    scene.executor.done_to_it = "did not pause within 5 s: sent TERM, then KILL"
    run_job(scene.request(), scene.doors)
    assert scene.ledger.written[-1].payload["inputs"]["end_note"] == scene.executor.done_to_it
    assert verified(scene) == ()
    forged = copy.deepcopy(dict(scene.ledger.written.pop().payload))
    del forged["inputs"]["end_note"]
    forged["notes"] = [note for note in forged["notes"] if "how it ended" not in note]
    scene.ledger.append("evidence", forged, START + 24 * HOUR)
    assert any("end_note is ''" in problem and "run_ended says" in problem for problem in verified(scene))

    books.forge(2, lambda written: written["inputs"].update(end_note="stopped by the user"))
    assert any("end_note is 'stopped by the user', run_ended says ''" in problem for problem in books.problems)
