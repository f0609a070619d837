"""The packaged table of cloud regions: what it may hold, and how its rows are named, allowed and found."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from greenai.errors import InputError
from greenai.logic.regions import (
    EU,
    check_allowed,
    distance_km,
    is_allowed,
    near_first,
    nearest_names,
    site_named,
    sites_from_table,
)
from greenai.model.place import Point, Site
from greenai.model.zone import Place

TABLE = files("greenai.facts").joinpath("cloud_regions.csv").read_text(encoding="utf-8")
ROWS = list(csv.DictReader(TABLE.splitlines()))
ZONES = {row["zone"] for row in csv.DictReader(files("greenai.facts").joinpath("zones.csv").read_text("utf-8").splitlines())}
SITES = sites_from_table(TABLE)
COLUMNS = (
    "cloud,region,name,country,zone,lat,lon,pue,pue_kind,pue_year,wue_l_per_kwh,wue_kind,wue_year,"
    "google_g_per_kwh,google_cfe_share,google_year,source"
)


def test_the_table_has_its_columns_and_each_region_once():
    assert TABLE.splitlines()[0] == COLUMNS
    assert len(ROWS) == len({site.name for site in SITES}) == 158


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['cloud']}:{row['region']}")
def test_each_row_is_dated_cited_and_possible(row):
    assert row["zone"] in ZONES
    assert row["zone"].split("-")[0] == row["country"] or (row["country"], row["zone"]) in {("HK", "HK"), ("TW", "TW")}
    assert -90 <= float(row["lat"]) <= 90
    assert -180 <= float(row["lon"]) <= 180
    assert "grid zone and city: " in row["source"]
    # Nothing that is not known stands as a number, and no number stands without its kind and source.
    assert bool(row["pue"]) == (row["pue_kind"] in {"region", "fleet"}) == ("PUE: " in row["source"])
    assert (row["pue_kind"] == "region") == bool(row["pue_year"])
    assert not row["pue"] or 1 < float(row["pue"]) < 2
    assert bool(row["wue_l_per_kwh"]) == bool(row["wue_kind"]) == bool(row["wue_year"]) == ("WUE: " in row["source"])
    assert not row["wue_l_per_kwh"] or 0 < float(row["wue_l_per_kwh"]) < 5
    assert bool(row["google_g_per_kwh"] or row["google_cfe_share"]) == bool(row["google_year"])
    assert not row["google_year"] or row["cloud"] == "gcp"
    for year in ("pue_year", "wue_year", "google_year"):
        assert not row[year] or 2022 <= int(row[year]) <= 2026


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("gcp:us-south1", (32.8, -96.8)),
        ("aws:sa-east-1", (-23.5, -46.6)),
        ("gcp:us-east5", (40, -83)),
        ("gcp:us-west4", (36.2, -115.1)),
        ("azure:westus", (37.8, -122)),
        ("azure:spaincentral", (40.4, -3.7)),
        ("azure:ukwest", (51.5, -3.2)),
    ],
)
def test_regions_that_other_tables_misplace_stand_where_they_are(name, where):
    point = Point(latitude_degrees=where[0], longitude_degrees=where[1])
    assert distance_km(site_named(name, SITES), point) < 100


def test_a_row_becomes_a_site_with_who_says_what():
    london = site_named("AWS:EU-West-2", SITES)
    assert (london.title, london.country, london.cloud, london.place.zone) == ("London", "GB", "aws", "GB")
    assert (london.place.pue, london.place.pue_source, london.place.wue_l_per_kwh) == (1.135, "aws fleet mean", 0.18)
    assert site_named("aws:eu-north-1", SITES).place.pue_source == "aws for this region, 2024"
    ovh = site_named("ovh:gb-london", SITES)
    assert (ovh.place.pue_stated, ovh.place.wue_l_per_kwh, ovh.google_cfe_share) == (False, None, None)
    assert site_named("gcp:europe-west1", SITES).google_cfe_share == 0.84


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("eu-west-2", "aws:eu-west-2"), ("aws:eu-wset-2", "aws:eu-west-2"), ("aws-eu-north-1", "aws:eu-north-1")],
)
def test_a_wrong_name_is_answered_with_the_nearest(wrong, near):
    with pytest.raises(InputError, match="there is no place") as caught:
        site_named(wrong, SITES)
    assert near in caught.value.hint


def test_a_name_like_no_other_is_answered_with_where_they_are_listed():
    assert nearest_names("qqqqqq", SITES) == []
    with pytest.raises(InputError) as caught:
        site_named("qqqqqq", SITES)
    assert caught.value.hint == "greenai regions lists the cloud regions"


def test_residency_is_by_country_group_or_name():
    paris = site_named("aws:eu-west-3", SITES)
    assert len(EU) == 27
    assert is_allowed(paris, ("eu",))
    assert is_allowed(paris, ("DE", "fr"))
    assert is_allowed(paris, ("AWS:eu-*",))
    assert not is_allowed(paris, ("gcp:*", "DE"))
    assert not is_allowed(site_named("aws:eu-west-2", SITES), ("EU", "EEA"))
    assert is_allowed(Site(name="fjord", place=Place(zone="NO-NO2")), ("EEA",))


@pytest.mark.parametrize("word", ["EUROPE", "12", "D", "aws"])
def test_a_word_that_names_no_country_is_refused(word):
    with pytest.raises(InputError, match="is not a country"):
        check_allowed([word])
    check_allowed(["EU", "eea", "de", "aws:*"])


def test_the_nearest_come_first_and_what_stands_nowhere_is_left_out():
    berlin = Point(latitude_degrees=52.5, longitude_degrees=13.4)
    cellar = Site(name="cellar", place=Place(zone="DE"))
    found = near_first([cellar, *SITES], berlin)
    far = [site.point.distance_km(berlin) for site in found]
    assert {site.title for site in found[:2]} == {"Berlin", "Germany North"}
    assert far == sorted(far)
    assert len(found) == len(SITES)
    assert distance_km(cellar, berlin) is None
    assert distance_km(found[0], None) is None
