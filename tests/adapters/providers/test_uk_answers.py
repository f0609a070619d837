"""What the UK service answers, good and bad, from recorded shapes (payloads/uk)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.making import NOW, SLOT, payload, query, recorded

from greenai.adapters.providers.uk import provider
from greenai.errors import InputError, ProviderBadData

HALF_PAST = NOW.replace(minute=30)


def parsed(name, asked=None):
    return provider.parse([recorded(name)], asked or query())


def test_a_forecast_of_two_days():
    series = parsed("fw48h.json")
    assert (series.start_at, series.end_at, series.step) == (HALF_PAST, HALF_PAST + timedelta(hours=48), SLOT)
    assert (series.zone, series.kind, series.basis, series.scope) == ("GB", "forecast", "average", "direct")
    assert series.issued_at == HALF_PAST
    assert series.source.provider == "uk"
    assert series.source.payload_sha256 == recorded("fw48h.json").sha256
    assert series.values[:3].tolist() == [150, 157, 164]


def test_the_issue_slot_is_that_of_the_answer_not_of_the_question():
    old = recorded("fw48h.json", fetched_at=NOW - timedelta(hours=3))
    assert provider.parse([old], query()).issued_at == HALF_PAST - timedelta(hours=3)


def test_row_0_need_not_be_now():
    """Asked from the half hour itself the service gives the row before it."""
    assert parsed("fw48h_from_the_edge.json").at(NOW) == 150


def test_a_later_start_takes_its_own_row():
    later = NOW + timedelta(hours=1)
    series = parsed("fw48h.json", query(start_at=later))
    assert series.start_at == HALF_PAST + timedelta(hours=1)
    assert series.at(later) == 164


def test_a_list_of_one_may_be_the_one_itself():
    assert len(parsed("one_row_as_object.json")) == 1


def test_zero_is_an_intensity():
    assert parsed("zero.json").at(NOW) == 0


@pytest.mark.parametrize("name", ["null_later.json", "null_intensity.json"])
def test_null_is_unknown_and_ends_the_series(name):
    assert len(parsed(name)) == 3


def test_a_missing_row_ends_the_series():
    assert len(parsed("missing_row.json")) == 2


def test_the_series_is_the_one_that_holds_the_start():
    after_the_hole = query(start_at=HALF_PAST + 3 * SLOT)
    series = parsed("missing_row.json", after_the_hole)
    assert (series.start_at, len(series)) == (HALF_PAST + 3 * SLOT, 3)


@pytest.mark.parametrize(
    "name", ["null_first.json", "null_all.json", "missing_first_row.json", "past_only.json", "data_empty.json"]
)
def test_without_a_value_for_the_start_there_is_no_series(name):
    with pytest.raises(ProviderBadData, match="no value for the half hour of 2026-11-24T10:30:00Z"):
        parsed(name)


def test_equal_duplicates_are_one():
    assert parsed("duplicate_equal.json").values.tolist()[:3] == [150, 157, 164]


def test_of_two_values_the_higher_is_taken():
    assert parsed("duplicate_unequal.json").values.tolist()[:3] == [150, 400, 164]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty_object.json", "no data"),
        ("error_with_200.json", "no data: Please enter a valid datetime"),
        ("a_list.json", "no data"),
        ("a_number.json", "no data"),
        ("data_null.json", "not made of rows"),
        ("data_number.json", "not made of rows"),
        ("data_of_strings.json", "not made of rows"),
        ("truncated.json", "not JSON, or cut off"),
        ("words.json", "not JSON"),
        ("empty.json", "empty"),
        ("blank.json", "empty"),
        ("page.html", "web page"),
        ("string_number.json", "forecast of 2026-11-24T11:30Z is '142'"),
        ("boolean.json", "'True', not an intensity"),
        ("negative.json", "'-5', not an intensity"),
        ("list_number.json", "not an intensity"),
        ("nan.json", "'nan', not an intensity"),
        ("endless_number.json", "not an intensity"),
        ("intensity_a_number.json", "142, not an object"),
        ("quarter_hour.json", "not a half hour"),
        ("off_the_half_hour.json", "not a half hour"),
        ("no_times.json", "not two UTC times"),
        ("naive_times.json", "not two UTC times"),
        ("number_times.json", "not two UTC times"),
    ],
)
def test_what_is_not_the_documented_shape_is_refused_in_words(name, words):
    with pytest.raises(ProviderBadData) as caught:
        parsed(name)
    assert words in str(caught.value)
    assert not isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"data":[\xff\xfe\xfa]}', b'{"data":' + b"9" * 5000 + b"}", b"\x00\x01", b"\xff\xfe{\x00}\x00"]
)
def test_bytes_that_are_no_json_are_refused_in_words(body):
    with pytest.raises(ProviderBadData):
        provider.parse([payload(body)], query())


# Measured values.


def observed(hours, name="observed.json"):
    asked = query(start_at=HALF_PAST - timedelta(hours=24), hours=hours, purpose="observed")
    return provider.parse([recorded(name)], asked)


def test_measured_values_are_the_actual_ones():
    series = observed(24)
    assert (series.kind, series.issued_at) == ("observed", None)
    assert series.values[:3].tolist() == [150, 0, 152]


def test_what_is_not_measured_yet_ends_the_series():
    assert observed(24).end_at == HALF_PAST - timedelta(hours=1)


def test_a_forecast_is_never_taken_for_a_measurement():
    with pytest.raises(ProviderBadData, match="no value for the half hour"):
        observed(2, "observed_all_null.json")


def test_a_forecast_never_takes_measurements():
    asked = query(start_at=HALF_PAST - timedelta(hours=24), hours=24)
    series = provider.parse([recorded("observed.json")], asked)
    assert series.kind == "forecast"
    assert series.values[:3].tolist() == [160, 161, 162]
    assert len(series) == 48


def test_the_double_row_of_2021_counts_its_higher_value():
    asked = query(start_at=datetime(2021, 4, 19, 18, 30, tzinfo=UTC), hours=1.5, purpose="observed")
    assert provider.parse([recorded("observed_duplicate_2021.json")], asked).values.tolist() == [168, 190, 174]


def test_no_answer_at_all_is_nothing_published():
    with pytest.raises(ProviderBadData, match="nothing is published yet"):
        provider.parse([], query(purpose="observed"))


# Regions.


@pytest.mark.parametrize(
    ("name", "slots"), [("region13_object.json", 6), ("region13_list.json", 6), ("region13_data_object.json", 1)]
)
def test_a_region_comes_as_an_object_or_a_list(name, slots):
    series = parsed(name, query("GB-13"))
    assert (series.zone, series.kind, len(series), series.at(NOW)) == ("GB-13", "forecast", slots, 90)


def test_a_region_is_found_among_all():
    assert parsed("regions_all.json", query("GB-13")).values.tolist() == [100, 101, 102, 103]
    assert parsed("regions_all.json", query("GB-1")).values.tolist() == [20, 21, 22, 23]


def test_a_region_has_no_measured_values_so_its_series_stays_a_forecast():
    assert parsed("region13_object.json", query("GB-13", purpose="observed")).kind == "forecast"


@pytest.mark.parametrize(
    ("name", "zone", "words"),
    [
        ("region14_for_13.json", "GB-13", "for region 14, not 13"),
        ("region_without_id.json", "GB-13", "for region None, not 13"),
        ("region13_no_rows.json", "GB-13", "not made of rows"),
        ("fw48h.json", "GB-13", "for region None, not 13"),
        ("regions_all.json", "GB-2", "no value for the half hour"),
        ("region13_object.json", "GB", "not two UTC times"),
    ],
)
def test_another_region_than_asked_is_refused(name, zone, words):
    with pytest.raises(ProviderBadData) as caught:
        parsed(name, query(zone))
    assert words in str(caught.value)


def test_new_year_is_bridged_by_two_answers():
    eve = datetime(2025, 12, 31, 22, 0, tzinfo=UTC)
    asked = query("GB-13", start_at=eve, hours=5)
    parts = [recorded("region13_new_year_cut.json"), recorded("region13_after_new_year.json")]
    assert parsed("region13_new_year_cut.json", asked).end_at == datetime(2026, 1, 1, tzinfo=UTC)
    whole = provider.parse(parts, asked)
    assert whole.end_at == datetime(2026, 1, 1, 3, tzinfo=UTC)
    assert whole.source.payload_sha256 not in {part.sha256 for part in parts}


# Properties.


@given(order=st.permutations(range(12)), twice=st.lists(st.integers(0, 11), max_size=4))
def test_the_order_of_rows_and_doubled_rows_change_nothing(order, twice):
    rows = json.loads(recorded("fw48h.json").body)["data"][:12]
    shuffled = [rows[place] for place in (*order, *twice)]
    expected = provider.parse([payload(json.dumps({"data": rows}))], query())
    again = provider.parse([payload(json.dumps({"data": shuffled}))], query())
    assert (again.start_at, again.values.tolist()) == (expected.start_at, expected.values.tolist())


@given(known=st.lists(st.one_of(st.none(), st.integers(0, 900)), min_size=1, max_size=20), unlike=st.integers(0, 900))
def test_the_series_ends_where_knowledge_ends_and_never_understates(known, unlike):
    rows = []
    for number, value in enumerate(known):
        start_at, end_at = (f"{HALF_PAST + SLOT * step:%Y-%m-%dT%H:%MZ}" for step in (number, number + 1))
        rows.append({"from": start_at, "to": end_at, "intensity": {"forecast": value, "actual": 1, "index": "low"}})
    rows.append({**rows[0], "intensity": {"forecast": unlike}})
    series = provider.parse([payload(json.dumps({"data": rows}))], query())
    first_unknown = next((place for place, value in enumerate(known) if value is None and place > 0), len(known))
    assert len(series) == first_unknown
    assert series.values[0] == max(unlike, known[0] or 0)
    assert series.values[1:].tolist() == known[1:first_unknown]


def test_the_same_answer_gives_the_same_series_bit_for_bit():
    one, two = parsed("fw48h.json"), parsed("fw48h.json")
    assert np.array_equal(one.values, two.values)
    assert one.source == two.source
