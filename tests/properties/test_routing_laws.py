"""Laws of choosing a place: more choice never hurts, hard limits hold, and the difference is the other's with its sign turned."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.routing_world import asked_again, known, question

from greenai.errors import NoFeasibleWindow
from greenai.logic.moving import Moving, PlaceLimits, Weights
from greenai.logic.placing import greenest
from greenai.logic.routing import route

grids = st.lists(st.floats(0, 900), min_size=12, max_size=12)
numbers = st.floats(0, 3)


@st.composite
def sites(draw, names):
    return [
        known(
            name,
            draw(grids),
            pue=draw(st.floats(1, 2)),
            wue=draw(numbers),
            price_per_h=draw(numbers),
            currency="EUR",
            country=draw(st.sampled_from(["DE", "FR"])),
            hardware=frozenset(draw(st.sets(st.sampled_from(["a100", "v100"])))),
        )
        for name in names
    ]


moves = st.builds(
    Moving,
    data_gb=st.floats(0, 500),
    restart_cost=st.sampled_from([timedelta(0), timedelta(minutes=20)]),
    egress_price_per_gb=numbers,
)
weights = st.builds(Weights, g_per_money=st.floats(0, 40), g_per_l=st.floats(0, 40))
least = st.sampled_from([0.0, 0.03, 0.3])


@given(sites(["home", "b", "c", "d"]), moves, weights, least)
def test_adding_a_place_never_makes_the_objective_worse(places, moving, weighed, min_saving):
    asked = question(moving=moving, weights=weighed, min_saving=min_saving)
    chosen = [route(asked, places[:count], greenest).chosen.objective_g for count in (1, 2, 3, 4)]
    assert all(more <= fewer * (1 + 1e-9) + 1e-9 for fewer, more in pairwise(chosen))


@given(sites(["home", "b", "c", "d"]), st.sampled_from(["DE", "FR"]), numbers, st.sampled_from(["", "a100"]), least)
def test_hard_limits_are_never_broken(places, country, price, hardware, min_saving):
    rules = PlaceLimits(allowed=(country,), max_price_per_h=price, hardware=hardware)
    asked = question(rules=rules, min_saving=min_saving)
    lawful = {
        one.site.name
        for one in places
        if one.site.country == country and one.site.price_per_h <= price and (not hardware or hardware in one.site.hardware)
    }
    if not lawful:
        with pytest.raises(NoFeasibleWindow):
            route(asked, places, greenest)
        return
    routing = route(asked, places, greenest)
    assert routing.chosen.site.name in lawful
    assert {offer.site.name for offer in routing.offers if not offer.refused} == lawful


@given(sites(["home", "b"]), st.floats(0, 500))
def test_the_difference_changes_its_sign_with_home_and_away(places, data_gb):
    """And what moving costs, which is the same both ways, is what the two together differ from nothing by."""
    asked = question(moving=Moving(data_gb=data_gb))
    there = {offer.site.name: offer.priced for offer in route(asked, places, greenest).offers}
    back = {offer.site.name: offer.priced for offer in route(asked_again(asked, home="b"), places, greenest).offers}
    gone, returned = there["b"].difference_g.value, back["home"].difference_g.value
    moved = there["b"].transfer_g.value + back["home"].transfer_g.value
    assert gone + returned == pytest.approx(moved, rel=1e-9, abs=1e-6)
    if not data_gb:
        assert gone == pytest.approx(-returned, rel=1e-9, abs=1e-6)
    assert there["home"].difference_g.value == back["b"].difference_g.value == 0


@given(sites(["home", "b"]), st.floats(0, 500), st.floats(1, 3))
def test_more_data_never_makes_moving_cheaper(places, data_gb, factor):
    few = route(question(moving=Moving(data_gb=data_gb)), places, greenest)
    many = route(question(moving=Moving(data_gb=data_gb * factor)), places, greenest)
    assert {offer.site.name: offer.priced.total_g.value for offer in few.offers}["b"] <= (
        {offer.site.name: offer.priced.total_g.value for offer in many.offers}["b"] * (1 + 1e-12) + 1e-9
    )


@given(sites(["home", "b", "c"]), st.floats(0.1, 10))
def test_twice_the_power_is_twice_the_grams(places, power_kw):
    once, twice = (route(question(power_kw=kw), places, greenest) for kw in (power_kw, 2 * power_kw))
    assert twice.chosen.priced.run_g == pytest.approx(2 * once.chosen.priced.run_g)
    assert twice.chosen.site.name == once.chosen.site.name or twice.chosen.objective_g == pytest.approx(
        2 * once.chosen.objective_g
    )
