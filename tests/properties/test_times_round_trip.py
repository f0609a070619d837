"""What is written as a time or span is read back as the same."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, given
from hypothesis import strategies as st

from greenai.errors import InputError
from greenai.logic.wording import describe_span
from greenai.moments import parse_moment, parse_span

ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")]
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
moments = st.integers(0, 15 * 366 * 86_400).map(lambda seconds: FIRST + timedelta(seconds=seconds))


@given(st.integers(0, 10**8))
def test_a_span_described_is_read_back(seconds):
    span = timedelta(seconds=seconds)
    assert parse_span(describe_span(span)) == span


@given(moments, moments, st.sampled_from(ZONES))
def test_an_aware_iso_time_is_itself_whatever_the_zone(moment, now_at, zone):
    assert parse_moment(moment.isoformat(), now_at, zone) == moment
    assert parse_moment(moment.astimezone(zone).isoformat(), now_at, zone) == moment


@given(moments, st.sampled_from(ZONES), st.integers(0, 23), st.integers(0, 59))
def test_a_time_of_day_is_the_next_one(now_at, zone, hour, minute):
    moment = None
    with suppress(InputError):  # a time that clocks skip
        moment = parse_moment(f"{hour:02d}:{minute:02d}", now_at, zone)
    assume(moment is not None)
    local = moment.astimezone(zone)
    assert (local.hour, local.minute) == (hour, minute)
    assert now_at < moment <= now_at + timedelta(days=1, hours=1)


@given(moments, st.sampled_from(ZONES), st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]))
def test_a_weekday_is_the_next_such_day(now_at, zone, day):
    moment = parse_moment(f"{day} 12:00", now_at, zone)
    assert moment.astimezone(zone).strftime("%a").lower() == day
    assert now_at < moment <= now_at + timedelta(days=7, hours=1)
