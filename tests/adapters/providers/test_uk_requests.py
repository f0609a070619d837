"""What is asked of the UK service: the alignment rule, its limits, its New Year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.making import NOW, SLOT, query

from greenai.adapters.providers.uk import provider
from greenai.errors import UnknownZone
from greenai.model.intensity import Access

HOST = "https://api.carbonintensity.org.uk"


def urls(asked, base_url=""):
    return [request.url for request in provider.requests(asked, Access(base_url=base_url))]


def test_a_forecast_starts_one_minute_after_the_half_hour():
    assert urls(query()) == [f"{HOST}/intensity/2026-11-24T10:31Z/fw48h"]


@pytest.mark.parametrize("minute", [30, 31, 59])
def test_the_url_is_the_same_all_through_the_half_hour(minute):
    assert urls(query(start_at=NOW.replace(minute=minute))) == [f"{HOST}/intensity/2026-11-24T10:31Z/fw48h"]


def test_a_region_is_asked_by_its_number():
    assert urls(query("GB-13")) == [f"{HOST}/regional/intensity/2026-11-24T10:31Z/fw48h/regionid/13"]


def test_the_base_url_can_be_another():
    assert urls(query(), "http://127.0.0.1:8080/") == ["http://127.0.0.1:8080/intensity/2026-11-24T10:31Z/fw48h"]


def test_two_days_from_the_slot_on_are_one_fw48h():
    start_at = NOW.replace(minute=30)
    assert urls(query(start_at=start_at, hours=48)) == [f"{HOST}/intensity/2026-11-24T10:31Z/fw48h"]
    assert urls(query(start_at=start_at, hours=48.01)) == [f"{HOST}/intensity/2026-11-24T10:31Z/2026-11-26T11:00Z"]


def test_no_forecast_is_asked_further_ahead_than_96_h():
    assert urls(query(hours=24 * 30)) == [f"{HOST}/intensity/2026-11-24T10:31Z/2026-11-28T10:30Z"]


def test_measured_values_are_asked_up_to_the_last_whole_half_hour():
    asked = query(start_at=NOW - timedelta(hours=3), hours=5, purpose="observed")
    assert urls(asked) == [f"{HOST}/intensity/2026-11-24T07:31Z/2026-11-24T10:30Z"]


def test_nothing_is_asked_before_anything_can_be_measured():
    assert urls(query(purpose="observed")) == []


def test_long_spans_are_cut_at_14_days():
    asked = query(start_at=NOW - timedelta(days=30), hours=24 * 30, purpose="observed")
    assert urls(asked) == [
        f"{HOST}/intensity/2026-10-25T10:31Z/2026-11-08T10:30Z",
        f"{HOST}/intensity/2026-11-08T10:31Z/2026-11-22T10:30Z",
        f"{HOST}/intensity/2026-11-22T10:31Z/2026-11-24T10:30Z",
    ]


def test_regional_spans_end_with_the_year():
    late = datetime(2025, 12, 31, 22, 10, tzinfo=UTC)
    assert urls(query("GB-13", start_at=late, now_at=late, hours=6)) == [
        f"{HOST}/regional/intensity/2025-12-31T22:01Z/2026-01-01T00:00Z/regionid/13",
        f"{HOST}/regional/intensity/2026-01-01T00:01Z/2026-01-01T04:30Z/regionid/13",
    ]
    assert urls(query("GB", start_at=late, now_at=late, hours=6)) == [f"{HOST}/intensity/2025-12-31T22:01Z/fw48h"]


def test_an_empty_span_asks_for_its_half_hour():
    assert urls(query(start_at=NOW, hours=0)) == [f"{HOST}/intensity/2026-11-24T10:31Z/fw48h"]


@given(
    start=st.integers(0, 60 * 24 * 60),
    hours=st.floats(0, 24 * 40),
    zone=st.sampled_from(["GB", "GB-7"]),
)
def test_the_spans_asked_for_bring_exactly_the_slots_of_the_query(start, hours, zone):
    """By the service's rule (a row comes back when its end lies in [from, to]) no slot is missed, none comes twice."""
    start_at = datetime(2025, 12, 1, tzinfo=UTC) + timedelta(minutes=start)
    asked = query(zone, start_at=start_at, hours=hours, now_at=start_at + timedelta(days=90), purpose="observed")
    got = []
    for url in urls(asked):
        parts = url.split("/")
        place = parts.index("intensity") + 1
        low, high = (datetime.fromisoformat(parts[place + offset]) for offset in (0, 1))
        assert high - low <= timedelta(days=14)
        first = low - (low - datetime(1970, 1, 1, tzinfo=UTC)) % SLOT
        got += [
            first + SLOT * number for number in range(int((high - first) / SLOT)) if low <= first + SLOT * (number + 1) <= high
        ]
    assert got == sorted(set(got))
    assert got[0] <= start_at < got[0] + SLOT
    assert got[-1] < max(asked.end_at, start_at + timedelta.resolution) <= got[-1] + SLOT


@pytest.mark.parametrize("zone", ["GB", "GB-1", "GB-17", "GB-18"])
def test_it_answers_for_great_britain(zone):
    assert provider.covers(zone)


@pytest.mark.parametrize("zone", ["FR", "GBR", "GB-NIR", "GB-", "IE", "WORLD", "gb"])
def test_it_leaves_other_zones_alone(zone):
    assert not provider.covers(zone)


@pytest.mark.parametrize("zone", ["GB-0", "GB-18", "GB-013"])
def test_a_region_that_is_none_is_refused_with_the_list(zone):
    with pytest.raises(UnknownZone, match=zone) as caught:
        provider.requests(query(zone), Access())
    assert "GB-13 London" in caught.value.hint
