"""Points, distances, and what a place may state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenai.errors import InputError
from greenai.model.place import Point, Site, least_round_trip_ms
from greenai.model.zone import Place

LONDON = Point(latitude_degrees=51.5074, longitude_degrees=-0.1278)
PARIS = Point(latitude_degrees=48.8566, longitude_degrees=2.3522)
points = st.builds(Point, latitude_degrees=st.floats(-90, 90), longitude_degrees=st.floats(-180, 180))


def test_london_to_paris_is_344_km():
    assert LONDON.distance_km(PARIS) == pytest.approx(343.6, abs=0.5)


def test_half_around_the_world_is_the_longest_way():
    pole, other = Point(latitude_degrees=90, longitude_degrees=0), Point(latitude_degrees=-90, longitude_degrees=77)
    assert pole.distance_km(other) == pytest.approx(20015.1, abs=0.5)


@given(points, points)
def test_a_distance_is_the_same_both_ways(here, there):
    assert here.distance_km(there) == pytest.approx(there.distance_km(here), abs=1e-6)
    assert 0 <= here.distance_km(there) <= 20015.2
    assert here.distance_km(here) == 0


@pytest.mark.parametrize("where", [(91, 0), (-91, 0), (0, 181), (0, -181), (float("nan"), 0)])
def test_what_is_no_point_on_earth_is_refused(where):
    with pytest.raises(InputError, match="no point on Earth"):
        Point(latitude_degrees=where[0], longitude_degrees=where[1])


def test_light_needs_a_millisecond_for_a_hundred_kilometres_there_and_back():
    assert least_round_trip_ms(100) == 1


@pytest.mark.parametrize("price", [-1, float("inf"), float("nan")])
def test_a_price_is_a_number_from_0(price):
    with pytest.raises(InputError, match="must be 0 or more"):
        Site(name="cellar", place=Place(zone="DE"), price_per_h=price, currency="EUR")


def test_a_price_without_a_currency_says_nothing():
    with pytest.raises(InputError, match="no currency"):
        Site(name="cellar", place=Place(zone="DE"), price_per_h=1)


def test_country_and_cloud_follow_from_zone_and_name():
    assert Site(name="cellar", place=Place(zone="US-CAL-CISO")).country == "US"
    assert Site(name="cellar", place=Place(zone="DE"), country="AT").country == "AT"
    assert Site(name="cellar:a", place=Place(zone="DE")).cloud == ""
    assert Site(name="aws:eu-west-2", place=Place(zone="GB", cloud_region="aws:eu-west-2")).cloud == "aws"
