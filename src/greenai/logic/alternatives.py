"""Other starts the user could choose, each useful for a reason of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from greenai.logic.starts import MICROSECOND, hours_of
from greenai.logic.weighing import Weighing
from greenai.model.plan import Alternative
from greenai.model.series import FloatArray

HOW_MANY = 3


def alternatives(weighing: Weighing) -> tuple[Alternative, ...]:
    """Up to three uninterrupted runs at other starts than the chosen one, the most useful first.

    The greenest where it is not the chosen one; the best of another valley; the
    best that halves the wait; the latest; at once; more valleys. Those searched
    for keep half a run, at least a slot, from every start already offered. None
    where every start costs the same.
    """
    if weighing.is_flat:
        return ()
    starts_us = weighing.profile.starts_us()
    taken_us = [(weighing.chosen.windows[0].start_at - weighing.profile.origin_at) // MICROSECOND]
    offers: list[Alternative] = []
    for label, places, apart_us in _ideas(weighing, starts_us, taken_us[0]):
        far = np.abs(starts_us[places, None] - taken_us).min(axis=1) >= apart_us
        if far.any() and len(offers) < HOW_MANY:
            place = int(places[far.argmax()])
            offers.append(_alternative(weighing, label, place))
            taken_us.append(int(starts_us[place]))
    return tuple(offers)


def _ideas(weighing: Weighing, starts_us: NDArray[np.int64], chosen_us: int) -> Iterator[tuple[str, NDArray[np.int64], int]]:
    """Label, places by preference, and how far a place must lie from what is offered already."""
    costs = weighing.profile.costs_g_per_kw
    by_cost = np.argsort(costs, kind="stable")
    valleys = by_cost[np.isin(by_cost, _valleys(starts_us, costs))]
    sooner = by_cost[starts_us[by_cost] - starts_us[0] <= (chosen_us - starts_us[0]) // 2]
    apart_us = max(weighing.profile.step_us, weighing.job.constraints.duration // MICROSECOND // 2)
    greenest = np.array([weighing.profile.greenest()])
    yield ("in one run", greenest, 0) if len(weighing.chosen.windows) > 1 else ("greenest", greenest, 1)
    yield "next best", valleys, apart_us
    yield "best within half the wait", sooner, apart_us
    yield "latest start", np.array([len(costs) - 1]), 1
    yield "now" if weighing.span.first_at == weighing.now_at else "earliest start", np.array([0]), 1
    yield from [("next best", valleys, apart_us)] * HOW_MANY


def _valleys(starts_us: NDArray[np.int64], costs: FloatArray) -> NDArray[np.int64]:
    """Places no dearer than both neighbours, a start that stands twice counted once; the ends have labels of their own."""
    _, places = np.unique(starts_us, return_index=True)
    fenced = np.concatenate(([-np.inf], costs[places], [-np.inf]))
    return places[(fenced[1:-1] <= fenced[:-2]) & (fenced[1:-1] <= fenced[2:])]


def _alternative(weighing: Weighing, label: str, place: int) -> Alternative:
    start_at, duration = weighing.profile.start_at(place), weighing.job.constraints.duration
    cost_g_per_kw = weighing.profile.costs_g_per_kw.item(place)
    return Alternative(
        label=label,
        start_at=start_at,
        end_at=start_at + duration,
        expected_g_per_kwh=cost_g_per_kw / hours_of(duration),
        expected_saving=weighing.saving(cost_g_per_kw),
    )
