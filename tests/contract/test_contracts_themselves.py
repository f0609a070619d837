"""The contracts pass what keeps them and catch what does not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from greenai.errors import MeterUnavailable, NoFeasibleWindow, ProviderBadData
from greenai.logic import placing
from greenai.model.energy import EnergySample
from greenai.model.intensity import Provider, Query, Request
from greenai.model.plan import Plan, Window
from greenai.model.series import Source, series_from_rows
from greenai.model.units import parse_iso_utc
from greenai.testing import FakeMeter, MeterContract, PolicyContract, ProviderContract, VirtualClock
from greenai.testing.contracts import NOW
from greenai.testing.fakes import FAKE_METER


class TestAsap(PolicyContract):
    def policy(self):
        return placing.asap


class TestGreenest(PolicyContract):
    def policy(self):
        return placing.greenest


class TestPercentile(PolicyContract):
    def policy(self):
        return placing.percentile


class TestThreshold(PolicyContract):
    def policy(self):
        return placing.threshold

    def constraints(self, constraints):
        return replace(constraints, max_g_per_kwh=150.0)


class TestInterruptible(PolicyContract):
    def policy(self):
        return placing.interruptible

    def constraints(self, constraints):
        return replace(constraints, interruptible=True, resume_cost=timedelta(minutes=5), max_segments=3)


class TestFakeMeter(MeterContract):
    def setup_method(self):
        self.clock = VirtualClock(NOW)

    def meter(self):
        return FakeMeter(self.clock.monotonic_s, self.clock)

    def broken_meter(self):
        meter = self.meter()
        meter.failure = MeterUnavailable("gone")
        return meter

    def pass_time(self):
        self.clock.advance(timedelta(seconds=1))


def _parse(payloads, query):
    try:
        rows = [(parse_iso_utc(row["at"]), float(row["g"])) for row in json.loads(payloads[0].body)["rows"]]
        source = Source(provider="tiny", url=payloads[0].url, fetched_at=NOW, payload_sha256=payloads[0].sha256)
        return series_from_rows(rows, step=timedelta(hours=1), zone=query.zone, source=source)
    except (ValueError, KeyError, TypeError) as error:
        raise ProviderBadData(f"not the documented shape: {error}") from error


def _requests(query, access):
    return (Request(url=f"{access.base_url}/{query.zone}", headers={"auth-token": access.key}),)


TINY = Provider(name="tiny", title="Tiny", live=True, covers=lambda zone: zone == "XX", requests=_requests, parse=_parse)


class TestTinyProvider(ProviderContract):
    provider = TINY

    def good(self):
        query = Query(zone="XX", start_at=NOW, end_at=NOW + timedelta(hours=2), now_at=NOW, purpose="forecast")
        rows = [{"at": f"2026-11-24T{hour}:00Z", "g": 100 + hour} for hour in range(10, 14)]
        return query, [json.dumps({"rows": rows}).encode()]


def failures(contract) -> set[str]:
    """The tests a plug-in fails; ValueError is what a wrong number of requests ends in."""
    broken = set()
    for name in dir(contract):
        if name.startswith("test_"):
            if hasattr(contract, "setup_method"):
                contract.setup_method()
            try:
                getattr(contract, name)()
            except (AssertionError, ValueError):
                broken.add(name)
    return broken


def late(series, constraints, now_at):
    plan = placing.greenest(series, constraints, now_at)
    return placing.plan_at(series, constraints, plan.windows[0].start_at + timedelta(minutes=1))


def early(series, constraints, now_at):
    return placing.plan_at(series, constraints, max(series.start_at, now_at - timedelta(minutes=7)))


def short(series, constraints, now_at):
    plan = placing.asap(series, constraints, now_at)
    window = Window(start_at=plan.windows[0].start_at, end_at=plan.windows[0].end_at - timedelta(minutes=10))
    return replace(plan, windows=(window,))


def boastful(series, constraints, now_at):
    plan = placing.asap(series, constraints, now_at)
    return replace(plan, expected_g_per_kwh=plan.expected_g_per_kwh * 0.9)


def cut_up(series, constraints, now_at):
    plan = placing.asap(series, constraints, now_at)
    (whole,) = plan.windows
    half = whole.start_at + whole.duration / 2
    later = Window(start_at=half + timedelta(minutes=1), end_at=whole.end_at + timedelta(minutes=1))
    return replace(plan, windows=(Window(start_at=whole.start_at, end_at=half), later))


def optimistic(series, constraints, now_at):
    try:
        return placing.asap(series, constraints, now_at)
    except NoFeasibleWindow:
        window = Window(start_at=now_at, end_at=now_at + constraints.duration)
        return Plan(windows=(window,), expected_g_per_kwh=0.0, cost_g_per_kw=0.0)


def moody():
    calls = []

    def policy(series, constraints, now_at):
        calls.append(1)
        return (placing.asap if len(calls) % 2 else placing.greenest)(series, constraints, now_at)

    return policy


@pytest.mark.parametrize(
    ("policy", "broken"),
    [
        (late, "test_windows_keep_the_limits"),
        (early, "test_windows_keep_the_limits"),
        (short, "test_the_whole_job_is_planned"),
        (boastful, "test_the_expected_intensity_is_the_mean_over_the_windows"),
        (cut_up, "test_the_whole_job_is_planned"),
        (optimistic, "test_what_does_not_fit_is_refused"),
        (moody(), "test_the_same_question_has_the_same_answer"),
    ],
)
def test_a_bad_policy_is_caught(policy, broken):
    class Bad(PolicyContract):
        def policy(self):
            return policy

    assert broken in failures(Bad())


def bad_meter(**changes):
    class Bad(MeterContract):
        def setup_method(self):
            self.clock = VirtualClock(NOW)

        def meter(self):
            meter = FakeMeter(self.clock.monotonic_s, self.clock, info=changes.get("info", FAKE_METER))
            read = meter.read
            meter.read = lambda: [changes.get("edit", lambda sample: sample)(sample) for sample in read()]
            return meter

        def broken_meter(self):
            meter = self.meter()
            meter.read = changes.get("broken", meter.read)
            return meter

        def pass_time(self):
            self.clock.advance(timedelta(seconds=1))

    return Bad()


def falling(sample: EnergySample) -> EnergySample:
    return replace(sample, energy_j=-sample.energy_j)


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"info": replace(FAKE_METER, low_ratio=1.1)}, "test_it_says_what_it_is"),
        ({"info": replace(FAKE_METER, name="")}, "test_it_says_what_it_is"),
        ({"info": replace(FAKE_METER, quality="guessed")}, "test_it_says_what_it_is"),
        ({"edit": lambda sample: replace(sample, meter="other")}, "test_samples_carry_its_name"),
        ({"edit": lambda sample: replace(sample, component="gpu")}, "test_samples_carry_its_name"),
        ({"edit": falling}, "test_energy_never_falls"),
        ({"edit": lambda sample: replace(sample, taken_at=sample.taken_at.replace(tzinfo=None))}, "test_times_are_utc"),
        ({}, "test_a_lost_meter_says_so"),
    ],
)
def test_a_bad_meter_is_caught(changes, broken):
    assert broken in failures(bad_meter(**changes))


def test_a_meter_that_cannot_be_broken_is_let_off():
    class NoneBroken(TestableMeter):
        def broken_meter(self):
            return None

    assert failures(NoneBroken()) == set()


class TestableMeter(MeterContract):
    __test__ = False

    def setup_method(self):
        self.clock = VirtualClock(NOW)

    def meter(self):
        return FakeMeter(self.clock.monotonic_s, self.clock)


def guess(payloads, query):
    good = TestTinyProvider().good()
    return _parse(TestTinyProvider().payloads(good[1]), query)


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"covers": lambda zone: False}, "test_it_covers_the_zone_it_answers_for"),
        ({"requests": lambda query, access: ()}, "test_requests_are_pure"),
        (
            {"requests": lambda query, access: (Request(url=f"https://x.example?key={access.key}"),)},
            "test_the_key_is_not_in_a_url",
        ),
        ({"name": "other"}, "test_the_recorded_answer_is_read"),
        ({"parse": guess}, "test_junk_is_refused_by_name"),
    ],
)
def test_a_bad_provider_is_caught(changes, broken):
    class Bad(TestTinyProvider):
        __test__ = False
        provider = replace(TINY, **changes)

    assert broken in failures(Bad())


@pytest.mark.parametrize(
    ("contract", "method"), [(ProviderContract, "good"), (MeterContract, "meter"), (PolicyContract, "policy")]
)
def test_what_must_be_filled_in_says_so(contract, method):
    with pytest.raises(NotImplementedError):
        getattr(contract(), method)()
