"""What the services answer, good and bad, from recorded shapes (payloads/<service>); the values are ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest
from tests.adapters.making import NOW, PAYLOADS, payload, query

from greenai.adapters.providers import (
    carbonawaresdk,
    eia,
    electricitymaps,
    energidataservice,
    energycharts,
    openelectricity,
    watttime,
)
from greenai.errors import InputError, ProviderBadData, ProviderRefused

HOUR = timedelta(hours=1)
TEN = datetime(2026, 11, 24, 10, tzinfo=UTC)
PROVIDERS = {
    "electricitymaps": (electricitymaps.provider, "DE"),
    "energycharts": (energycharts.provider, "DE"),
    "watttime": (watttime.provider, "US-CAL-CISO"),
    "eia": (eia.provider, "US-CAL-CISO"),
    "energidataservice": (energidataservice.provider, "DK-DK1"),
    "openelectricity": (openelectricity.provider, "AU-NSW"),
    "carbonawaresdk": (carbonawaresdk.provider, "US-CAL-CISO"),
}
FACTORS = payload((resources.files("greenai.facts") / "fuel_factors.csv").read_bytes(), url="package:fuel_factors.csv")


def parsed(name, asked=None, **changes):
    service = name.partition("/")[0]
    provider, zone = PROVIDERS[service]
    bodies = [payload((PAYLOADS / name).read_bytes(), **changes)]
    return provider.parse([*bodies, FACTORS] if service == "eia" else bodies, asked or query(zone))


def past(zone, start_at, hours=2.0):
    return query(zone, start_at=start_at, hours=hours, purpose="observed")


FORECASTS = {
    "electricitymaps/forecast.json": [300, 310, 0, 320, 330, 340, 350],
    "electricitymaps/forecast_null.json": [300, 310],
    "energycharts/day.json": [346.2, 398.5, 399, 0],
    "energycharts/no_forecast.json": [2, 3],
    "energycharts/hourly.json": [50.5, 51, 52, 53],
    "watttime/forecast.json": [1048.4 * 0.45359237, 1000 * 0.45359237, 0, 900 * 0.45359237],
    "watttime/warnings.json": [1048.4 * 0.45359237],
    "watttime/null.json": [1048.4 * 0.45359237],
    "energidataservice/forecast.json": [96.2, 97, 0, 98],
    "energidataservice/newest_first.json": [96.2, 97, 0, 98],
    "energidataservice/null.json": [96.2],
    "carbonawaresdk/forecast.json": [200, 210, 0, 220],
    "carbonawaresdk/one_object.json": [200, 210],
    "carbonawaresdk/hourly.json": [200, 210],
    "carbonawaresdk/null.json": [200],
}


@pytest.mark.parametrize("name", FORECASTS)
def test_a_forecast_holds_now_and_ends_where_knowledge_ends(name):
    series = parsed(name)
    assert series.values.tolist() == pytest.approx(FORECASTS[name], rel=1e-12)
    assert series.start_at <= NOW < series.start_at + series.step
    assert (series.kind, series.zone) == ("forecast", PROVIDERS[name.partition("/")[0]][1])
    assert series.issued_at is not None


@pytest.mark.parametrize(
    ("name", "minutes"),
    [
        ("electricitymaps/forecast.json", 60),
        ("energycharts/day.json", 15),
        ("energycharts/hourly.json", 60),
        ("watttime/forecast.json", 5),
        ("carbonawaresdk/hourly.json", 60),
    ],
)
def test_the_slots_are_as_long_as_the_data_say(name, minutes):
    assert parsed(name).step == timedelta(minutes=minutes)


REFUSED = {
    "electricitymaps/forecast_null_first.json": "no value for 2026-11-24T10:37:00Z",
    "electricitymaps/forecast_other_zone.json": "for the zone 'FR', not DE",
    "electricitymaps/forecast_direct.json": "direct factors, lifecycle was asked",
    "electricitymaps/error_with_200.json": "no forecast or history or data: Missing arguments",
    "electricitymaps/rows_a_number.json": "not made of rows",
    "electricitymaps/no_time.json": "'None' is not a time",
    "electricitymaps/words.json": "is 'moderate', not a number",
    "energycharts/all_null.json": "no value for",
    "energycharts/uneven.json": "1 times for 2 and 1 values",
    "energycharts/not_lists.json": "unix_seconds is no list",
    "energycharts/bad_time.json": "'noon' is not a time in seconds",
    "energycharts/negative.json": "is '-4', not a number from 0 on",
    "energycharts/unknown_country.json": "not JSON",
    "watttime/other_region.json": 'of region "PJM_DC", not CAISO_NORTH',
    "watttime/other_units.json": "of units",
    "watttime/aoer.json": "of signal_type",
    "watttime/empty.json": "no time at all",
    "watttime/detail_422.json": "no data: value is not a valid integer",
    "eia/new_fuel.json": "the fuel 'FUS', for which no factor is known",
    "eia/other_grid.json": "of 'PJM', not CISO",
    "eia/words.json": "is 'many', not a number",
    "eia/bad_period.json": "'noon' is not a time",
    "eia/error_with_200.json": "no response: API_KEY_MISSING",
    "eia/cut_off.json": "cut off at 5000 rows",
    "eia/day.json": "fewer than 3 days",
    "energidataservice/other_area.json": "of the area 'DK2', not DK1",
    "energidataservice/measured.json": "of 'CO2Emis', not CO2EmisProg",
    "energidataservice/last_hundred.json": "no value for",
    "energidataservice/no_records.json": "no records: Dataset not found",
    "energidataservice/bad_time.json": "'None' is not a time",
    "openelectricity/hours.json": "fewer than 3 days",
    "openelectricity/other_region.json": "of the region 'VIC1', not NSW1",
    "openelectricity/other_unit.json": "given in 'kg', not t",
    "openelectricity/naive.json": "not a time with its zone",
    "openelectricity/odd_cell.json": "not a time and a value",
    "openelectricity/no_rows.json": "not made of rows",
    "carbonawaresdk/other_location.json": "of the location 'eastus', not westus",
    "carbonawaresdk/problem.json": "no forecastData",
    "carbonawaresdk/no_content.json": "no time at all",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_sentence(name):
    with pytest.raises(ProviderBadData) as caught:
        parsed(name)
    assert REFUSED[name] in str(caught.value)
    assert not isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("service", PROVIDERS)
@pytest.mark.parametrize(
    "body", ["", " \n", "{}", "[]", "null", "7", "<html></html>", '{"data":', "[" * 100_000, '{"data":null}']
)
def test_junk_is_refused(service, body):
    provider, zone = PROVIDERS[service]
    bodies = [payload(body)]
    with pytest.raises(ProviderBadData):
        provider.parse([*bodies, FACTORS] if service == "eia" else bodies, query(zone))


@pytest.mark.parametrize("service", PROVIDERS)
def test_no_answer_is_nothing_published(service):
    provider, zone = PROVIDERS[service]
    with pytest.raises(ProviderBadData, match="nothing is published yet"):
        provider.parse([], query(zone, purpose="observed"))


# Electricity Maps.


@pytest.mark.parametrize("name", ["history.json", "history_data.json"])
def test_an_estimate_is_no_observation(name):
    series = parsed(f"electricitymaps/{name}", past("DE", TEN - 24 * HOUR, 24))
    assert (series.kind, len(series), series.issued_at) == ("observed", 20, None)


def test_a_past_with_estimates_is_modelled():
    asked = query("DE", start_at=TEN - 6 * HOUR, hours=5)
    assert parsed("electricitymaps/history.json", asked).kind == "modelled"


@pytest.mark.parametrize("name", ["forecast_sandbox.json", "history_sandbox.json"])
def test_made_up_data_is_refused_loudly(name):
    with pytest.raises(ProviderRefused, match="sandbox key"):
        parsed(f"electricitymaps/{name}", query("DE", start_at=TEN - 2 * HOUR))


def test_what_a_key_may_ask():
    found = electricitymaps.rights_of(payload((PAYLOADS / "electricitymaps/zones.json").read_bytes()))
    assert found == {"DE": {"carbon-intensity/latest", "carbon-intensity/forecast"}}


ANSWERED_401 = ProviderRefused("answered 401", status=401)


def listing(text: str):
    return payload(text.encode())


@pytest.mark.parametrize(
    ("rights", "words"),
    [
        ('{"DE": {"access": ["carbon-intensity/forecast"]}}', "does not cover DE: answered 401"),
        ('{"DE": {"access": ["*"]}}', "does not cover DE: answered 401"),
        (
            '{"DE": {"access": ["carbon-intensity/latest"]}}',
            "may read carbon-intensity/latest there, not carbon-intensity/forecast",
        ),
        ('{"FR": {"access": ["carbon-intensity/latest"]}}', "does not cover DE: it covers FR"),
        ("{" + ",".join(f'"Z{i}": {{"access": []}}' for i in range(9)) + "}", "it covers Z0, Z1, Z2, Z3, Z4 and 4 more"),
        ('{"DE": {"zoneName": "Germany"}}', "the key is not accepted: answered 401"),
        ("<html>", "the key is not accepted: answered 401"),
        (None, "the key is not accepted: answered 401"),
    ],
)
def test_rights_tell_refusals_apart(rights, words):
    rights_of = electricitymaps.provider.rights
    found = rights_of.explain(ANSWERED_401, None if rights is None else listing(rights), query("DE", start_at=TEN))
    assert words in str(found)
    assert found.status == 401


def test_what_the_list_allows_is_asked():
    missing = electricitymaps.provider.rights.missing
    ahead, behind = query("DE", start_at=TEN), query("DE", start_at=TEN - 30 * 24 * HOUR, hours=5)
    forecasts = listing('{"DE": {"access": ["carbon-intensity/forecast"]}}')
    assert missing(forecasts, ahead) is None
    assert "not carbon-intensity/past-range" in str(missing(forecasts, behind))
    assert missing(listing('{"DE": {"access": ["*"]}}'), behind) is None
    assert missing(listing("{}"), behind) is None


# Energy-Charts.


def test_measured_values_alone_are_observed():
    series = parsed("energycharts/day.json", past("DE", TEN + HOUR / 4, 1))
    assert (series.kind, series.values.tolist()) == ("observed", [337.1, 346.2])


# WattTime.


def test_a_marginal_rate_is_never_an_observation():
    series = parsed("watttime/forecast.json", past("US-CAL-CISO", NOW, 0.2))
    assert (series.kind, series.basis, series.scope) == ("modelled", "marginal", "direct")
    assert series.source.url.endswith("#region=CAISO_NORTH")


def test_the_token_of_a_log_in():
    login = watttime.provider.login
    assert login.token(payload((PAYLOADS / "watttime/token.json").read_bytes())) == "a-token"
    with pytest.raises(ProviderBadData, match="without a token"):
        login.token(payload((PAYLOADS / "watttime/no_token.json").read_bytes()))


# EIA.


def test_the_mix_of_an_hour_becomes_its_intensity():
    """Storage does not count, own use counts as 0, and a period is the END of its hour."""
    series = parsed("eia/day.json", past("US-CAL-CISO", TEN - 24 * HOUR, 24))
    assert (series.start_at, series.end_at, series.kind, series.scope) == (TEN - 24 * HOUR, TEN, "observed", "lifecycle")
    assert series.values.tolist() == pytest.approx([(600 * 486 + 100 * 1001 + 300 * 13) / 1000] * 24)


@pytest.mark.parametrize(
    ("name", "hours"), [("null_fuel", 2), ("very_negative", 2), ("nothing_generated", 2), ("last_hour_partial", 5)]
)
def test_an_hour_not_known_whole_is_not_known(name, hours):
    assert len(parsed(f"eia/{name}.json", past("US-CAL-CISO", TEN - 6 * HOUR, 6))) == hours


@pytest.mark.parametrize("name", ["eia/eight_days.json", "openelectricity/eight_days.json"])
def test_the_hours_to_come_are_a_typical_day_and_say_so(name):
    series = parsed(name, query(PROVIDERS[name.partition("/")[0]][1], hours=24))
    assert (series.kind, series.issued_at, len(series)) == ("modelled", None, 25)
    assert series.values[0] == series.values[24] != series.values[12]
    assert "model=mean day of the last 8" in series.source.url


# Energi Data Service.


def test_measured_values_of_denmark():
    series = parsed("energidataservice/measured.json", past("DK-DK1", NOW, 0.1))
    assert (series.kind, series.scope, series.values.tolist()) == ("observed", "direct", [96.2, 97])


# Open Electricity.


def test_tonnes_over_megawatt_hours():
    series = parsed("openelectricity/hours.json", past("AU-NSW", TEN - 4 * HOUR, 4))
    assert series.values.tolist() == pytest.approx([515.0625, 500, 0, 500])
    assert (series.kind, series.start_at) == ("observed", TEN - 4 * HOUR)


@pytest.mark.parametrize("name", ["null", "no_energy"])
def test_an_hour_without_both_is_unknown(name):
    assert len(parsed(f"openelectricity/{name}.json", past("AU-NSW", TEN - 4 * HOUR, 4))) == 1


def test_fuels_are_added_up():
    assert parsed("openelectricity/by_fuel.json", past("AU-NSW", TEN - 4 * HOUR, 1)).values.tolist() == [500]


# Carbon Aware SDK.


def test_a_forecast_that_begins_now_reaches_back_to_the_half_hour():
    asked = query("US-CAL-CISO", start_at=TEN + HOUR / 2)
    assert parsed("carbonawaresdk/begins_now.json", asked).values.tolist() == [200, 200, 200, 210, 220]


def test_a_forecast_that_begins_later_is_no_answer():
    with pytest.raises(ProviderBadData, match="no value for"):
        parsed("carbonawaresdk/begins_now.json", query("US-CAL-CISO", start_at=TEN - HOUR))


def test_a_marginal_gateway_says_so():
    body = payload((PAYLOADS / "carbonawaresdk/forecast.json").read_bytes())
    series = carbonawaresdk.marginal_provider.parse([body], query("US-CAL-CISO"))
    assert (series.basis, series.source.provider) == ("marginal", "carbonawaresdk_marginal")
