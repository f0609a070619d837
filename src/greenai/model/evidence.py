"""Evidence: what is written down about a run, and the chain that makes edits show.

A ledger record is one line of canonical JSON (RFC 8785) whose `sha256` covers
all its other fields, `prev_sha256` among them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

import rfc8785

from greenai.errors import EvidenceDamaged
from greenai.model.footprint import Embodied
from greenai.model.plan import Window, total_of
from greenai.model.units import iso_utc
from greenai.model.zone import Place

RecordType = Literal["decision", "run_started", "run_ended", "evidence", "settlement", "interrupted", "note"]

GENESIS_SHA256 = "0" * 64
"""prev_sha256 of the first record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of the ledger."""

    seq: int
    ts: str
    type: RecordType
    payload: Mapping[str, Any]
    prev_sha256: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What ledger.head says of the ledger's last record: a ledger that ends before it has lost rows."""

    seq: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What one run's evidence rests on, its energy and the grid aside.

    `runnable_at` is the first moment the job could have started; `latest_start_at`
    the last one its limits allowed, None where nobody set a limit. `started_at`
    is None until the command is launched, `ended_at` until it has ended; `exit_code`
    stays None when nobody saw the end. R of the SCI is `count` units named by `per`.
    `hold_w` is what reserved hardware draws while the job waits. `threshold_g_per_kwh`
    is the limit the user gave to a threshold policy. `samples_sha256` is the hash
    of the spooled samples. `simulated` marks a run whose intensities are not those
    of its time and place, such as an hour-of-day table. `csv_path` is the evidence.csv
    that the run was asked to add a row to, absolute; empty for none. `frozen` are the
    spans in which the command was stopped where it stood, in order; `end_note` says in
    words what was done to it in the end (a deaf one got TERM, then KILL), empty for
    nothing; both known at the end.
    """

    run_id: str
    command: tuple[str, ...]
    runnable_at: datetime
    latest_start_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    place: Place
    embodied: Embodied | None = None
    per: str = "run"
    count: float = 1.0
    hold_w: float = 0.0
    threshold_g_per_kwh: float | None = None
    decision: Mapping[str, Any] | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    machine: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    version: str
    samples_sha256: str = ""
    simulated: bool = False
    csv_path: str = ""
    frozen: tuple[Window, ...] = ()
    end_note: str = ""

    @property
    def stood_still(self) -> timedelta:
        """How long the command was frozen, all spans together; spans that overlap (a clock set back) count once."""
        return total_of(self.frozen)


def canonical(value: Any) -> bytes:
    """Canonical JSON bytes of plain data (RFC 8785)."""
    return rfc8785.dumps(value)


def sha256_of(body: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(body).hexdigest()


def record_hash(*, seq: int, ts: str, type: str, payload: Mapping[str, Any], prev_sha256: str) -> str:  # noqa: A002 - the field's name in the published format
    """The hash of a record: SHA-256 of the canonical JSON of everything but the hash itself."""
    return sha256_of(canonical({"seq": seq, "ts": ts, "type": type, "payload": dict(payload), "prev_sha256": prev_sha256}))


def next_record(previous: Record | None, *, at: datetime, type: RecordType, payload: Mapping[str, Any]) -> Record:  # noqa: A002
    """The record that follows `previous` (None: the first)."""
    seq = previous.seq + 1 if previous else 1
    prev_sha256 = previous.sha256 if previous else GENESIS_SHA256
    ts = iso_utc(at)
    return Record(
        seq=seq,
        ts=ts,
        type=type,
        payload=payload,
        prev_sha256=prev_sha256,
        sha256=record_hash(seq=seq, ts=ts, type=type, payload=payload, prev_sha256=prev_sha256),
    )


def record_line(record: Record) -> bytes:
    """The line of the ledger file, newline included."""
    return (
        canonical(
            {
                "seq": record.seq,
                "ts": record.ts,
                "type": record.type,
                "payload": dict(record.payload),
                "prev_sha256": record.prev_sha256,
                "sha256": record.sha256,
            }
        )
        + b"\n"
    )


def record_from_line(line: bytes) -> Record:
    """The record on one line, newline excluded; raises EvidenceDamaged when there is none. The hash is not checked."""
    try:
        record = Record(**json.loads(line, parse_int=_number, parse_constant=_refuse))
    except (ValueError, TypeError, RecursionError) as error:
        raise EvidenceDamaged(f"not a ledger record: {error}") from None
    texts = (record.ts, record.type, record.prev_sha256, record.sha256)
    if type(record.seq) is not int or not isinstance(record.payload, dict) or not all(isinstance(text, str) for text in texts):
        raise EvidenceDamaged("not a ledger record: a field has the wrong type")
    return record


def _number(digits: str) -> int | float:
    """Integers that a double does not hold exactly are floats in RFC 8785."""
    number = int(digits)
    return number if abs(number) < 2**53 else float(digits)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def hash_fits(line: bytes, record: Record) -> bool:
    """Whether a line carries the hash of the rest of itself.

    The canonical form without the member "sha256" is the line with that member cut
    out, so nothing is serialised anew, which would cost ten times as much.
    """
    before, found, after = line.rpartition(b',"sha256":"' + record.sha256.encode(errors="replace") + b'"')
    return bool(found) and sha256_of(before + after) == record.sha256
