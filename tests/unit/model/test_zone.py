"""Places: what a building may be described as."""

from __future__ import annotations

import pytest

from greenai.errors import InputError
from greenai.model.zone import Place, country_of


@pytest.mark.parametrize("pue", [0.99, 0, float("nan"), float("inf")])
def test_a_pue_is_at_least_one(pue):
    with pytest.raises(InputError, match="PUE"):
        Place(zone="GB", pue=pue)


@pytest.mark.parametrize("wue", [-0.1, float("nan"), float("inf")])
def test_a_wue_is_not_negative(wue):
    with pytest.raises(InputError, match="WUE"):
        Place(zone="GB", wue_l_per_kwh=wue)


def test_who_stated_the_pue():
    assert not Place(zone="GB").pue_stated
    assert Place(zone="GB", pue=1.0, pue_source="setting pue").pue_stated


def test_the_country_of_a_zone():
    assert [country_of(zone) for zone in ("GB-13", "us-cal-ciso", "DE")] == ["GB", "US", "DE"]
