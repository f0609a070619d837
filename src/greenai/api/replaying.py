"""What stands behind evidence: the samples of a run, and the intensities it was decided and priced by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenai import plugins
from greenai.config import Settings
from greenai.engine.read import reparse
from greenai.errors import GreenaiError
from greenai.logic.facts_documents import query_from_document
from greenai.logic.foreseeing import is_own
from greenai.logic.spool import trace_of
from greenai.model.energy import EnergyTrace
from greenai.model.series import IntensitySeries
from greenai.wiring import open_doors, settings_with


def trace_of_run(run_id: str, *, settings: Settings | None = None) -> EnergyTrace | None:
    """The energy of a run interval by interval; None where no samples were kept.

    Raises:
        StoreError, EvidenceDamaged: the samples cannot be read.
    """
    body = open_doors(settings_with(settings), network=False).runs.body(run_id)
    return trace_of(body) if body else None


def series_of(source: Mapping[str, Any], *, settings: Settings | None = None) -> IntensitySeries | None:
    """The series that a decision (its `source`) or an evidence (its `inputs`) names, archived; None if it is not there."""
    archive = open_doors(settings_with(settings), network=False).sources.archive
    hashes = source.get("payload_sha256s") or [payload["sha256"] for payload in source.get("payloads", ())]
    found = [archive.payload(sha256) for sha256 in hashes] if archive else []
    payloads = tuple(payload for payload in found if payload is not None)
    name = source.get("provider")
    if not payloads or len(payloads) < len(hashes) or name is None:
        return None
    try:
        providers = () if is_own(payloads) else (plugins.load("greenai.providers", name),)
        return reparse(query_from_document(source["query"]), payloads, providers=providers, provider_name=name)
    except GreenaiError:
        return None
