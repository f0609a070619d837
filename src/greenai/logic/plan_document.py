"""A decision as JSON types: the contract of `plan --json` and of the ledger's decision records (schemas/plan.schema.json)."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from greenai.model.evidence import canonical, sha256_of
from greenai.model.intensity import OwnForecast, Query, Reading
from greenai.model.plan import Alternative, Decision, Window
from greenai.model.series import IntensitySeries
from greenai.model.units import iso_utc

SCHEMA = "greenai.plan/1"


def decision_document(decision: Decision, reading: Reading) -> dict[str, Any]:
    """The decision and the reading it rests on; times RFC 3339 in UTC, null where nothing is known.

    `source` names what replays the decision: the hash of the series as used, those
    of the archived payloads it was parsed from, and the query they answered.
    """
    return {
        "schema": SCHEMA,
        "job_id": decision.job_id,
        "action": decision.action,
        "zone": decision.zone,
        "policy": decision.policy,
        "made_at": iso_utc(decision.made_at),
        "windows": _windows(decision),
        "expected_g_per_kwh": decision.expected_g_per_kwh,
        "at_once_g_per_kwh": decision.at_once_g_per_kwh,
        "expected_saving": decision.expected_saving,
        "worst_g_per_kwh": decision.worst_g_per_kwh,
        "alternatives": [_alternative(alternative) for alternative in decision.alternatives],
        "reason": decision.reason,
        "notes": list(decision.notes),
        "source": _source(reading),
    }


@lru_cache(maxsize=32)
def series_sha256(series: IntensitySeries) -> str:
    """Hash of what a series says: its slots, values and nature, as canonical JSON. Where it came from is not part of it.

    A series never changes and is equal to itself alone: hundreds of decisions that rest on one share its hash.
    """
    return sha256_of(
        canonical(
            {
                "zone": series.zone,
                "basis": series.basis,
                "scope": series.scope,
                "kind": series.kind,
                "start_at": iso_utc(series.start_at),
                "step_s": series.step_s,
                "values": series.values.tolist(),
            }
        )
    )


def _windows(decision: Decision) -> list[dict[str, Any]]:
    """The windows, with their workers where the job is scaled."""
    spans = [_span(window) for window in decision.windows]
    if not decision.workers:
        return spans
    return [{**span, "workers": workers} for span, workers in zip(spans, decision.workers, strict=True)]


def _span(span: Window | Alternative) -> dict[str, Any]:
    return {"start_at": iso_utc(span.start_at), "end_at": iso_utc(span.end_at)}


def _alternative(alternative: Alternative) -> dict[str, Any]:
    return {
        "label": alternative.label,
        **_span(alternative),
        "expected_g_per_kwh": alternative.expected_g_per_kwh,
        "expected_saving": alternative.expected_saving,
    }


def _source(reading: Reading) -> dict[str, Any]:
    series = reading.series
    return {
        "provider": series.source.provider if series else None,
        "kind": series.kind if series else None,
        "basis": series.basis if series else None,
        "scope": series.scope if series else None,
        "issued_at": _moment(series.issued_at) if series else None,
        "fetched_at": _moment(series.source.fetched_at) if series else None,
        "fallback_reason": reading.fallback_reason,
        "step": reading.step,
        "series_sha256": series_sha256(series) if series else None,
        "payload_sha256s": [payload.sha256 for payload in reading.payloads],
        "query": _query(reading.query),
        **({"own_forecast": own_document(reading.own)} if reading.own else {}),
    }


def own_document(own: OwnForecast) -> dict[str, Any]:
    """How greenai made the forecast itself; the values stand in the archived record that `payload_sha256s` names."""
    return {"method": own.method, "note": own.note, "input_sha256s": list(own.input_sha256s)}


def _query(query: Query) -> dict[str, Any]:
    return {
        "zone": query.zone,
        "start_at": iso_utc(query.start_at),
        "end_at": iso_utc(query.end_at),
        "now_at": iso_utc(query.now_at),
        "purpose": query.purpose,
    }


def _moment(moment: datetime | None) -> str | None:
    return iso_utc(moment) if moment else None
