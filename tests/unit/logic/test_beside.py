"""A plan on the other basis: beside it, and the flag where the two disagree."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from greenai.logic.beside import beside
from greenai.model.plan import Window
from greenai.model.series import IntensitySeries, Source

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def other(*values: float) -> IntensitySeries:
    source = Source(provider="watttime", url="https://w.example/", fetched_at=NOW, payload_sha256="0")
    return IntensitySeries(start_at=NOW, step=HOUR, values=np.array(values), zone="DE", basis="marginal", source=source)


def decision(saving: float, *hours: int) -> SimpleNamespace:
    windows = tuple(Window(start_at=NOW + hour * HOUR, end_at=NOW + (hour + 1) * HOUR) for hour in hours)
    return SimpleNamespace(windows=windows, expected_saving=saving)


@pytest.mark.parametrize(
    ("saving", "values", "share", "disagrees"),
    [
        (0.2, (100, 50), 0.5, False),
        (0.2, (100, 150), -0.5, True),
        (-0.2, (100, 50), 0.5, True),
        (0, (100, 50), 0.5, False),
        (0.2, (100, 100), 0, False),
        (0.2, (0, 50), 0, True),
    ],
)
def test_the_two_disagree_where_their_signs_do(saving, values, share, disagrees):
    found = beside(decision(saving, 1), other(*values), NOW)
    assert (found.at_once_g_per_kwh, found.planned_g_per_kwh) == values
    assert (found.saving, found.disagrees, found.basis, found.provider) == (share, disagrees, "marginal", "watttime")


def test_pieces_are_weighed_by_their_length():
    assert beside(decision(0.1, 1, 3), other(100, 50, 900, 70), NOW).planned_g_per_kwh == 60
    assert beside(decision(0.1, 1, 3), other(100, 50, 900, 70), NOW).at_once_g_per_kwh == 75


def test_what_does_not_reach_says_nothing():
    assert beside(decision(0.1, 4), other(100, 50), NOW) is None
    assert beside(decision(0.1), other(100, 50), NOW) is None
    assert beside(decision(0.1, 1), replace(other(100, 50), start_at=NOW + HOUR / 2), NOW) is None
