"""Verification: nothing was changed, nothing is missing, every number recomputes.

Four circles, each resting on the one before: the chain of the ledger (every line,
every link, the head); the order of a run's records and their agreement with each
other; the samples and archived responses by hash; and the evidence, made anew by
the same pure function from facts, samples and responses, and compared member by
member. Everything wrong is named; nothing stops at the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isclose
from types import MappingProxyType
from typing import Any

from greenai.engine.read import reparse
from greenai.errors import EvidenceDamaged, GreenaiError
from greenai.logic.chain import read_chain
from greenai.logic.evidence_rows import changed_cells
from greenai.logic.evidencing import NO_SAMPLES_SHA256, SCHEMA, evidence_document, facts_from_document
from greenai.logic.facts_documents import query_from_document
from greenai.logic.spool import trace_of
from greenai.model.evidence import Head, Record, sha256_of
from greenai.model.intensity import Payload, Provider, Reading
from greenai.model.series import IntensitySeries
from greenai.model.units import parse_iso_utc
from greenai.ports import Archive, Ledger, RunStore

RELATIVE_TOLERANCE = 1e-9
"""Numbers closer than this are the same: libraries may round the last bit otherwise."""

ONCE = ("run_started", "run_ended", "evidence")
EVIDENCE = ("evidence", "settlement")
ENDING = ("started_at", "ended_at", "exit_code", "samples_sha256")
"""Facts that are not known yet when run_started is written, or that run_ended states."""

LEARNED = "labels"
"""The start states some of them, the end all: a training's quality is known only then."""

NOTHING_BEFELL: Mapping[str, Any] = MappingProxyType({"frozen": [], "end_note": ""})
"""What a record means that says nothing of these."""

MALFORMED = (KeyError, TypeError, ValueError, AttributeError)
"""What reading a document of the wrong shape raises: it names the document, it never ends the verification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What was looked at and everything wrong with it; `notes` are true but no damage."""

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    records: int
    evidences: int


@dataclass(slots=True, kw_only=True, frozen=True)
class _Check:
    """One verification: the doors it reads by, what it found, and series already read."""

    runs: RunStore
    archive: Archive | None
    providers: Sequence[Provider]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    series: dict[tuple[str, ...], IntensitySeries] = field(default_factory=dict)


def verify(ledger: Ledger, runs: RunStore, archive: Archive | None, providers: Sequence[Provider]) -> VerifyReport:
    """Check the whole ledger and recompute all evidence; raises StoreError only when the ledger cannot be read."""
    check = _Check(runs=runs, archive=archive, providers=providers)
    head = _head(ledger, check)
    chain = read_chain(ledger.lines(), head)
    check.problems.extend(chain.problems)
    by_run: dict[str, list[Record]] = {}
    for record in chain.records:
        if record.type == "note" and record.payload.get("about") == "rows missing":
            check.problems.append(f"seq {record.seq}: found before this row was written: {record.payload.get('text')}")
        run_id = record.payload.get("run_id")
        if isinstance(run_id, str):
            by_run.setdefault(run_id, []).append(record)
    for run_id, records in by_run.items():
        _check_run(run_id, records, check)
    check.problems.extend(_samples_without_records(runs, by_run))
    return VerifyReport(
        problems=tuple(check.problems),
        notes=tuple(check.notes),
        records=len(chain.records),
        evidences=sum(record.type in EVIDENCE for record in chain.records),
    )


def _head(ledger: Ledger, check: _Check) -> Head | None:
    try:
        return ledger.head()
    except EvidenceDamaged as error:
        check.problems.append(str(error))
        return Head(seq=0, sha256="")


def _samples_without_records(runs: RunStore, by_run: Mapping[str, Sequence[Record]]) -> Iterator[str]:
    for run_id in runs.run_ids():
        if run_id not in by_run and runs.body(run_id):
            yield f"run {run_id}: has samples but no row in the ledger"


def _check_run(run_id: str, records: Sequence[Record], check: _Check) -> None:
    """Order, agreement and evidence of one run."""
    check.problems.extend([f"run {run_id}: {trouble}" for trouble in _disorder(records)])
    first = {kind: next((record for record in records if record.type == kind), None) for kind in ONCE}
    if first["run_ended"] is not None and first["evidence"] is None:
        check.notes.append(f"run {run_id}: has ended and has no evidence yet (greenai evidence settle)")
    for record in records:
        if record.type not in EVIDENCE:
            continue
        where = f"run {run_id}, {record.type} (seq {record.seq})"
        ends = [found for found in (first["run_started"], first["run_ended"]) if found is not None]
        if len(ends) < 2:
            check.notes.append(f"{where}: the rows of its start or end could not be written")
        try:
            for earlier in ends:
                check.problems.extend([f"{where}: {trouble}" for trouble in _disagreements(record, earlier)])
            check.problems.extend([f"{where}: {trouble}" for trouble in _recomputed(run_id, record, check)])
        except GreenaiError as error:
            check.problems.append(f"{where}: cannot be recomputed: {error}")
        except MALFORMED as error:
            check.problems.append(f"{where}: is not shaped like evidence ({type(error).__name__}: {error})")


def _disorder(records: Sequence[Record]) -> Iterator[str]:
    """Rows of one run that stand twice, or before what they follow from."""
    seen: list[str] = []
    replaceable: set[str] = set()
    for record in records:
        if record.type in ONCE:
            if record.type in seen:
                yield f"{record.type} is written twice (seq {record.seq})"
            later = [kind for kind in (*ONCE[ONCE.index(record.type) + 1 :], "settlement") if kind in seen]
            if later:
                yield f"{record.type} (seq {record.seq}) stands after {later[0]}"
        if record.type == "settlement":
            settled = record.payload.get("settles")
            if settled not in replaceable:
                yield f"settlement (seq {record.seq}) settles no evidence of this run that was still open"
            replaceable.discard(str(settled))
        if record.type in EVIDENCE:
            replaceable.add(record.sha256)
        seen.append(record.type)


def _disagreements(evidence: Record, earlier: Record) -> Iterator[str]:
    """Facts that the evidence states otherwise than the start or the end of the run."""
    flat = {**evidence.payload.get("inputs", {}), **evidence.payload}
    ended = earlier.type == "run_ended"
    stated_now: dict[str, Any] = dict(earlier.payload)
    if ended:
        # There only where the command stood still or something was done to it, so that their absence states something too.
        flat, stated_now = {**NOTHING_BEFELL, **flat}, {**NOTHING_BEFELL, **stated_now}
    for name, stated in stated_now.items():
        if name not in flat or (not ended and name in ENDING[1:]):
            continue
        yield from (
            f"{path} is {here!r}, {earlier.type} says {there!r}"
            for path, here, there in _differences(name, flat[name], stated)
            if ended or name != LEARNED or there != "nothing"
        )


def _recomputed(run_id: str, record: Record, check: _Check) -> Iterator[str]:
    """Everything in which the evidence is not what its own inputs give."""
    stored = record.payload
    if stored.get("schema") != SCHEMA:
        raise EvidenceDamaged(f"its schema is {stored.get('schema')!r}, this version of greenai knows {SCHEMA}")
    facts = facts_from_document(stored)
    if facts.samples_sha256 == NO_SAMPLES_SHA256 and stored["inputs"].get("intervals"):
        check.notes.append(f"run {run_id}: its samples could not be written when it ran, as the evidence says")
        return
    body = check.runs.body(run_id)
    if sha256_of(body) != facts.samples_sha256:
        yield "the samples were changed since" if body else "the samples are missing"
        return
    reading = _reading(stored["inputs"], check)
    again = evidence_document(facts, trace_of(body), reading, settles=stored.get("settles"))
    yield from (f"{path} is {here!r}, it recomputes to {there!r}" for path, here, there in _differences("", stored, again))


def _reading(inputs: Mapping[str, Any], check: _Check) -> Reading:
    """The reading an evidence rests on, from the archived responses; raises EvidenceDamaged or what the provider raises."""
    query = query_from_document(inputs["query"])
    payloads = tuple(_payload(entry, check) for entry in inputs["payloads"])
    name = inputs["provider"]
    series = None
    if name is not None:
        key = (name, repr(query), *(payload.sha256 + payload.url for payload in payloads))
        if key not in check.series:
            check.series[key] = reparse(query, payloads, providers=check.providers, provider_name=name)
        series = check.series[key]
    return Reading(series=series, step=inputs["step"], fallback_reason=inputs["fallback_reason"], payloads=payloads, query=query)


def _payload(entry: Mapping[str, Any], check: _Check) -> Payload:
    """One archived response, its body hashed anew."""
    found = check.archive.payload(entry["sha256"]) if check.archive is not None else None
    if found is None:
        raise EvidenceDamaged(f"the archived response {entry['sha256'][:12]} ({entry['url']}) is missing")
    if sha256_of(found.body) != entry["sha256"]:
        raise EvidenceDamaged(f"the archived response {entry['sha256'][:12]} ({entry['url']}) was changed")
    return Payload(url=entry["url"], body=found.body, sha256=entry["sha256"], fetched_at=parse_iso_utc(entry["fetched_at"]))


def _differences(path: str, here: Any, there: Any) -> Iterator[tuple[str, Any, Any]]:
    """Path and both values wherever two documents say different things."""
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        for name in dict.fromkeys((*here, *there)):
            yield from _differences(f"{path}.{name}" if path else name, here.get(name, "nothing"), there.get(name, "nothing"))
    elif _is_list(here) and _is_list(there) and len(here) == len(there):
        for index, pair in enumerate(zip(here, there, strict=True)):
            yield from _differences(f"{path}[{index}]", *pair)
    elif not _same(here, there):
        yield path, here, there


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _same(here: Any, there: Any) -> bool:
    if _is_number(here) and _is_number(there):
        return isclose(here, there, rel_tol=RELATIVE_TOLERANCE, abs_tol=0.0)
    return type(here) is type(there) and bool(here == there)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def verify_csv(rows: Sequence[Mapping[str, str]], records: Sequence[Record]) -> tuple[str, ...]:
    """Everything in which the rows of an evidence.csv are not what the ledger says, edited and missing ones by name.

    A row is missing when its run was asked to write to the same file as the runs
    whose rows are there.
    """
    evidence = {record.sha256: record for record in records if record.type in EVIDENCE}
    problems: list[str] = []
    present: set[str] = set()
    files: set[str] = set()
    for number, row in enumerate(rows, start=2):
        run_id, sha256 = row.get("run_id", ""), row.get("evidence_sha256", "")
        if sha256 not in evidence:
            problems.append(f"row {number} (run {run_id}): no evidence in the ledger has its evidence_sha256")
            continue
        record = evidence[sha256]
        document = {**record.payload, "sha256": record.sha256}
        try:
            problems += [f"row {number} (run {run_id}): {change}" for change in changed_cells(row, document)]
        except MALFORMED:
            problems.append(f"row {number} (run {run_id}): its evidence is not shaped like evidence")
        present.add(_of(record, "run_id"))
        files.add(_of(record, "csv_path"))
    missing = [_of(record, "run_id") for record in evidence.values() if _of(record, "csv_path") in files - {""}]
    problems += [f"the row of run {run_id} is missing" for run_id in dict.fromkeys(missing) if run_id not in present]
    return tuple(problems)


def _of(record: Record, fact: str) -> str:
    """A fact of an evidence record in words; empty where it is not there."""
    return str({**dict(record.payload.get("inputs") or {}), **record.payload}.get(fact, ""))
