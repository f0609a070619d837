"""Run now, wait, or too late: the decision, its reason in words, and its document."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from importlib import resources
from itertools import pairwise

import jsonschema
import numpy as np
import pytest
from tests.planning_world import HOUR, MINUTE, T0, grid, job, limits

from greenai.errors import InputError, NoFeasibleWindow
from greenai.logic import placing
from greenai.logic.deciding import decide, decision_document
from greenai.logic.plan_document import series_sha256
from greenai.logic.wording import g_per_kwh, loud, percent, span_words
from greenai.model.intensity import Payload, Query, Reading
from greenai.model.job import Constraints
from greenai.model.plan import Decision, Plan, Window
from greenai.model.series import IntensitySeries

HOURS = np.arange(96) / 2
NIGHT_AND_DAY = grid(np.round(200 + 100 * np.cos(HOURS / 24 * 2 * np.pi) + 40 * np.sin(HOURS * 1.5)))
"""Dirty at T0, clean twelve hours later, with ripples."""


def decided(
    constraints: Constraints, *, policy: str = "greenest", series: IntensitySeries | None = NIGHT_AND_DAY, at=T0
) -> Decision:
    return decide(job(constraints, policy), series, getattr(placing, policy), at)


def reading(series: IntensitySeries | None) -> Reading:
    query = Query(zone="GB", start_at=T0, end_at=T0 + 26 * HOUR, now_at=T0, purpose="forecast")
    payload = Payload(url="https://grid.example/fw48h", body=b"{}", sha256="cd" * 32, fetched_at=T0)
    if series is None:
        return Reading(series=None, step="none", fallback_reason="uk: no answer", query=query)
    return Reading(series=series, step="live", fallback_reason=None, payloads=(payload,), query=query)


def test_waits_for_the_greenest_window_and_says_what_that_saves():
    decision = decided(limits(2 * HOUR, 24 * HOUR))
    start_at = decision.start_at
    assert decision.action == "wait"
    assert decision.expected_g_per_kwh == pytest.approx(NIGHT_AND_DAY.mean_g_per_kwh(start_at, start_at + 2 * HOUR))
    assert decision.at_once_g_per_kwh == pytest.approx(NIGHT_AND_DAY.mean_g_per_kwh(T0, T0 + 2 * HOUR))
    assert decision.expected_saving == pytest.approx(1 - decision.expected_g_per_kwh / decision.at_once_g_per_kwh)
    assert decision.reason == "waiting 11 h until Sun 29 Mar 09:00 UTC saves 76 %: 76 instead of 322 g/kWh"
    assert decision.notes == ()


def test_the_worst_start_is_the_dirtiest_admissible_one():
    decision = decided(limits(2 * HOUR, 24 * HOUR))
    starts = [T0 + i * MINUTE for i in range(24 * 60 + 1)]
    assert decision.worst_g_per_kwh == pytest.approx(max(NIGHT_AND_DAY.mean_g_per_kwh(at, at + 2 * HOUR) for at in starts))


def test_now_is_chosen_when_now_is_greenest():
    decision = decided(limits(HOUR, 6 * HOUR), at=T0, series=grid([100] * 4 + [200] * 20))
    assert (decision.action, decision.start_at, decision.expected_saving) == ("run", T0, 0.0)
    assert decision.reason == "now is the greenest start before the limit: 100 g/kWh"


@pytest.mark.parametrize("start", [0, 2])
def test_a_plan_made_before_is_told_of_even_where_its_policy_lacks_a_limit(start):
    window = Window(start_at=T0 + start * HOUR, end_at=T0 + (start + 1) * HOUR)
    plan = Plan(windows=(window,), expected_g_per_kwh=100.0, cost_g_per_kw=100.0)
    decision = decide(job(limits(HOUR, 6 * HOUR, min_saving=0.0), "threshold"), grid([200, 200, 100] * 8), lambda *_: plan, T0)
    assert ("waiting 2 h" in decision.reason) == bool(start)
    assert "below" not in decision.reason


def test_a_small_saving_is_not_worth_waiting_for():
    series = grid([200] * 10 + [197.6] * 10)
    decision = decided(limits(HOUR, 9 * HOUR), series=series)
    assert (decision.action, decision.windows) == ("run", (Window(start_at=T0, end_at=T0 + HOUR),))
    assert decision.reason == "not worth waiting: 1.2 % saved by waiting 5 h, below the minimum of 3 %"
    assert (decision.expected_saving, decision.expected_g_per_kwh) == (0.0, decision.at_once_g_per_kwh)
    assert decision.alternatives[0].label == "greenest"
    assert decision.alternatives[0].expected_saving == pytest.approx(0.012)
    asked = decided(limits(HOUR, 9 * HOUR, min_saving=0.01), series=series)
    assert (asked.action, asked.start_at) == ("wait", T0 + 5 * HOUR)


def test_work_done_twice_counts_against_a_plan_with_resumes():
    """The segments are 6.3 % cleaner but run two minutes longer: 3.2 % less is emitted."""
    c = limits(HOUR, HOUR, resume_cost=2 * MINUTE, min_saving=0.05)
    decision = decided(c, policy="interruptible", series=grid([100, 110, 96, 110]))
    assert decision.windows == (Window(start_at=T0, end_at=T0 + HOUR),)
    assert decision.reason.startswith("not worth waiting: 3.2 % saved by running in 2 segments")


def test_a_long_run_is_weighed_by_its_emissions():
    series = grid([200] * 10 + [197.6] * 10)
    assert decided(limits(3 * HOUR, 7 * HOUR), series=series).action == "run"
    assert decided(limits(3 * HOUR, 7 * HOUR, min_saving=0.01), series=series).action == "wait"


def test_a_saving_of_exactly_the_minimum_is_worth_it():
    assert decided(limits(HOUR, 4 * HOUR, min_saving=0.5), series=grid([200] * 4 + [100] * 6)).action == "wait"


def test_pausing_must_be_worth_it_too():
    series = grid([100, 102, 100, 102, 100, 102])
    decision = decided(limits(HOUR, HOUR), policy="interruptible", series=series)
    assert decision.windows == (Window(start_at=T0, end_at=T0 + HOUR),)
    assert decision.reason == (
        "not worth waiting: 1 % saved by running in 2 segments until Sat 28 Mar 23:30 UTC, below the minimum of 3 %"
    )


def test_segments_are_told_with_what_they_save_resumes_included():
    series = grid([100, 900, 100, 600])
    decision = decided(limits(HOUR, HOUR, resume_cost=6 * MINUTE), policy="interruptible", series=series)
    assert decision.action == "run"
    assert decision.expected_g_per_kwh == pytest.approx((50 + 50 + 60) / 1.1)
    assert decision.expected_saving == pytest.approx(1 - 160 / 500)
    assert decision.reason == (
        "running in 2 segments from Sat 28 Mar 22:00 UTC to Sat 28 Mar 23:36 UTC saves 68 %: 145 instead of 500 g/kWh"
    )
    assert decision.alternatives[0].label == "in one run"
    assert decision.alternatives[0].expected_saving == pytest.approx(0.3)


def test_a_rule_of_the_user_stands_whatever_it_saves():
    series = grid([200] * 10 + [197.6] * 10)
    waits = decided(limits(HOUR, 9 * HOUR, max_g_per_kwh=199.9), policy="threshold", series=series)
    assert waits.action == "wait"
    assert waits.reason == "the first start below 199.9 g/kWh is Sun 29 Mar 02:02 UTC: 200 instead of 200 g/kWh"
    assert decided(limits(HOUR, 9 * HOUR), policy="percentile", series=series).start_at > T0 + 4 * HOUR


@pytest.mark.parametrize(
    ("policy", "changes", "reason"),
    [
        ("asap", {}, "policy asap: now is the first start that is allowed, at 300 g/kWh"),
        ("threshold", {"max_g_per_kwh": 350.0}, "now is already below 350 g/kWh: 300 g/kWh"),
        (
            "threshold",
            {"max_g_per_kwh": 50.0},
            "never below 50 g/kWh before the limit; the greenest start is Sun 29 Mar 00:00 UTC: 100 instead of 300 g/kWh",
        ),
        ("percentile", {"percentile": 100.0}, "now is already below percentile 100 of what is expected: 300 g/kWh"),
        (
            "percentile",
            {"percentile": 50.0},
            "the first start below percentile 50 of what is expected is Sat 28 Mar 23:30 UTC: 200 instead of 300 g/kWh",
        ),
    ],
)
def test_each_rule_says_why(policy, changes, reason):
    series = grid([300] * 4 + [100] * 2 + [200] * 3 + [400] * 2)
    assert decided(limits(HOUR, 4 * HOUR, **changes), policy=policy, series=series).reason == reason


def test_a_limit_never_met_from_now_on_is_told_as_the_greenest_start():
    decision = decided(limits(HOUR, HOUR, max_g_per_kwh=50.0), policy="threshold", series=grid([100, 100, 300, 300]))
    assert decision.reason == "now is the greenest start before the limit: 100 g/kWh"
    assert decision.notes == ("never below 50 g/kWh before the limit: the greenest start instead",)


def test_a_flat_series_cannot_justify_a_shift():
    decision = decided(limits(2 * HOUR, 20 * HOUR), series=grid([475.0] * 60, kind="modelled"))
    assert (decision.action, decision.start_at, decision.alternatives) == ("run", T0, ())
    assert decision.reason == "the uk series is flat at 475 g/kWh: it can account for a run, it cannot justify a shift"
    assert decision.notes == ("modelled: one mean for every hour",)
    usual = decided(limits(2 * HOUR, 20 * HOUR), series=grid(NIGHT_AND_DAY.values.tolist(), kind="modelled"))
    assert usual.notes == ("modelled: what such days are usually like, not a forecast of these",)


@pytest.mark.parametrize(
    ("policy", "limit_g_per_kwh", "why"),
    [
        ("threshold", 200.0, "now is already below 200 g/kWh: 150 g/kWh"),
        ("threshold", 100.0, "every start before the limit costs the same, so now: 150 g/kWh"),
        ("greenest", None, "every start before the limit costs the same, so now: 150 g/kWh"),
    ],
)
def test_starts_in_one_slot_of_a_series_that_varies_are_not_called_a_flat_series(policy, limit_g_per_kwh, why):
    series = grid([300, 150, 300], kind="modelled")
    constraints = limits(MINUTE, 20 * MINUTE, earliest_at=T0 + 32 * MINUTE, max_g_per_kwh=limit_g_per_kwh)
    decision = decided(constraints, policy=policy, series=series, at=T0 + 32 * MINUTE)
    assert decision.reason == why
    assert decision.notes[0] == "modelled: what such days are usually like, not a forecast of these"


def test_an_observed_series_is_called_hindsight():
    decision = decided(limits(HOUR, HOUR), series=grid([1, 2, 3, 4], kind="observed"))
    assert decision.notes == ("observed values: the plan knows what a forecast could not",)


def test_nothing_known_runs_now_and_says_so():
    decision = decided(limits(HOUR, 9 * HOUR), series=None)
    assert (decision.action, decision.start_at, decision.expected_saving) == ("run", T0, 0.0)
    assert (decision.at_once_g_per_kwh, decision.expected_g_per_kwh, decision.worst_g_per_kwh) == (None, None, None)
    assert decision.reason == "nothing is known of the grid of GB: no start can be preferred"


def test_a_run_longer_than_the_forecast_is_not_kept_from_running():
    decision = decided(limits(60 * HOUR, 40 * HOUR))
    assert (decision.action, decision.start_at, decision.at_once_g_per_kwh) == ("run", T0, None)
    assert decision.reason == (
        "the uk series covers Sat 28 Mar 22:00 UTC to Mon 30 Mar 22:00 UTC, not a run of 2 d 12 h started at once: "
        "no start can be preferred"
    )


def test_time_the_series_does_not_cover_is_in_the_notes():
    decision = decided(limits(2 * HOUR, 90 * HOUR))
    assert decision.notes == ("the series ends at Mon 30 Mar 22:00 UTC: time beyond it was not considered",)


def test_no_slack_is_told():
    decision = decided(limits(2 * HOUR, 0 * HOUR))
    assert decision.reason == "now is the only start known to fit before Sun 29 Mar 00:00 UTC: 322 g/kWh"
    assert decision.alternatives == ()


def test_a_job_that_may_not_start_yet_waits_for_that():
    later = T0 + 3 * HOUR
    decision = decided(limits(HOUR, HOUR, earliest_at=later), series=grid([50] * 6 + [100] * 2 + [200] * 8))
    assert (decision.action, decision.start_at, decision.at_once_g_per_kwh) == ("wait", later, pytest.approx(100))
    assert decision.reason == "Sun 29 Mar 01:00 UTC is the greenest start before the limit: 100 g/kWh"
    assert decided(limits(HOUR, HOUR, earliest_at=later), series=None).action == "wait"


def test_a_latest_start_that_has_passed_is_a_miss():
    c = limits(2 * HOUR, 3 * HOUR)
    decision = decided(c, at=T0 + 3 * HOUR + 17 * MINUTE)
    assert (decision.action, decision.start_at) == ("miss", T0 + 3 * HOUR + 17 * MINUTE)
    assert decision.reason == (
        "the latest start was Sun 29 Mar 01:00 UTC, 17 min ago: a run started now would end Sun 29 Mar 03:17 UTC; "
        "allow that, or shorten the run to 1 h 43 min"
    )
    assert decided(c, at=T0 + 3 * HOUR).action == "run"


def test_a_job_that_never_fitted_and_one_whose_deadline_has_passed_fit_nowhere():
    with pytest.raises(NoFeasibleWindow, match="cannot end by"):
        decided(limits(5 * HOUR, -HOUR))
    with pytest.raises(NoFeasibleWindow, match="cannot end by"):
        decided(limits(2 * HOUR, 3 * HOUR), at=T0 + 5 * HOUR)
    with pytest.raises(NoFeasibleWindow):
        decided(limits(2 * HOUR, -HOUR), series=None)


def test_a_saving_over_nothing_is_nothing():
    decision = decided(limits(HOUR, 2 * HOUR, min_saving=0.0), series=grid([0, 0, 100, 100, 0, 0]))
    assert (decision.action, decision.expected_saving) == ("run", 0.0)
    assert all(option.expected_saving == 0 for option in decision.alternatives)


@pytest.mark.parametrize(
    "windows",
    [
        (),
        (Window(start_at=T0 - HOUR, end_at=T0 + HOUR),),
        (Window(start_at=T0 + 9 * HOUR, end_at=T0 + 12 * HOUR),),
        (Window(start_at=T0 + 2 * HOUR, end_at=T0 + 3 * HOUR), Window(start_at=T0, end_at=T0 + HOUR)),
    ],
)
def test_a_plug_in_that_plans_outside_the_limits_is_stopped(windows):
    def wild(series, constraints, now_at):
        return Plan(windows=windows, expected_g_per_kwh=1.0, cost_g_per_kw=1.0)

    with pytest.raises(InputError, match="the policy wild planned") as caught:
        decide(job(limits(2 * HOUR, 8 * HOUR), "wild"), NIGHT_AND_DAY, wild, T0)
    assert "--policy" in str(caught.value.hint)


def test_a_plug_in_that_makes_it_worse_is_not_waited_for():
    def latest(series, constraints, now_at):
        return placing.plan_at(series, constraints, constraints.latest_start_at)

    decision = decide(job(limits(HOUR, HOUR, min_saving=0.0), "latest"), grid([100, 100, 200, 200]), latest, T0)
    assert (decision.action, decision.start_at) == ("run", T0)
    assert decision.reason == "not worth waiting: nothing saved by waiting 1 h"


def test_alternatives_are_three_other_starts_each_with_its_saving():
    c = limits(2 * HOUR, 24 * HOUR)
    decision = decided(c)
    assert [option.label for option in decision.alternatives] == ["next best", "best within half the wait", "latest start"]
    starts = [decision.start_at, *(option.start_at for option in decision.alternatives)]
    assert all(abs(one - other) >= HOUR for one, other in pairwise(sorted(starts)))
    for option in decision.alternatives:
        assert c.earliest_at <= option.start_at <= c.latest_start_at
        assert option.end_at - option.start_at == c.duration
        mean = NIGHT_AND_DAY.mean_g_per_kwh(option.start_at, option.end_at)
        assert option.expected_g_per_kwh == pytest.approx(mean)
        assert option.expected_saving == pytest.approx(1 - mean / decision.at_once_g_per_kwh)
    assert decision.alternatives[1].start_at <= T0 + (decision.start_at - T0) / 2


def test_the_first_start_is_offered_where_little_else_is():
    series = grid([300, 300, 100, 100])
    now = decided(limits(HOUR, HOUR), series=series)
    assert [option.label for option in now.alternatives] == ["best within half the wait", "now"]
    later = decided(limits(HOUR, HOUR, earliest_at=T0 + 10 * MINUTE), series=grid([300, 300, 100, 100, 100]))
    assert "earliest start" in [option.label for option in later.alternatives]


@pytest.mark.parametrize(
    ("constraints", "policy", "series"),
    [
        (limits(2 * HOUR, 24 * HOUR), "greenest", NIGHT_AND_DAY),
        (limits(9 * HOUR, 24 * HOUR), "interruptible", NIGHT_AND_DAY),
        (limits(2 * HOUR, 24 * HOUR), "asap", grid([0.0] * 96, kind="modelled", issued_at=None)),
        (limits(2 * HOUR, 24 * HOUR), "greenest", None),
    ],
)
def test_the_document_follows_its_schema_and_is_plain_json(constraints, policy, series):
    decision = decided(constraints, policy=policy, series=series)
    document = decision_document(decision, reading(series))
    check_schema(document)
    check_schema({**document, "run_id": "r1", "command": ["train"]})
    assert json.loads(json.dumps(document)) == document
    assert document["made_at"] == "2026-03-28T22:00:00Z"
    assert document["windows"][0]["start_at"].endswith("Z")
    assert document["reason"] == decision.reason


def test_the_document_of_a_miss_follows_the_schema():
    document = decision_document(decided(limits(2 * HOUR, HOUR), at=T0 + 2 * HOUR), reading(NIGHT_AND_DAY))
    check_schema(document)
    assert document["action"] == "miss"


def test_the_document_names_what_replays_the_decision():
    document = decision_document(decided(limits(2 * HOUR, 24 * HOUR)), reading(NIGHT_AND_DAY))
    source = document["source"]
    assert (source["provider"], source["kind"], source["basis"], source["scope"]) == ("uk", "forecast", "average", "unstated")
    assert (source["issued_at"], source["fetched_at"]) == ("2026-03-28T22:00:00Z", "2026-03-28T22:00:00Z")
    assert source["payload_sha256s"] == ["cd" * 32]
    assert source["series_sha256"] == series_sha256(NIGHT_AND_DAY)
    assert source["query"] == {
        "zone": "GB",
        "start_at": "2026-03-28T22:00:00Z",
        "end_at": "2026-03-30T00:00:00Z",
        "now_at": "2026-03-28T22:00:00Z",
        "purpose": "forecast",
    }


def test_the_document_of_nothing_known_has_nulls_not_zeros():
    document = decision_document(decided(limits(HOUR, HOUR), series=None), reading(None))
    assert document["at_once_g_per_kwh"] is document["expected_g_per_kwh"] is document["worst_g_per_kwh"] is None
    assert {key for key, value in document["source"].items() if value is None} == {
        "provider",
        "kind",
        "basis",
        "scope",
        "issued_at",
        "fetched_at",
        "series_sha256",
    }
    assert document["source"]["fallback_reason"] == "uk: no answer"


def test_the_hash_of_a_series_is_that_of_what_it_says():
    one = grid([1, 2, 3])
    assert series_sha256(one) == series_sha256(grid([1, 2, 3], source=NIGHT_AND_DAY.source))
    others = (grid([1, 2, 4]), grid([1, 2, 3], HOUR), grid([1, 2, 3], scope="direct"), grid([1, 2, 3], start_at=T0 + HOUR))
    assert len({series_sha256(series) for series in (one, *others)}) == 5


def test_the_hash_of_a_series_is_made_once():
    one = grid([1, 2, 3])
    made = series_sha256.cache_info().misses
    assert series_sha256(one) == series_sha256(one) == series_sha256(grid([1, 2, 3]))
    assert series_sha256.cache_info().misses == made + 2


def check_schema(document) -> None:
    schema = json.loads(resources.files("greenai.schemas").joinpath("plan.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(document)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(hours=6, minutes=30, seconds=59), "6 h 30 min"),
        (timedelta(days=2, hours=3, minutes=9), "2 d 3 h"),
        (timedelta(hours=9, seconds=40), "9 h"),
        (timedelta(minutes=9, seconds=40), "9 min 40 s"),
        (timedelta(seconds=45), "45 s"),
        (timedelta(0), "0 s"),
        (timedelta(days=1), "1 d"),
    ],
)
def test_spans_in_words(span, words):
    assert span_words(span) == words


def test_numbers_in_words():
    assert [percent(share) for share in (0.31, 0.012, 0.03, 0.0, -0.045, 0.0996)] == [
        "31 %",
        "1.2 %",
        "3 %",
        "0 %",
        "-4.5 %",
        "10 %",
    ]
    assert [g_per_kwh(value) for value in (142.4, 9.96, 3.14159, 0.0)] == ["142 g/kWh", "10 g/kWh", "3.1 g/kWh", "0 g/kWh"]


def test_what_is_not_live_is_said_loudly_with_the_reason():
    live = reading(NIGHT_AND_DAY)
    assert loud(live) == ""
    assert loud(reading(None)) == "UNKNOWN: nothing is known of this grid (uk: no answer)"
    assert loud(replace(live, step="old-archive")) == "ARCHIVED"
