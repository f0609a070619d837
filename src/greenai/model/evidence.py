"""Evidence: what is written down about a run, and the chain that makes edits show.

A ledger record is one line of canonical JSON (RFC 8785) whose `sha256` covers
all its other fields, `prev_sha256` among them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import rfc8785

from greenai.model.units import iso_utc

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
