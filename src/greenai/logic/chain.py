"""The hash chain of the ledger, checked line by line: what was changed, what is missing, what was put in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from greenai.errors import EvidenceDamaged
from greenai.model.evidence import GENESIS_SHA256, Head, Record, hash_fits, record_from_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The records that could be read, and everything wrong with the lines, in order."""

    records: tuple[Record, ...]
    problems: tuple[str, ...]


def read_chain(lines: Iterable[bytes], head: Head | None) -> Chain:
    """Check every line, every link and the end of the ledger; each thing wrong is named by its line."""
    records: list[Record] = []
    problems: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            record = record_from_line(line)
        except EvidenceDamaged as error:
            problems.append(f"line {number}: {error}")
            continue
        if not hash_fits(line, record):
            problems.append(
                f"line {number} (seq {record.seq}, {record.type}): changed since it was written, the hash does not fit"
            )
        problems += _broken_links(records[-1] if records else None, record, number)
        records.append(record)
    return Chain(records=tuple(records), problems=(*problems, *_missing_end(records, head)))


def _broken_links(previous: Record | None, record: Record, number: int) -> list[str]:
    expected_seq = previous.seq + 1 if previous else 1
    if record.seq != expected_seq:
        lost = (
            f"rows {expected_seq} to {record.seq - 1} are missing"
            if record.seq > expected_seq
            else "a row stands twice or out of order"
        )
        return [f"line {number}: seq {record.seq} follows seq {expected_seq - 1}: {lost}"]
    expected = previous.sha256 if previous else GENESIS_SHA256
    if record.prev_sha256 != expected:
        return [
            f"line {number} (seq {record.seq}, {record.type}): does not follow the row before it, which was replaced or changed"
        ]
    return []


def _missing_end(records: list[Record], head: Head | None) -> list[str]:
    """What ledger.head says about the last rows. It may lag after a crash, it is never ahead."""
    last_seq = records[-1].seq if records else 0
    if head is None:
        return ["ledger.head is missing: rows deleted at the end would not show"] if last_seq > 1 else []
    if head.seq > last_seq:
        return [f"rows {last_seq + 1} to {head.seq} are missing at the end: ledger.head names seq {head.seq}"]
    named = [record for record in records if record.seq == head.seq]
    if named and named[-1].sha256 != head.sha256:
        return [f"seq {head.seq} is not the row that ledger.head names: it was replaced"]
    return []
