from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenai.cli import words

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (1234.5, "1,234"), (56.78, "56.8"), (9.4e-7, "0.000000940"), (-0.0123, "-0.0123"), (999.9, "1,000")],
)
def test_numbers_have_three_digits_and_no_exponent(value: float, shown: str) -> None:
    assert words.number(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(0.67, "67 %"), (0.023, "2.3 %"), (-0.041, "-4.1 %"), (0.0996, "10 %"), (0, "0 %")])
def test_shares_are_percentages(value: float, shown: str) -> None:
    assert words.share(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(231.4, "231"), (9.2, "9.2"), (0.0, "0"), (None, "unknown")])
def test_intensities_are_whole_numbers_unless_small(value: float | None, shown: str) -> None:
    assert words.intensity(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1500, "1.50 kg"), (2.5, "2.50 g"), (9.4e-4, "0.940 mg"), (0, "0 g"), (-1200, "-1.20 kg"), (None, "unknown")],
)
def test_masses_choose_their_unit(value: float | None, shown: str) -> None:
    assert words.grams(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.5, "1.50 kWh"), (0.0015, "1.50 Wh"), (1e-6, "3.60 J"), (0, "0 Wh"), (None, "unknown"), (-2, "-2.00 kWh")],
)
def test_energies_choose_their_unit(value: float | None, shown: str) -> None:
    assert words.energy(value) == shown


def test_an_interval_is_in_the_unit_of_its_value() -> None:
    assert words.energy(0.5, 0.05, 5.0) == "0.500 kWh [0.0500 to 5.00]"
    assert words.grams(1.0, 0.0005, 2000.0) == "1.00 g [0.000500 to 2,000]"
    assert words.grams(1.0, 1.0, 1.0) == "1.00 g"
    assert words.grams(0.0, -0.1, 0.1) == "0 g [-0.100 to 0.100]"


def test_joules_are_the_same_energy() -> None:
    assert words.energy_of_j(3_600_000) == "1.00 kWh"
    assert words.energy_of_j(None) == "unknown"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0.4 s"), (12.34, "12.3 s"), (61, "1 min 1 s"), (0, "0 s"), (90061, "1 d 1 h 1 min 1 s")]
)
def test_elapsed_time(seconds: float, shown: str) -> None:
    assert words.elapsed(timedelta(seconds=seconds)) == shown


def test_about_keeps_the_two_largest_units() -> None:
    assert words.about(timedelta(days=2, hours=3, minutes=9, seconds=1)) == "2 d 3 h"


@pytest.mark.parametrize(
    ("passed", "shown"),
    [
        (timedelta(seconds=2), "just now"),
        (timedelta(seconds=48), "48 s ago"),
        (timedelta(minutes=12, seconds=31), "12 min ago"),
        (timedelta(hours=5, minutes=2), "5 h 2 min ago"),
        (timedelta(days=3, hours=2, minutes=59), "3 d 2 h ago"),
        (timedelta(seconds=-30), "just now"),
    ],
)
def test_age(passed: timedelta, shown: str) -> None:
    now_at = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert words.age(now_at - passed, now_at) == shown


def test_an_unknown_age_says_so() -> None:
    assert words.age(None, datetime(2026, 11, 24, 12, tzinfo=UTC)) == "at an unknown time"


def test_times_are_local_with_utc_beside() -> None:
    late = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    assert words.clock_time(late, BERLIN) == "Wed 00:30 CET (Tue 23:30 UTC)"
    assert words.day_time(late, BERLIN) == "Wed 25 Nov 2026 00:30 CET (Tue 24 Nov 23:30 UTC)"
    assert words.clock_time(late - timedelta(hours=3), BERLIN) == "Tue 21:30 CET (20:30 UTC)"


def test_in_utc_a_time_is_said_once() -> None:
    moment_at = datetime(2026, 11, 24, 3, tzinfo=UTC)
    assert words.clock_time(moment_at, UTC) == "Tue 03:00 UTC"
    assert words.day_time(moment_at, UTC) == "Tue 24 Nov 2026 03:00 UTC"


def test_london_in_winter_is_utc_and_in_summer_is_not() -> None:
    london = ZoneInfo("Europe/London")
    assert words.clock_time(datetime(2026, 11, 24, 3, tzinfo=UTC), london) == "Tue 03:00 UTC"
    assert words.clock_time(datetime(2026, 7, 24, 3, tzinfo=UTC), london) == "Fri 04:00 BST (03:00 UTC)"
