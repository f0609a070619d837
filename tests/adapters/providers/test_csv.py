"""Files of the user's: three shapes, and every way a line can be wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.making import payload, query

from greenai.adapters.providers.csv import provider
from greenai.errors import InputError, SeriesGap, UnknownZone
from greenai.model.intensity import Access

DAY = datetime(2021, 3, 28, tzinfo=UTC)
FILE = "file:///data/my%20grid.csv"
HOURLY = "start_utc,g_per_kwh\n" + "".join(f"2021-03-28T{hour:02}:00Z,{100 + hour}\n" for hour in range(24))


def parsed(text, asked=None):
    return provider.parse([payload(text, url=FILE)], asked or query(start_at=DAY + timedelta(minutes=7), hours=2))


def lines(*rows, header="start_utc,g_per_kwh"):
    return "\n".join((header, *rows)) + "\n"


def test_it_reads_the_file_it_is_given():
    assert [request.url for request in provider.requests(query(), Access(base_url=FILE))] == [FILE]
    assert provider.covers("ANY-WHERE")
    assert provider.live


def test_without_a_file_it_says_what_to_give():
    with pytest.raises(InputError, match="no series file") as caught:
        provider.requests(query(), Access())
    assert "--series" in caught.value.hint


def test_a_series_is_cut_to_the_slots_that_touch_the_span():
    series = parsed(HOURLY)
    assert (series.start_at, series.end_at, series.step) == (DAY, DAY + timedelta(hours=3), timedelta(hours=1))
    assert series.values.tolist() == [100, 101, 102]
    assert (series.kind, series.scope, series.basis, series.zone) == ("observed", "unstated", "average", "GB")
    assert series.issued_at is None


def test_an_empty_span_gives_its_slot():
    assert len(parsed(HOURLY, query(start_at=DAY, hours=0))) == 1


def test_the_file_may_end_before_the_span_does():
    assert parsed(HOURLY, query(start_at=DAY, hours=100)).end_at == DAY + timedelta(hours=24)


@pytest.mark.parametrize("hours", [-1, 24, 24.01, 500])
def test_the_start_must_be_covered(hours):
    with pytest.raises(SeriesGap, match=r"/data/my grid.csv covers 2021-03-28T00:00:00Z to 2021-03-29T00:00:00Z, not") as caught:
        parsed(HOURLY, query(start_at=DAY + timedelta(hours=hours)))
    # now, forecast and run have no --at
    assert "greenai plan --at" in caught.value.hint


def test_of_two_scopes_lifecycle_is_taken_and_said():
    series = parsed(
        lines(
            "2021-03-28T00:00Z,233.76,156.03,0",
            "2021-03-28T01:00Z,229.73,152.52,1",
            header="start_utc,lifecycle_g_per_kwh,direct_g_per_kwh,estimated",
        )
    )
    assert (series.scope, series.values.tolist()) == ("lifecycle", [233.76, 229.73])


def test_columns_stand_in_any_order_with_others_beside_them():
    text = lines(
        "a,120,2021-03-28T00:00Z,", "b,130,2021-03-28T01:00Z,", "c,140,2021-03-28T02:00Z,", header="note, G_per_kWh,START_UTC,"
    )
    assert parsed(text).values.tolist() == [120, 130, 140]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text + "\n\n , \n",
        lambda text: text.replace("\n", "\n\n", 3),
        lambda text: text.removesuffix("\n"),
        lambda text: text.replace("2021-03-28T01:00Z", '"2021-03-28T01:00Z"'),
        lambda text: text.replace("Z,", "+00:00,"),
        lambda text: text.replace("Z,", ":00.000Z,"),
        lambda text: text.replace("2021-03-28T01:00Z", "2021-03-28T03:00+02:00"),
        lambda text: text.replace("T", " ").replace("SUtc", "s_utc"),
        lambda text: text.replace(",", " , "),
        lambda text: "start_utc,g_per_kwh\n" + "\n".join(reversed(text.splitlines()[1:])),
        lambda text: text + "2021-03-28T01:00Z,101.0\n",
    ],
)
def test_the_habits_of_other_programs_change_nothing(change):
    assert parsed(change(HOURLY)).values.tolist() == [100, 101, 102]


# Steps.


def test_the_finest_step_holds_and_longer_rows_are_held_over_their_length():
    text = lines(
        *(f"2021-03-28T{time}Z,{place}" for place, time in enumerate(("00:00", "00:30", "01:00", "01:15", "01:30"), start=1))
    )
    series = parsed(text, query(start_at=DAY, hours=2))
    assert series.step == timedelta(minutes=15)
    assert series.values.tolist() == [1, 1, 2, 2, 3, 4, 5]


def test_a_row_is_held_for_an_hour_at_most():
    text = lines(
        *(f"2021-03-28T{time}Z,{place}" for place, time in enumerate(("00:00", "00:30", "01:30", "03:00", "03:30"), start=1))
    )
    assert parsed(text, query(start_at=DAY, hours=2)).values.tolist() == [1, 2, 2, 3]
    with pytest.raises(SeriesGap, match=r"line 5: nothing is given from 2021-03-28T02:00:00Z to 2021-03-28T03:00:00Z"):
        parsed(text, query(start_at=DAY, hours=4))


def test_a_hole_outside_the_span_harms_nobody():
    text = HOURLY.replace("2021-03-28T12:00Z,112\n", "")
    assert len(parsed(text)) == 3
    assert parsed(text, query(start_at=DAY, hours=12)).end_at == DAY + timedelta(hours=12)
    with pytest.raises(SeriesGap, match=r"line 14: nothing is given from 2021-03-28T12:00:00Z to 2021-03-28T13:00:00Z"):
        parsed(text, query(start_at=DAY, hours=13))
    with pytest.raises(SeriesGap, match="not 2021-03-28T12:30:00Z"):
        parsed(text, query(start_at=DAY + timedelta(hours=12.5)))


def test_steps_longer_than_an_hour_are_a_step_too():
    text = lines("2021-03-28T00:00Z,1", "2021-03-28T03:00Z,2", "2021-03-28T06:00Z,3")
    series = parsed(text, query(start_at=DAY, hours=9))
    assert (series.step, series.values.tolist()) == (timedelta(hours=3), [1, 2, 3])


@given(
    minutes=st.lists(st.sampled_from([15, 30, 45, 60]), min_size=1, max_size=30).map(lambda spans: [15, *spans]),
    first=st.floats(0, 0.999),
    length=st.floats(0.001, 1),
)
def test_every_moment_has_the_value_of_its_row(minutes, first, length):
    starts = [DAY]
    for span in minutes:
        starts.append(starts[-1] + timedelta(minutes=span))
    text = lines(*(f"{start:%Y-%m-%dT%H:%MZ},{place}" for place, start in enumerate(starts)))
    whole = starts[-1] - DAY
    asked = query(start_at=DAY + whole * first, hours=whole.total_seconds() / 3600 * (1 - first) * length)
    series = parsed(text, asked)
    assert series.covers(asked.start_at, asked.end_at)
    for place, value in enumerate(series.values):
        moment = series.start_at + series.step * place
        assert value == max(row for row, start in enumerate(starts) if start <= moment)


# Lines that are wrong.


@pytest.mark.parametrize(
    ("bad", "problem", "hint"),
    [
        ("2021-03-28T01:00,101", "has no time zone", "with a Z"),
        ("yesterday,101", "'yesterday' is not an ISO 8601 time", "with a Z"),
        (",101", "start_utc is empty", "delete the line"),
        ("2021-03-28T01:00Z,", "g_per_kwh is empty", "delete the line"),
        ("2021-03-28T01:00Z", "g_per_kwh is empty", "delete the line"),
        ("2021-03-28T01:00Z,n/a", "g_per_kwh is 'n/a'", "number"),
        ("2021-03-28T01:00Z,-3", "g_per_kwh is '-3'", "number"),
        ("2021-03-28T01:00Z,nan", "g_per_kwh is 'nan'", "number"),
        ("2021-03-28T01:00Z,1e999", "g_per_kwh is '1e999'", "number"),
        ("2021-03-28T01:00Z,101,5", "3 cells under 2 columns", "point"),
        ("2021-03-28T00:00Z,999", "a second value for the time of line 2", "one of the two"),
        ("2021-03-28T01:07Z,101", "it starts 0:07:00 after the row before, line 3 1:00:00 after its own", "multiples"),
        ('2021-03-28T01:00Z,"10"1', "expected after", "comma-separated"),
    ],
)
def test_a_wrong_line_is_named(bad, problem, hint):
    text = lines("2021-03-28T00:00Z,100", f"2021-03-28T0{1 if '07' in bad else 2}:00Z,102", bad, "2021-03-28T03:00Z,9")
    with pytest.raises(InputError) as caught:
        parsed(text)
    assert str(caught.value).startswith(("/data/my grid.csv, line 4: ", "/data/my grid.csv, line 5: "))
    assert problem in str(caught.value)
    assert hint in caught.value.hint


def test_rows_closer_than_a_second_are_no_series():
    text = lines("2021-03-28T00:00:00.000001Z,1", "2021-03-28T00:00:00.000002Z,2", "2021-03-28T01:00:00.000002Z,3")
    with pytest.raises(InputError, match=r"line 3: it starts 0:00:00\.000001 after"):
        parsed(text)


def test_one_row_has_no_length():
    with pytest.raises(InputError, match="line 2: the only row"):
        parsed(lines("2021-03-28T00:00Z,100"))


@pytest.mark.parametrize("text", ["", "\n\n", "start_utc,g_per_kwh\n"])
def test_a_file_without_rows_is_refused(text):
    with pytest.raises(InputError, match="holds no rows") as caught:
        parsed(text)
    assert "region,UTC_hour,carbon_intensity_gco2_per_kwh" in caught.value.hint


@pytest.mark.parametrize("header", ["time,value", "start_utc,marginal_g_per_kwh", "start_utc;g_per_kwh", "g_per_kwh,region"])
def test_other_columns_are_refused_with_those_that_are_read(header):
    with pytest.raises(InputError, match="has the columns") as caught:
        parsed(lines("1,2", header=header))
    assert "separated by commas, start_utc,g_per_kwh" in caught.value.hint


def test_what_is_not_text_is_refused():
    with pytest.raises(InputError, match="not UTF-8"):
        provider.parse([payload(HOURLY.encode("utf-16"), url=FILE)], query())
    with pytest.raises(InputError, match="line 2: "):
        parsed(lines("2021-03-28T00:00Z,1\x00"))


# The table by region and hour.

TABLE = "region,UTC_hour,carbon_intensity_gco2_per_kwh\n" + "".join(f"GB,{hour},{200 + hour}\n" for hour in range(24))


def test_a_table_of_hours_repeats_its_day():
    series = parsed(TABLE, query("GB", start_at=DAY + timedelta(hours=22, minutes=10), hours=27))
    assert (series.start_at, len(series), series.step) == (DAY + timedelta(hours=22), 28, timedelta(hours=1))
    assert series.values[:4].tolist() == [222, 223, 200, 201]
    assert (series.kind, series.scope) == ("modelled", "unstated")


def test_a_table_may_hold_several_regions_in_any_case():
    text = TABLE + "".join(f"fr,{hour},30\n" for hour in range(24))
    assert parsed(text, query("FR")).values.tolist() == [30, 30, 30]
    assert parsed(text.replace("GB,", "gb,"), query("GB", start_at=DAY)).at(DAY) == 200


@pytest.mark.parametrize("zone", ["DE", "GB-13", "WORLD"])
def test_a_region_that_is_not_there_is_refused_with_those_that_are(zone):
    with pytest.raises(UnknownZone, match=f"no region {zone}") as caught:
        parsed(TABLE + "FR,0,30\n", query(zone))
    assert "FR, GB" in caught.value.hint


def test_hours_may_be_missing_where_they_are_not_needed():
    text = "".join(line for line in TABLE.splitlines(keepends=True) if not line.startswith("GB,5,"))
    assert len(parsed(text, query(start_at=DAY, hours=5))) == 5
    with pytest.raises(SeriesGap, match="has no hour 5 UTC for GB"):
        parsed(text, query(start_at=DAY, hours=6))


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("GB,24,1", "UTC_hour is '24'"),
        ("GB,-1,1", "UTC_hour is '-1'"),
        ("GB,noon,1", "UTC_hour is 'noon'"),
        ("GB,1.5,1", "UTC_hour is '1.5'"),
        ("GB,,1", "utc_hour is empty"),
        (",1,1", "region is empty"),
        ("GB,1,x", "'x'"),
        ("GB,1,7", "a second value for hour 1 of GB"),
    ],
)
def test_a_wrong_line_of_a_table_is_named(bad, problem):
    with pytest.raises(InputError, match="line 26: ") as caught:
        parsed(TABLE + bad + "\n")
    assert problem in str(caught.value)


def test_hours_may_be_written_as_decimals():
    assert parsed(TABLE.replace("GB,0,", "GB,0.0,"), query(start_at=DAY)).at(DAY) == 200


def test_direct_emissions_say_so():
    """What `greenai history` writes of a service whose scope is direct."""
    body = payload("start_utc,direct_g_per_kwh\n2026-11-24T10:00Z,5\n2026-11-24T11:00Z,6\n2026-11-24T12:00Z,7\n")
    assert provider.parse([body], query()).scope == "direct"
