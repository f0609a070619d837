"""Estimates: sums and multiples keep their order."""

from __future__ import annotations

from greenai.model.footprint import Estimate

SOME = Estimate(value=2.0, low=1.0, high=4.0)


def test_estimates_add_and_scale_end_by_end():
    assert SOME.plus(SOME) == SOME.scaled(2) == Estimate(value=4.0, low=2.0, high=8.0)
    assert SOME.plus(Estimate.exact(1.0)) == Estimate(value=3.0, low=2.0, high=5.0)
