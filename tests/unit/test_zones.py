"""The country of a time zone, and what is said where there is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenai import zones


@pytest.mark.parametrize(
    ("name", "country"),
    [
        ("Europe/London", "GB"),
        ("Europe/Oslo", "NO"),
        ("America/Los_Angeles", "US"),
        ("Asia/Calcutta", "IN"),
        ("US/Pacific", "US"),
        ("GB", "GB"),
        ("UTC", None),
        ("Etc/GMT+8", None),
        ("Iceland", None),
        ("CET", None),
        ("EST", None),
        ("Mars/Olympus", None),
    ],
)
def test_the_country_of_a_time_zone(name, country):
    assert zones.country_of_timezone(name) == country


def test_old_names_that_mislead_are_all_known():
    """A link into another country's time zone would put the machine on the wrong grid."""
    from importlib.resources import files

    shared = files("tzdata").joinpath("zoneinfo", "zone1970.tab").read_text(encoding="utf-8").splitlines()
    countries = {row.split("\t")[2]: row.split("\t")[0].split(",") for row in shared if not row.startswith("#")}
    assert zones.country_of_timezone("Atlantic/Reykjavik") == "IS"
    for name in ("Iceland", "Africa/Timbuktu", "Pacific/Truk", "America/Virgin"):
        target = zones._current_name(name)
        assert len(countries[target]) > 1
        assert zones.country_of_timezone(name) is None


@pytest.mark.parametrize(
    ("tz", "zone", "words"),
    [
        ("Europe/London", "GB", "from the time zone Europe/London"),
        (":Europe/Paris", "FR", "from the time zone Europe/Paris"),
        ("", "WORLD", "no country is known for the time zone UTC"),
        ("EST5EDT,M3.2.0,M11.1.0", "WORLD", "the machine's time zone has no name"),
        ("../../etc/passwd", "WORLD", "the machine's time zone has no name"),
    ],
)
def test_the_default_zone_says_where_it_comes_from(tz, zone, words):
    found, origin = zones.default_zone({"TZ": tz})
    assert found == zone
    assert words in origin


def test_without_tz_the_systems_time_zone_counts(monkeypatch):
    monkeypatch.setattr("tzlocal.get_localzone_name", lambda: "Asia/Tokyo")
    assert zones.default_zone({})[0] == "JP"
    assert str(zones.local_timezone({})) == "Asia/Tokyo"


@pytest.mark.parametrize("error", [LookupError("no such zone"), OSError("unreadable"), ValueError("odd")])
def test_a_machine_without_a_readable_time_zone_is_in_the_world(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr("tzlocal.get_localzone_name", fail)
    monkeypatch.setattr("tzlocal.get_localzone", fail)
    assert zones.default_zone({})[0] == "WORLD"
    assert zones.local_timezone({}) is UTC


def test_a_time_zone_without_a_name_still_tells_the_time(monkeypatch):
    """A container with only /etc/localtime: the hour is known, the country is not."""
    monkeypatch.setattr("tzlocal.get_localzone_name", lambda: None)
    monkeypatch.setattr("tzlocal.get_localzone", lambda: ZoneInfo("Asia/Tokyo"))
    assert zones.default_zone({})[0] == "WORLD"
    assert zones.local_timezone({}) == ZoneInfo("Asia/Tokyo")


def test_tzlocals_warning_is_kept_quiet(monkeypatch):
    import warnings

    def warn():
        warnings.warn("no configuration, defaulting to UTC", stacklevel=1)
        return "UTC"

    monkeypatch.setattr("tzlocal.get_localzone_name", warn)
    assert zones.timezone_name({}) == "UTC"


def test_a_posix_rule_has_its_summer_time():
    zone = zones.local_timezone({"TZ": "EST5EDT,M3.2.0,M11.1.0"})
    winter, summer = (datetime(2026, month, 1, 12, tzinfo=UTC).astimezone(zone).utcoffset() for month in (1, 7))
    assert (winter, summer) == (timedelta(hours=-5), timedelta(hours=-4))


def test_a_senseless_tz_is_utc_as_the_c_library_has_it():
    assert zones.local_timezone({"TZ": "nonsense"}) is UTC


def test_a_country_without_any_known_intensity_falls_to_the_world_and_says_so() -> None:
    zone, origin = zones.default_zone({"TZ": "Europe/Vaduz"})
    assert zone == zones.WORLD
    assert "no source knows LI" in origin
