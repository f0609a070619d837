"""A choice of place as JSON types (schemas/places.schema.json), and what it does on the other basis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenai.logic.beside import Beside
from greenai.logic.moving import TRANSFER_KWH_PER_GB
from greenai.logic.routing import Offer, Priced, Question, Routing
from greenai.model.footprint import Estimate
from greenai.model.place import Site
from greenai.model.units import iso_utc

SCHEMA = "greenai.places/1"


def bases_disagree(routing: Routing, besides: Mapping[str, Beside]) -> bool | None:
    """Whether one basis says that moving saves and the other that it costs; None where the other is not known of both."""
    chosen, home = routing.chosen, routing.home
    there, here = besides.get(chosen.site.name), besides.get(home.site.name)
    if chosen.priced is None or home.priced is None or there is None or here is None:
        return None
    return (chosen.priced.run_g - home.priced.run_g) * (_run_g(chosen.priced, there) - _run_g(home.priced, here)) < 0


def _run_g(priced: Priced, beside: Beside) -> float:
    """The run by the other basis, at the time that was planned on the first."""
    return priced.it_kwh * priced.pue * beside.planned_g_per_kwh


def routing_document(question: Question, routing: Routing, besides: Mapping[str, Beside]) -> dict[str, Any]:
    """The choice as JSON types; times RFC 3339 in UTC, null where nothing is known."""
    return {
        "schema": SCHEMA,
        "made_at": iso_utc(question.now_at),
        "home": routing.home.site.name,
        "chosen": routing.chosen.site.name,
        "reason": routing.reason,
        "power_kw": question.power_kw,
        "data_gb": question.moving.data_gb,
        "transfer_kwh_per_gb": _estimate(TRANSFER_KWH_PER_GB),
        "restart_cost_s": question.moving.restart_cost.total_seconds(),
        "g_per_money": question.weights.g_per_money,
        "g_per_l": question.weights.g_per_l,
        "bases_disagree": bases_disagree(routing, besides),
        "places": [_offer(offer, routing, besides.get(offer.site.name)) for offer in routing.offers],
    }


def _offer(offer: Offer, routing: Routing, beside: Beside | None) -> dict[str, Any]:
    series, decision = offer.known.series, offer.decision
    return {
        **site_document(offer.site),
        "chosen": offer is routing.chosen,
        "home": offer.at_home,
        "refused": list(offer.refused),
        "flags": list(offer.flags),
        "step": offer.known.step,
        "provider": series.source.provider if series else None,
        "kind": series.kind if series else None,
        "basis": series.basis if series else None,
        "scope": series.scope if series else None,
        "fallback_reason": offer.known.why or None,
        "windows": [
            {"start_at": iso_utc(window.start_at), "end_at": iso_utc(window.end_at)}
            for window in (decision.windows if decision else ())
        ],
        "expected_g_per_kwh": decision.expected_g_per_kwh if decision else None,
        **_prices(offer.priced),
        "objective_g": offer.objective_g,
        "other_basis": None
        if beside is None
        else {"basis": beside.basis, "provider": beside.provider, "g_per_kwh": beside.planned_g_per_kwh},
    }


def site_document(site: Site) -> dict[str, Any]:
    """What is stated of a place."""
    return {
        "name": site.name,
        "title": site.title,
        "zone": site.place.zone,
        "country": site.country,
        "pue": site.place.pue if site.place.pue_stated else None,
        "pue_source": site.place.pue_source,
        "wue_l_per_kwh": site.place.wue_l_per_kwh,
        "price_per_h": site.price_per_h,
        "currency": site.currency or None,
        "hardware": None if site.hardware is None else sorted(site.hardware),
    }


def _prices(priced: Priced | None) -> dict[str, Any]:
    if priced is None:
        names = ("it_kwh", "pue_taken", "run_g", "transfer_g", "total_g", "water_l", "money", "delay_s", "difference_g")
        return dict.fromkeys(names)
    return {
        "it_kwh": priced.it_kwh,
        "pue_taken": priced.pue,
        "run_g": priced.run_g,
        "transfer_g": _estimate(priced.transfer_g),
        "total_g": _estimate(priced.total_g),
        "water_l": priced.water_l,
        "money": priced.money,
        "delay_s": priced.delay.total_seconds(),
        "difference_g": None if priced.difference_g is None else _estimate(priced.difference_g),
    }


def _estimate(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
