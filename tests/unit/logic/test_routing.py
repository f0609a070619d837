"""Where and when together: against brute force, under hard limits, with every cost of moving."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from tests.planning_world import HOUR, T0
from tests.routing_world import asked_again, known, question

from greenai.errors import InputError, NoFeasibleWindow
from greenai.logic.moving import TRANSFER_KWH_PER_GB, UNSTATED_PUE_AWAY, Moving, PlaceLimits, Weights
from greenai.logic.placing import greenest, interruptible
from greenai.logic.routing import DOUBTFUL, route
from greenai.model.place import Point

FLAT = [100.0] * 12


def by_name(routing):
    return {offer.site.name: offer for offer in routing.offers}


def brute_force(asked, places, minute=30):
    """The least objective over every place and every start on a fine grid, written out again without the planner."""
    best = None
    home = next(one for one in places if one.site.name == asked.home)
    for one in places:
        away = one is not home
        length = asked.job.constraints.duration + (asked.moving.restart_cost if away else timedelta(0))
        fixed_g = 0.0
        if away and asked.moving.data_gb:
            means = [series.values[: hours_shown(asked)].mean() for series in (home.series, one.series)]
            fixed_g = asked.moving.data_gb * 0.001 * sum(means) / 2
        hours = length / HOUR
        money = one.site.price_per_h * hours + (asked.moving.data_gb * asked.moving.egress_price_per_gb if away else 0)
        water_l = one.site.place.wue_l_per_kwh * asked.power_kw * hours
        start = T0
        while start + length <= asked.job.constraints.deadline_at:
            run_g = asked.power_kw * one.site.place.pue * one.series.integral_g_per_kw(start, start + length)
            total = run_g + fixed_g + asked.weights.g_per_money * money + asked.weights.g_per_l * water_l
            best = total if best is None else min(best, total)
            start += timedelta(minutes=minute)
    return best


def hours_shown(asked):
    return int((asked.job.constraints.deadline_at - T0) / HOUR)


@pytest.mark.parametrize("seed", range(40))
def test_the_choice_is_the_least_over_place_and_time(seed):
    draw = np.random.default_rng(seed)
    places = [
        known(
            name,
            draw.uniform(10, 600, 12),
            pue=float(draw.uniform(1, 2)),
            wue=float(draw.uniform(0, 2)),
            price_per_h=float(draw.uniform(0, 3)),
            currency="EUR",
        )
        for name in ("home", "b", "c", "d")
    ]
    asked = question(
        hours=float(draw.integers(1, 7)) / 2,
        slack_h=6,
        power_kw=float(draw.uniform(0.1, 10)),
        moving=Moving(
            data_gb=float(draw.uniform(0, 500)),
            restart_cost=timedelta(minutes=30 * int(draw.integers(0, 3))),
            egress_price_per_gb=0.05,
        ),
        weights=Weights(g_per_money=float(draw.uniform(0, 50)), g_per_l=float(draw.uniform(0, 20))),
    )
    # The deadline lies on the hour, so that the plain mean of the brute force is that of the span.
    found = route(asked, places, greenest).chosen.objective_g
    if (asked.job.constraints.deadline_at - T0) % HOUR:
        asked = asked_again(asked, moving=Moving(restart_cost=asked.moving.restart_cost))
        found = route(asked, places, greenest).chosen.objective_g
    assert found == pytest.approx(brute_force(asked, places), rel=1e-9)


def test_time_and_place_are_chosen_together():
    # At once b is best, and home is best of all, later.
    routing = route(question(hours=1), [known("home", [300, 300, 10, 300] * 3), known("b", FLAT)], greenest)
    assert routing.chosen.at_home
    assert routing.chosen.decision.start_at == T0 + 2 * HOUR
    assert routing.reason.startswith("staying home is best, started ")
    assert routing.chosen.priced.delay == 2 * HOUR
    assert [offer.priced.difference_g.value for offer in routing.offers] == [0, 90]


def test_the_policy_of_the_job_plans_at_each_place():
    grid = [100, 10, 100, 100, 10, 100] * 2
    whole = route(question(), [known("home", grid)], greenest)
    pieces = route(question(interruptible=True), [known("home", grid)], interruptible)
    assert whole.chosen.priced.run_g == pytest.approx(110)
    assert pieces.chosen.priced.run_g == pytest.approx(20)
    assert len(pieces.chosen.decision.windows) == 2


def test_moving_must_be_worth_it():
    places = [known("home", FLAT), known("b", [98.0] * 12)]
    stays = route(question(min_saving=0.03), places, greenest)
    assert stays.chosen.at_home
    assert stays.reason == "not worth moving: b saves 2 %, below the minimum of 3 %; started at once"
    moves = route(question(min_saving=0.01), places, greenest)
    assert moves.chosen.site.name == "b"
    assert moves.reason == "b saves 2 % of staying home, started at once"


def test_equals_stay_home_and_a_clean_home_is_not_left():
    assert route(question(), [known("b", FLAT), known("home", FLAT)], greenest).chosen.at_home
    assert route(question(), [known("b", [0.0] * 12), known("home", [0.0] * 12)], greenest).chosen.at_home


def test_data_and_restart_are_charged_where_the_job_moves():
    asked = question(slack_h=0, moving=Moving(data_gb=1000, restart_cost=HOUR / 2, egress_price_per_gb=0.09), power_kw=2)
    places = [known("home", [300.0] * 12, price_per_h=1, currency="EUR"), known("b", FLAT, price_per_h=4, currency="EUR")]
    with pytest.raises(NoFeasibleWindow):
        route(asked, [known("home", None), places[1]], greenest)
    found = by_name(route(asked_again(asked, job=question(slack_h=1).job), places, greenest))
    home, away = found["home"].priced, found["b"].priced
    assert (home.transfer_g.value, home.it_kwh, home.money) == (0, 4, 2)
    assert (away.it_kwh, away.run_g, away.money) == (5, 500, 4 * 2.5 + 90)
    assert (away.transfer_g.value, away.transfer_g.low, away.transfer_g.high) == pytest.approx((200, 200, 12_000))
    assert away.difference_g.value == pytest.approx(700 - 1200)
    assert away.difference_g.high == pytest.approx(12_500 - 1200)
    assert DOUBTFUL in found["b"].flags
    assert DOUBTFUL not in found["home"].flags


def test_the_network_energy_is_a_range():
    assert 0 < TRANSFER_KWH_PER_GB.low <= TRANSFER_KWH_PER_GB.value < TRANSFER_KWH_PER_GB.high


def test_an_unknown_home_leaves_the_other_end_of_the_path():
    asked = question(moving=Moving(data_gb=1000))
    routing = route(asked, [known("home", None, why="no such grid"), known("b", FLAT)], greenest)
    assert routing.chosen.site.name == "b"
    assert routing.chosen.priced.transfer_g.value == pytest.approx(100)
    assert routing.chosen.priced.difference_g is None
    assert routing.reason == (
        "b is the best that can be chosen; home (home) cannot be: nothing is known of the grid of GB: no such grid"
    )


def test_a_place_without_a_source_is_shown_and_not_chosen():
    found = by_name(route(question(), [known("home", FLAT), known("b", None, zone="XX", step="none")], greenest))
    assert found["b"].refused == ("nothing is known of the grid of XX",)
    assert found["b"].objective_g is None
    assert found["b"].priced is None


def test_two_bases_are_never_compared():
    found = route(question(), [known("home", FLAT), known("b", [1.0] * 12, basis="marginal")], greenest)
    assert found.chosen.at_home
    away = by_name(found)["b"]
    assert away.refused == ("its source gives marginal intensities, home's average: not to be compared",)
    assert away.priced.difference_g is None


def test_the_path_is_priced_on_one_basis():
    asked = question(moving=Moving(data_gb=1000))
    found = by_name(route(asked, [known("home", FLAT), known("b", [1.0] * 12, basis="marginal")], greenest))
    assert found["b"].priced.transfer_g.value == pytest.approx(1)


def test_two_scopes_are_compared_with_a_flag_or_not_at_all():
    places = [known("home", FLAT, scope="lifecycle"), known("b", [50.0] * 12, scope="direct")]
    words = "direct emissions against lifecycle ones of GB: not the same sum"
    found = by_name(route(question(), places, greenest))
    assert (found["b"].flags, found["b"].refused) == ((words,), ())
    strict = route(question(rules=PlaceLimits(same_scope=True)), places, greenest)
    assert strict.chosen.at_home
    assert by_name(strict)["b"].refused == (words,)


@pytest.mark.parametrize(
    ("zone", "step", "flag"),
    [
        ("FR", "annual", "a flat yearly mean"),
        ("WORLD", "annual", "a flat yearly mean"),
        ("IN-WE", "annual", "a flat yearly mean of the whole of IN"),
        ("FR", "climatology", "typical days, not a forecast"),
        ("FR", "old-archive", "an older forecast from the archive"),
    ],
)
def test_weaker_numbers_are_flagged(zone, step, flag):
    assert by_name(route(question(), [known("home", FLAT), known("b", FLAT, zone=zone, step=step)], greenest))["b"].flags == (
        flag,
    )
    assert by_name(route(question(), [known("home", FLAT)], greenest))["home"].flags == ()


def test_what_is_not_known_of_a_building_never_argues_for_moving():
    found = by_name(route(question(), [known("home", FLAT, pue=None), known("b", FLAT, pue=None)], greenest))
    assert (found["home"].priced.pue, found["b"].priced.pue) == (1.0, UNSTATED_PUE_AWAY)
    assert found["home"].flags == ("PUE not stated, 1 taken",)
    assert found["b"].flags == ("PUE not stated, 1.58 taken",)


LONDON, PARIS = Point(latitude_degrees=51.5, longitude_degrees=-0.1), Point(latitude_degrees=48.9, longitude_degrees=2.4)
CLEAN = [1.0] * 12


@pytest.mark.parametrize(
    ("rules", "stated", "why"),
    [
        ({"allowed": ("GB",)}, {"country": "FR"}, "FR is not allowed (GB)"),
        ({"max_price_per_h": 2}, {}, "its price is not stated"),
        ({"max_price_per_h": 2}, {"price_per_h": 3, "currency": "EUR"}, "it costs 3 EUR an hour, more than 2"),
        ({"hardware": "A100"}, {}, "what hardware it has is not stated"),
        ({"hardware": "A100"}, {"hardware": frozenset({"v100"})}, "it has no A100"),
        ({"near": LONDON, "within_km": 100}, {}, "where it stands is not stated"),
        ({"near": LONDON, "within_km": 100}, {"point": PARIS}, "it is 339 km away, more than 100"),
        ({"near": LONDON, "max_round_trip_ms": 2}, {"point": PARIS}, "light needs 3 ms there and back, more than 2"),
    ],
)
def test_a_hard_limit_is_kept_whatever_is_saved(rules, stated, why):
    home = {"price_per_h": 1, "currency": "EUR", "hardware": frozenset({"a100"}), "point": LONDON}
    routing = route(question(rules=PlaceLimits(**rules)), [known("home", FLAT, **home), known("b", CLEAN, **stated)], greenest)
    assert routing.chosen.at_home
    assert by_name(routing)["b"].refused == (why,)
    # It is still shown what it would have come to.
    assert by_name(routing)["b"].priced.difference_g.value < 0


@pytest.mark.parametrize(
    ("rules", "stated"),
    [
        ({"max_price_per_h": 2}, {"price_per_h": 2, "currency": "EUR"}),
        ({"hardware": "A100"}, {"hardware": frozenset({"a100"})}),
        ({"near": LONDON, "within_km": 400, "max_round_trip_ms": 4}, {"point": PARIS}),
    ],
)
def test_what_keeps_the_limits_may_be_chosen(rules, stated):
    routing = route(question(rules=PlaceLimits(**rules)), [known("home", FLAT), known("b", CLEAN, **stated)], greenest)
    assert routing.chosen.site.name == "b"
    assert by_name(routing)["home"].refused == ()


@pytest.mark.parametrize(
    ("rules", "flag"),
    [
        ({"max_price_per_h": 2}, "its price is not stated"),
        ({"hardware": "a100"}, "what hardware it has is not stated"),
        ({"near": LONDON, "within_km": 100}, "where it stands is not stated"),
        ({"near": LONDON, "max_round_trip_ms": 1}, "where it stands is not stated"),
    ],
)
def test_what_nobody_stated_of_home_is_no_reason_to_leave_it(rules, flag):
    away = known("b", [200.0] * 12, price_per_h=1, currency="EUR", hardware=frozenset({"a100"}), point=LONDON)
    routing = route(question(rules=PlaceLimits(**rules)), [known("home", FLAT), away], greenest)
    assert routing.chosen.at_home
    assert routing.chosen.flags == (flag,)


def test_a_distance_needs_a_point():
    with pytest.raises(InputError, match="needs the point"):
        PlaceLimits(within_km=3)
    with pytest.raises(InputError, match="needs the point"):
        PlaceLimits(max_round_trip_ms=3)


def test_where_nothing_can_be_chosen_each_place_says_why():
    with pytest.raises(NoFeasibleWindow, match=r"home: GB is not allowed \(FR\); b: DE is not allowed \(FR\)"):
        route(question(rules=PlaceLimits(allowed=("FR",))), [known("home", FLAT), known("b", FLAT, country="DE")], greenest)
    with pytest.raises(NoFeasibleWindow, match=r"^no place can be chosen: GB is not allowed \(FR\)$"):
        route(question(rules=PlaceLimits(allowed=("FR",))), [known("home", FLAT), known("b", FLAT)], greenest)


def test_what_weighs_must_be_known():
    weighed = question(weights=Weights(g_per_money=1, g_per_l=1))
    home = known("home", FLAT, price_per_h=1, currency="EUR", wue=0.0)
    found = by_name(route(weighed, [home, known("b", CLEAN)], greenest))
    assert found["b"].refused == ("its price is weighed and not stated", "its WUE is weighed and not stated")
    assert found["home"].objective_g == pytest.approx(202)


def test_weights_decide_between_places():
    thirsty = known("b", [50.0] * 12, wue=3.0)
    assert route(question(), [known("home", FLAT, wue=0.1), thirsty], greenest).chosen.site.name == "b"
    assert route(question(weights=Weights(g_per_l=20)), [known("home", FLAT, wue=0.1), thirsty], greenest).chosen.at_home


def test_two_currencies_are_shown_and_never_compared():
    places = [known("home", FLAT, price_per_h=1, currency="EUR"), known("b", CLEAN, price_per_h=1, currency="USD")]
    assert route(question(), places, greenest).chosen.site.name == "b"
    for asked in (question(weights=Weights(g_per_money=1)), question(rules=PlaceLimits(max_price_per_h=9))):
        with pytest.raises(InputError, match="EUR and USD cannot be compared"):
            route(asked, places, greenest)


def test_a_place_where_the_job_no_longer_fits_says_so():
    asked = question(slack_h=1, moving=Moving(restart_cost=2 * HOUR))
    found = by_name(route(asked, [known("home", FLAT), known("b", CLEAN)], greenest))
    assert "cannot end by" in found["b"].refused[0]
    assert found["b"].decision is None


def test_a_series_that_ends_too_soon_or_a_start_that_has_passed_is_no_plan():
    found = by_name(route(question(hours=4), [known("home", FLAT), known("b", CLEAN[:2])], greenest))
    assert "not a run of 4 h" in found["b"].refused[0]
    with pytest.raises(NoFeasibleWindow, match="the latest start was"):
        route(question(now_at=T0 + 7 * HOUR), [known("home", FLAT)], greenest)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Moving(data_gb=-1),
        lambda: Moving(restart_cost=-HOUR),
        lambda: Moving(egress_price_per_gb=-1),
        lambda: Weights(g_per_l=-1),
        lambda: Weights(g_per_money=-1),
        lambda: question(power_kw=0),
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(InputError):
        wrong()
