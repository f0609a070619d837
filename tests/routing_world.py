"""Places and grids for the tests of choosing where and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.planning_world import HOUR, T0, grid, job, limits

from greenai.logic.moving import Known, Moving, PlaceLimits, Weights
from greenai.logic.routing import Question
from greenai.model.place import Site
from greenai.model.zone import Place


def known(name: str, values: Sequence[float] | None, *, step: str = "live", why: str = "", **changes: Any) -> Known:
    """A site with its grid, hourly from T0 on; `changes` are those of the series, the place and the site."""
    zone = changes.pop("zone", "GB")
    series = {key: changes.pop(key) for key in ("basis", "scope") if key in changes}
    pue = changes.pop("pue", 1.0)
    stated = {} if pue is None else {"pue": pue, "pue_source": "stated"}
    place = Place(zone=zone, wue_l_per_kwh=changes.pop("wue", None), **stated)
    told = None if values is None else grid(values, HOUR, zone=zone, **series)
    return Known(site=Site(name=name, place=place, **changes), series=told, step=step, why=why)


def question(
    hours: float = 2,
    slack_h: float = 6,
    *,
    home: str = "home",
    min_saving: float = 0.0,
    now_at: datetime = T0,
    rules: PlaceLimits | None = None,
    moving: Moving | None = None,
    weights: Weights | None = None,
    power_kw: float = 1.0,
    **changes: Any,
) -> Question:
    """A job of so many hours from T0 on."""
    asked = limits(timedelta(hours=hours), timedelta(hours=slack_h), min_saving=min_saving, **changes)
    return Question(
        job=job(asked),
        now_at=now_at,
        home=home,
        power_kw=power_kw,
        limits=rules or PlaceLimits(),
        moving=moving or Moving(),
        weights=weights or Weights(),
    )


def asked_again(asked: Question, **changes: Any) -> Question:
    """The same question with other words."""
    return replace(asked, **changes)
