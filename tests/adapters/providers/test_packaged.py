"""Typical days, yearly means and a constant: what is known without asking anyone."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from tests.adapters.making import NOW, payload, query

from greenai.adapters.files import FileDoor
from greenai.adapters.providers import annual, climatology, constant
from greenai.errors import InputError, UnknownZone
from greenai.model.intensity import Access

DOOR = FileDoor(now=lambda: NOW)


def read(provider, asked, base_url=""):
    payloads = [DOOR.fetch(request) for request in provider.requests(asked, Access(base_url=base_url))]
    return provider.parse(payloads, asked)


def table(name):
    with files("greenai.facts").joinpath(name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


# Typical days.


def test_the_grids_named_in_the_code_are_those_of_the_table():
    assert {row["zone"] for row in table("climatology.csv")} == climatology.COUNTRIES | climatology.PARTS
    assert {row["zone"] for row in table("climatology_sources.csv")} == climatology.COUNTRIES | climatology.PARTS
    assert {row["country_iso2"] for row in table("annual_intensity.csv")} > climatology.COUNTRIES


def test_every_grid_has_every_month_hour_and_kind_of_day():
    kinds = {(row["zone"], row["month"], row["weekend"], row["hour_utc"]) for row in table("climatology.csv")}
    assert len(kinds) == 13 * 12 * 2 * 24 == len(table("climatology.csv"))


def test_a_country_has_its_typical_day_at_its_latest_mean():
    series = read(climatology.provider, query("GB", hours=48))
    assert (series.start_at, series.step, len(series)) == (NOW.replace(minute=0), timedelta(hours=1), 49)
    assert (series.kind, series.basis, series.scope, series.zone) == ("modelled", "average", "lifecycle", "GB")
    ratio = next(
        float(row["ratio_mean"])
        for row in table("climatology.csv")
        if (row["zone"], row["month"], row["weekend"], row["hour_utc"]) == ("GB", "11", "0", "10")
    )
    assert series.values[0] == pytest.approx(ratio * 217.41, rel=1e-12)
    assert series.source.url == "package:climatology.csv#grid=GB&mean_g_per_kwh=217.41&years=2025"


def test_a_year_of_typical_days_has_the_mean_of_the_year():
    for zone, mean_g_per_kwh in (("GB", 217.41), ("US-CAL-CISO", 272.9)):
        year = query(zone, start_at=datetime(2026, 1, 1, tzinfo=UTC), hours=365 * 24)
        assert read(climatology.provider, year).values.mean() == pytest.approx(mean_g_per_kwh, rel=0.005)


def test_weekends_and_months_have_their_own_days():
    monday, saturday = datetime(2026, 11, 23, 18, tzinfo=UTC), datetime(2026, 11, 28, 18, tzinfo=UTC)
    first = [read(climatology.provider, query("GB", start_at=day)).values[0] for day in (monday, saturday)]
    summer = read(climatology.provider, query("GB", start_at=datetime(2026, 7, 20, 18, tzinfo=UTC))).values[0]
    assert len({*first, summer}) == 3


def test_a_part_of_a_country_has_the_days_of_the_country_and_says_so():
    series = read(climatology.provider, query("GB-13"))
    assert series.zone == "GB-13"
    assert "grid=GB&" in series.source.url
    assert series.values.tolist() == read(climatology.provider, query("GB")).values.tolist()
    assert climatology.provider.covers("DE-LU")


def test_a_grid_within_a_country_keeps_the_mean_of_its_own_record():
    series = read(climatology.provider, query("US-CAL-CISO"))
    assert series.source.url.endswith("#grid=US-CAL-CISO&mean_g_per_kwh=272.9&years=2020-2021")


@pytest.mark.parametrize("zone", ["US", "AU", "AU-VIC", "US-FLA", "IT", "WORLD", "NO"])
def test_no_grid_stands_for_a_country_it_is_only_part_of(zone):
    assert not climatology.provider.covers(zone)
    with pytest.raises(UnknownZone, match=zone):
        read(climatology.provider, query(zone))


# Yearly means.


@pytest.mark.parametrize(
    ("zone", "g_per_kwh", "fragment"),
    [("FR", 41.44, "country=FR&year=2025"), ("US-CAL-CISO", 384.4, "country=US"), ("WORLD", 475, "country=WORLD&year=2019")],
)
def test_a_country_has_one_value(zone, g_per_kwh, fragment):
    series = read(annual.provider, query(zone, hours=30))
    assert set(series.values.tolist()) == {g_per_kwh}
    assert series.covers(NOW, NOW + timedelta(hours=30))
    assert (series.kind, series.scope, series.zone) == ("modelled", "lifecycle", zone)
    assert fragment in series.source.url


@pytest.mark.parametrize(("zone", "hint"), [("UK", "GB"), ("EL", "GR"), ("ED", "mean DE?"), ("QQ-1", "WORLD")])
def test_a_country_that_is_none_is_refused_with_the_one_meant(zone, hint):
    with pytest.raises(UnknownZone, match=f"'{zone[:2]}'") as caught:
        read(annual.provider, query(zone))
    assert hint in caught.value.hint


@pytest.mark.parametrize("zone", ["london", "gb", "GBR", "", "G B", "DE-", "DE-lu"])
def test_what_is_no_zone_key_is_not_covered(zone):
    assert not annual.provider.covers(zone)


def test_only_packaged_facts_are_not_live():
    assert not annual.provider.live
    assert not climatology.provider.live
    assert constant.provider.live


# A constant.


def test_a_constant_holds_over_the_whole_span():
    series = read(constant.provider, query("ANY-WHERE", hours=30), "data:text/plain,250")
    assert constant.provider.covers("ANY-WHERE")
    assert set(series.values.tolist()) == {250}
    assert series.covers(NOW, NOW + timedelta(hours=30))
    assert (series.kind, series.scope, series.source.url) == ("modelled", "unstated", "data:text/plain,250")


@pytest.mark.parametrize("text", ["", "cheap", "-1", "nan", "inf", "250 g"])
def test_a_constant_is_a_number_from_0_on(text):
    with pytest.raises(InputError, match="not an intensity"):
        constant.provider.parse([payload(text)], query())


def test_without_a_number_it_says_what_to_give():
    with pytest.raises(InputError, match="no constant"):
        constant.provider.requests(query(), Access())
