"""The facts of a run and the reading it was priced by, as JSON types and back.

`run_started` holds the facts so that a run that dies can be completed; evidence
holds them so that anyone can recompute it. Both are read by the same function.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from greenai.errors import EvidenceDamaged
from greenai.logic.masking import masked, printable
from greenai.model.evidence import RunFacts
from greenai.model.footprint import Embodied, Estimate
from greenai.model.intensity import Query, Reading
from greenai.model.plan import Window
from greenai.model.units import iso_utc, parse_iso_utc
from greenai.model.zone import Place


def facts_document(facts: RunFacts) -> dict[str, Any]:
    """The facts as JSON types, the command without its secrets: the payload of run_started.

    `frozen` is there only where the command stood still, `end_note` only where something was done to it.
    """
    document = {
        "run_id": facts.run_id,
        "command": list(masked(facts.command)),
        "runnable_at": iso_utc(facts.runnable_at),
        "latest_start_at": _iso(facts.latest_start_at),
        "started_at": _iso(facts.started_at),
        "ended_at": _iso(facts.ended_at),
        "exit_code": facts.exit_code,
        "place": place_document(facts.place),
        "embodied": _embodied_document(facts.embodied),
        "per": facts.per,
        "count": facts.count,
        "hold_w": facts.hold_w,
        "threshold_g_per_kwh": facts.threshold_g_per_kwh,
        "decision": dict(facts.decision) if facts.decision is not None else None,
        "labels": _texts(facts.labels),
        "machine": _texts(facts.machine),
        "version": facts.version,
        "samples": f"runs/{facts.run_id}/samples.jsonl",
        "samples_sha256": facts.samples_sha256,
        "simulated": facts.simulated,
        "csv_path": printable(facts.csv_path),
    }
    return {**document, **course_document(facts)}


def course_document(facts: RunFacts) -> dict[str, Any]:
    """What befell a command, as members of a document; none for nothing, as in records written before."""
    told = {"end_note": printable(facts.end_note)} if facts.end_note else {}
    return {**frozen_document(facts.frozen), **told}


def frozen_document(frozen: tuple[Window, ...]) -> dict[str, Any]:
    """The spans in which a command stood still, as a member of a document; none for none, as in records written before."""
    spans = [{"start_at": iso_utc(span.start_at), "end_at": iso_utc(span.end_at)} for span in frozen]
    return {"frozen": spans} if spans else {}


def frozen_from_document(document: Mapping[str, Any]) -> tuple[Window, ...]:
    """The spans out of such a document; raises what reading a document of the wrong shape raises."""
    return tuple(
        Window(start_at=parse_iso_utc(span["start_at"]), end_at=parse_iso_utc(span["end_at"]))
        for span in document.get("frozen", ())
    )


def facts_from_document(document: Mapping[str, Any]) -> RunFacts:
    """The facts out of a run_started, evidence or settlement payload; raises EvidenceDamaged."""
    flat = {**document.get("inputs", {}), **document}
    try:
        return RunFacts(
            run_id=flat["run_id"],
            command=tuple(flat["command"]),
            runnable_at=parse_iso_utc(flat["runnable_at"]),
            latest_start_at=_moment(flat["latest_start_at"]),
            started_at=_moment(flat["started_at"]),
            ended_at=_moment(flat["ended_at"]),
            exit_code=flat["exit_code"],
            place=Place(**flat["place"]),
            embodied=_embodied(flat["embodied"]),
            per=flat["per"],
            count=flat["count"],
            hold_w=flat["hold_w"],
            threshold_g_per_kwh=flat["threshold_g_per_kwh"],
            decision=flat["decision"],
            labels=flat["labels"],
            machine=flat["machine"],
            version=flat["version"],
            samples_sha256=flat["samples_sha256"],
            simulated=flat["simulated"],
            csv_path=flat["csv_path"],
            frozen=frozen_from_document(flat),
            end_note=str(flat.get("end_note", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceDamaged(f"the facts of run {document.get('run_id')} cannot be read: {error!r}") from None


def place_document(place: Place) -> dict[str, Any]:
    """A place as JSON types."""
    return {
        "zone": place.zone,
        "cloud_region": place.cloud_region,
        "pue": place.pue,
        "pue_source": place.pue_source,
        "wue_l_per_kwh": place.wue_l_per_kwh,
    }


def _embodied_document(embodied: Embodied | None) -> dict[str, Any] | None:
    if embodied is None:
        return None
    return {
        "total_g": embodied.total_g.value,
        "low_g": embodied.total_g.low,
        "high_g": embodied.total_g.high,
        "life_h": embodied.life_h,
        "resource_share": embodied.resource_share,
        "source": embodied.source,
    }


def _embodied(document: Mapping[str, Any] | None) -> Embodied | None:
    if document is None:
        return None
    return Embodied(
        total_g=Estimate(value=document["total_g"], low=document["low_g"], high=document["high_g"]),
        life_h=document["life_h"],
        resource_share=document["resource_share"],
        source=document["source"],
    )


def reading_document(reading: Reading) -> dict[str, Any]:
    """Where the intensities came from: what was asked, which step of the chain answered, and the bodies by hash."""
    query = reading.query
    return {
        "query": {
            "zone": query.zone,
            "start_at": iso_utc(query.start_at),
            "end_at": iso_utc(query.end_at),
            "now_at": iso_utc(query.now_at),
            "purpose": query.purpose,
        },
        "provider": reading.series.source.provider if reading.series else None,
        "step": reading.step,
        "fallback_reason": reading.fallback_reason,
        "payloads": [
            {"url": payload.url, "sha256": payload.sha256, "fetched_at": iso_utc(payload.fetched_at)}
            for payload in reading.payloads
        ],
    }


def query_from_document(document: Mapping[str, Any]) -> Query:
    """The query out of an evidence document's inputs; raises EvidenceDamaged."""
    try:
        return Query(
            zone=document["zone"],
            start_at=parse_iso_utc(document["start_at"]),
            end_at=parse_iso_utc(document["end_at"]),
            now_at=parse_iso_utc(document["now_at"]),
            purpose=document["purpose"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceDamaged(f"the query of the intensities cannot be read: {error!r}") from None


def _texts(mapping: Mapping[str, str]) -> dict[str, str]:
    return {printable(str(name)): printable(str(value)) for name, value in mapping.items()}


def _iso(moment: datetime | None) -> str | None:
    return iso_utc(moment) if moment is not None else None


def _moment(text: str | None) -> datetime | None:
    return parse_iso_utc(text) if text is not None else None
