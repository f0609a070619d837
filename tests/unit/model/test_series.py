"""The step function: exact integrals for any start and end, gaps and mixtures refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenai.errors import InputError, MixedSeries, SeriesError, SeriesGap
from greenai.model.series import IntensitySeries, Source, series_from_rows

START = datetime(2026, 11, 24, 9, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
SOURCE = Source(provider="made up", url="", fetched_at=START, payload_sha256="")
VALUES = st.lists(st.floats(0, 2000), min_size=1, max_size=40)


def series(values=(100.0, 200.0, 50.0), **changes) -> IntensitySeries:
    given_ = {"start_at": START, "step": HALF_HOUR, "values": np.array(values), "zone": "GB", "source": SOURCE}
    return IntensitySeries(**(given_ | changes))


def minutes(count: float) -> datetime:
    return START + timedelta(minutes=count)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "at least one value"),
        ([[1.0]], "at least one value"),
        ([1.0, float("nan")], "slot 1"),
        ([-1.0], "slot 0"),
        ([np.inf], "slot 0"),
    ],
)
def test_values_that_are_no_intensities_are_refused(values, words):
    with pytest.raises(SeriesError, match=words):
        series(values)


def test_a_step_must_be_positive():
    with pytest.raises(SeriesError, match="positive step"):
        series(step=timedelta(0))


def test_a_naive_start_is_refused():
    with pytest.raises(InputError, match="no time zone"):
        series(start_at=datetime(2026, 11, 24, 9))  # noqa: DTZ001 - the point of the test


def test_the_start_is_kept_in_utc():
    berlin = timezone(timedelta(hours=1))
    assert series(start_at=START.astimezone(berlin)).start_at.utcoffset() == timedelta(0)


def test_values_are_a_copy_that_cannot_be_changed():
    values = np.array([1.0, 2.0])
    made = series(values)
    values[0] = 9.0
    assert made.values[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        made.values[0] = 9.0


def test_a_slot_is_half_open():
    made = series()
    assert [made.at(minutes(at)) for at in (0, 29.999, 30, 89)] == [100, 100, 200, 50]
    for outside in (-0.001, 90):
        with pytest.raises(SeriesGap, match="covers 2026-11-24T09:00:00Z to 2026-11-24T10:30:00Z"):
            made.at(minutes(outside))


def test_it_knows_its_extent():
    made = series()
    assert (made.end_at, made.step_s, len(made)) == (minutes(90), 1800.0, 3)
    assert made.covers(START, minutes(90))
    assert not made.covers(START, minutes(91))
    assert not made.covers(minutes(-1), minutes(30))


def test_an_interval_takes_its_share_of_each_slot():
    # 20 min of 100, 30 min of 200, 15 min of 50 g/kWh at 1 kW
    assert series().integral_g_per_kw(minutes(10), minutes(75)) == pytest.approx(100 / 3 + 100 + 12.5)


def test_the_mean_of_nothing_is_the_value_there():
    made = series()
    assert made.mean_g_per_kwh(minutes(30), minutes(30)) == 200
    assert made.mean_g_per_kwh(START, minutes(90)) == pytest.approx(350 / 3)


def test_a_backward_interval_is_refused():
    with pytest.raises(SeriesError, match="before it starts"):
        series().integral_g_per_kw(minutes(30), START)


@pytest.mark.parametrize(("start", "end"), [(-1, 30), (0, 91)])
def test_what_is_not_covered_is_a_gap(start, end):
    with pytest.raises(SeriesGap):
        series().integral_g_per_kw(minutes(start), minutes(end))
    with pytest.raises(SeriesGap):
        series().between(minutes(start), minutes(end))


@pytest.mark.parametrize("offset_s", [-1.0, 5401.0])
def test_an_offset_outside_is_a_gap(offset_s):
    with pytest.raises(SeriesGap, match="3 slots"):
        series().cumulative_g_per_kw([offset_s])


def test_no_offsets_have_no_integrals():
    assert series().cumulative_g_per_kw([]).shape == (0,)


@given(VALUES, st.floats(0, 1), st.floats(0, 1))
def test_integrals_are_those_of_a_fine_grid(values, first, second):
    made = series(values)
    total_s = made.step_s * len(values)
    low_s, high_s = sorted((first * total_s, second * total_s))
    covered_h = np.clip(
        np.minimum(np.arange(1, len(values) + 1) * 1800, high_s) - np.maximum(np.arange(len(values)) * 1800, low_s), 0, None
    )
    low, high = made.cumulative_g_per_kw([low_s, high_s])
    assert high - low == pytest.approx(float(covered_h @ np.array(values)) / 3600, abs=1e-6)


@given(VALUES, st.floats(0, 1), st.floats(0, 1))
def test_one_integral_is_the_difference_of_two_sums_to_the_last_bit(values, first, second):
    it = series(values)
    begin, end = (it.start_at + share * (it.end_at - it.start_at) for share in sorted((first, second)))
    low, high = it.cumulative_g_per_kw([it.offset_s(begin), it.offset_s(end)])
    assert it.integral_g_per_kw(begin, end) == float(high - low)


@given(VALUES, st.floats(0, 1))
def test_integrals_add_up_wherever_they_are_cut(values, cut):
    made = series(values)
    middle = made.start_at + (made.end_at - made.start_at) * cut
    parts = made.integral_g_per_kw(made.start_at, middle) + made.integral_g_per_kw(middle, made.end_at)
    assert parts == pytest.approx(made.integral_g_per_kw(made.start_at, made.end_at), abs=1e-6)


def test_between_keeps_whole_slots():
    part = series().between(minutes(31), minutes(59))
    assert (part.start_at, list(part.values)) == (minutes(30), [200.0])
    assert list(series().between(minutes(29), minutes(61)).values) == [100.0, 200.0, 50.0]
    with pytest.raises(SeriesGap):
        series().between(minutes(30), minutes(30))


def test_joining_continues_where_the_first_ends():
    joined = series().joined(series([7.0], start_at=minutes(90)))
    assert (len(joined), joined.end_at, joined.at(minutes(100))) == (4, minutes(120), 7.0)


def test_joining_over_a_gap_is_refused():
    with pytest.raises(SeriesGap, match="cannot join"):
        series().joined(series(start_at=minutes(120)))


@pytest.mark.parametrize(
    "change",
    [{"zone": "DE"}, {"basis": "marginal"}, {"scope": "direct"}, {"kind": "forecast"}, {"step": timedelta(hours=1)}],
)
def test_joining_what_differs_in_nature_is_refused(change):
    with pytest.raises(MixedSeries, match=f"different {next(iter(change))}"):
        series().joined(series(start_at=minutes(90), **change))


def test_rows_come_in_any_order_and_the_last_of_two_wins():
    rows = [(minutes(30), 2.0), (START, 1.0), (minutes(30), 3.0)]
    made = series_from_rows(rows, step=HALF_HOUR, zone="GB", source=SOURCE, kind="forecast")
    assert (made.start_at, list(made.values), made.kind) == (START, [1.0, 3.0], "forecast")


def test_rows_with_a_hole_are_a_gap():
    with pytest.raises(SeriesGap, match="a slot is missing between 2026-11-24T09:00:00Z and 2026-11-24T10:00:00Z"):
        series_from_rows([(START, 1.0), (minutes(60), 2.0)], step=HALF_HOUR, zone="GB", source=SOURCE)


def test_no_rows_are_refused():
    with pytest.raises(SeriesError, match="no rows for zone GB"):
        series_from_rows([], step=HALF_HOUR, zone="GB", source=SOURCE)
