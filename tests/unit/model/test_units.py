"""Conversions and moments: naive times refused, rounding down and up to a slot, text there and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenai.errors import InputError
from greenai.model.units import J_PER_KWH, as_utc, ceil_to, floor_to, iso_utc, kwh_from_j, parse_iso_utc

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive by rule
STEPS = st.sampled_from([timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=1), timedelta(days=1)])


def test_a_kilowatt_hour_is_3_6_megajoules():
    assert kwh_from_j(J_PER_KWH) == 1
    assert kwh_from_j(1.8e6) == 0.5


def test_a_naive_time_is_refused_by_name():
    with pytest.raises(InputError, match="started_at 2026-11-24T09:00:00 has no time zone") as refused:
        as_utc(datetime(2026, 11, 24, 9), name="started_at")  # noqa: DTZ001 - the point of the test
    assert "aware" in str(refused.value.hint)


def test_any_zone_becomes_utc():
    tokyo = timezone(timedelta(hours=9))
    assert as_utc(datetime(2026, 11, 24, 9, tzinfo=tokyo)) == datetime(2026, 11, 24, tzinfo=UTC)


@given(MOMENTS, STEPS)
def test_floor_and_ceiling_enclose_the_moment_by_at_most_a_step(moment, step):
    low, high = floor_to(moment, step), ceil_to(moment, step)
    assert low <= moment <= high
    assert high - low == (timedelta(0) if low == moment else step)
    assert floor_to(low, step) == low


@given(MOMENTS)
def test_text_there_and_back(moment):
    assert parse_iso_utc(iso_utc(moment)) == moment


@pytest.mark.parametrize("text", ["tomorrow", "2026-13-01T00:00Z", ""])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InputError, match="is not an ISO 8601 time"):
        parse_iso_utc(text)


def test_text_without_an_offset_is_refused():
    with pytest.raises(InputError, match="no time zone"):
        parse_iso_utc("2026-11-24T09:00")
