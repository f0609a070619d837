"""What is asked of each service, to the letter, and that no secret stands in an address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.adapters.making import NOW, query

from greenai.adapters.providers import eia, electricitymaps, energidataservice, energycharts, openelectricity, watttime
from greenai.model.intensity import Access

DAY = timedelta(days=1)
KEY = Access(key="secret-key")
KEYED = {
    "DE": electricitymaps.provider,
    "US-CAL-CISO": eia.provider,
    "AU-NSW": openelectricity.provider,
    "US-TEX-ERCO": watttime.provider,
}


def urls(provider, asked):
    return [request.url for request in provider.requests(asked, KEY)]


def arguments(url):
    return {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}


@pytest.mark.parametrize("zone", KEYED)
def test_secrets_stand_in_headers_alone(zone):
    for purpose in ("forecast", "observed"):
        for request in KEYED[zone].requests(query(zone, start_at=NOW - DAY, hours=20, purpose=purpose), KEY):
            assert "secret" not in request.url
            assert "secret" not in repr(request)
            assert request.url.startswith("package:") or any("secret-key" in value for value in request.headers.values())


def test_the_log_in_holds_the_account_in_its_header():
    request = watttime.provider.login.request(Access(key="me:pass"))
    assert request.headers == {"Authorization": "Basic bWU6cGFzcw=="}
    assert request.url == "https://api.watttime.org/login"


@pytest.mark.parametrize(("hours", "horizon"), [(2, "6"), (6, "24"), (24, "48"), (48, "72"), (90, "72")])
def test_the_horizon_is_the_least_that_covers(hours, horizon):
    (url,) = urls(electricitymaps.provider, query("DE", hours=hours))
    assert url.startswith("https://api.electricitymaps.com/v4/carbon-intensity/forecast?")
    assert arguments(url) == {
        "zone": "DE", "emissionFactorType": "lifecycle", "disableCallerLookup": "true", "horizonHours": horizon,
    }  # fmt: skip


def test_version_3_has_its_own_word_against_guessing_the_zone():
    (request,) = electricitymaps.provider.requests(query("DE"), KEY)
    assert "/v3/" in request.instead.url
    assert arguments(request.instead.url)["shouldUseFallbackCallerLookup"] == "false"
    (kept,) = electricitymaps.provider.requests(query("DE"), Access(base_url="https://here.example/v3", key="k"))
    assert (kept.url.split("?")[0], kept.instead) == ("https://here.example/v3/carbon-intensity/forecast", None)


def test_the_past_comes_as_history_or_in_ranges_of_ten_days():
    (recent,) = urls(electricitymaps.provider, query("DE", start_at=NOW - DAY / 2, hours=6, purpose="observed"))
    assert "/history?" in recent
    assert arguments(recent)["disableEstimations"] == "true"
    long_ago = urls(electricitymaps.provider, query("DE", start_at=NOW - 30 * DAY, hours=25 * 24, purpose="observed"))
    assert [url.split("?")[0].rsplit("/", 1)[1] for url in long_ago] == ["past-range"] * 3
    both = urls(electricitymaps.provider, query("DE", start_at=NOW - DAY / 2, hours=24))
    assert [url.split("?")[0].rsplit("/", 1)[1] for url in both] == ["history", "forecast"]


def test_today_and_tomorrow_have_one_address_that_all_share():
    assert urls(energycharts.provider, query("DE", hours=40)) == ["https://api.energy-charts.info/co2eq?country=de"]
    (request,) = energycharts.provider.requests(query("DE", start_at=NOW - 3 * DAY, purpose="observed"), KEY)
    assert request.url.endswith("country=de&start=2026-11-21T10:30Z&end=2026-11-21T12:45Z")
    assert request.spacing_s == 10
    assert energycharts.provider.reuse_for == timedelta(minutes=15)


def test_watttime_counts_hours_and_both_ends():
    (url,) = urls(watttime.provider, query("US-CAL-CISO", hours=100))
    assert url == "https://api.watttime.org/v3/forecast?region=CAISO_NORTH&signal_type=co2_moer&horizon_hours=72"
    (past,) = urls(watttime.provider, query("US-CAL-CISO", start_at=NOW - DAY, hours=1, purpose="observed"))
    assert past.endswith("historical?region=CAISO_NORTH&signal_type=co2_moer&start=2026-11-23T10:35:00Z&end=2026-11-23T11:35:00Z")
    assert len(urls(watttime.provider, query("US-CAL-CISO", start_at=NOW - 60 * DAY, hours=1200, purpose="observed"))) == 2


def test_eia_hours_are_asked_by_their_ends():
    start_at = datetime(2026, 11, 20, 3, tzinfo=UTC)
    url, factors = urls(eia.provider, query("US-CAL-CISO", start_at=start_at, hours=2, purpose="observed"))
    asked = arguments(url)
    assert (asked["start"], asked["end"], asked["facets[respondent][]"]) == ("2026-11-20T04", "2026-11-20T05", "CISO")
    assert (asked["length"], factors) == ("5000", "package:fuel_factors.csv")
    assert arguments(urls(eia.provider, query("US"))[0])["facets[respondent][]"] == "US48"


def test_denmark_is_asked_for_all_rows_in_utc_without_a_z():
    (url,) = urls(energidataservice.provider, query("DK-DK2"))
    assert url.startswith("https://api.energidataservice.dk/dataset/CO2EmisProg?")
    asked = arguments(url)
    assert (asked["limit"], asked["timezone"], asked["sort"]) == ("0", "UTC", "Minutes5UTC asc")
    assert (asked["start"], asked["filter"]) == ("2026-11-24T10:35", '{"PriceArea":["DK2"]}')


def test_australia_is_asked_in_the_networks_own_time():
    start_at = datetime(2026, 11, 20, 3, tzinfo=UTC)
    (url,) = urls(openelectricity.provider, query("AU-WA", start_at=start_at, hours=2, purpose="observed"))
    assert "/v4/data/network/WEM?metrics=emissions&metrics=energy&" in url
    assert (arguments(url)["date_start"], arguments(url)["date_end"]) == ("2026-11-20T11:00:00", "2026-11-20T13:00:00")


@pytest.mark.parametrize(
    ("provider", "yes", "no"),
    [
        (electricitymaps.provider, ("DE", "GB", "US-CAL-CISO", "GB-NIR"), ("WORLD", "GB-13", "de")),
        (energycharts.provider, ("DE", "FR"), ("GB", "DE-LU", "US")),
        (watttime.provider, ("US-CAL-CISO",), ("KE",)),
        (eia.provider, ("US", "US-CAL-CISO"), ("DE", "US-CAL-XXXX", "MX-CISO")),
        (energidataservice.provider, ("DK-DK1",), ("DK",)),
        (openelectricity.provider, ("AU-NSW", "AU-WA"), ("AU", "AU-NT")),
    ],
)
def test_what_each_covers(provider, yes, no):
    assert all(provider.covers(zone) for zone in yes)
    assert not any(provider.covers(zone) for zone in no)
