"""Open-Meteo: what is asked, and what its answers hold, good and bad."""

from __future__ import annotations

import csv
import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from greenai.adapters.weather import openmeteo
from greenai.errors import InputError, ProviderBadData, ProviderRefused
from greenai.model.intensity import Access, Payload
from greenai.model.weather import WeatherPoint

NOW = datetime(2026, 11, 24, 9, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


def point(latitude, longitude):
    return WeatherPoint(
        zone="GB",
        name="p",
        latitude_degrees=latitude,
        longitude_degrees=longitude,
        wind_share=1.0,
        solar_share=1.0,
        demand_share=1.0,
    )


POINTS = (point(55.5, -4.0), point(51.6, 1.3))


def place(hours, first="2026-11-24T00:00", **columns):
    begin = datetime.fromisoformat(first)
    times = [(begin + hour * HOUR).isoformat(timespec="minutes") for hour in range(hours)]
    hourly = {"time": times} | {name: [10.0] * hours for name in openmeteo.VARIABLES} | columns
    return {"latitude": 55.5, "utc_offset_seconds": 0, "hourly": hourly}


def payload(data):
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return Payload(
        url="https://api.open-meteo.com/v1/forecast", body=body, sha256=hashlib.sha256(body).hexdigest(), fetched_at=NOW
    )


def query_of(request):
    return {key: values[0] for key, values in parse_qs(urlsplit(request.url).query).items()}


def test_the_past_is_asked_by_year_and_the_present_once():
    reads = openmeteo.requests(POINTS, (NOW - timedelta(days=800), NOW + timedelta(days=3)), NOW, Access())
    *past, recent = [query_of(read) for read in reads]
    assert all(read.url.startswith(openmeteo.PAST_URL) for read in reads[:-1])
    assert reads[-1].url.startswith(openmeteo.FORECAST_URL + "/v1/forecast?")
    days = [(date.fromisoformat(one["start_date"]), date.fromisoformat(one["end_date"])) for one in past]
    assert all(one[1] == other[0] for one, other in pairwise(days))
    assert days[0][0] <= date(2024, 9, 15)
    assert all((day - date(1970, 1, 1)).days % 28 == 0 for span in days for day in span)
    assert days[-1][1] == date(2026, 11, 24) - timedelta(days=int(recent["past_days"]))
    assert 7 <= int(recent["past_days"]) < 35
    assert recent["latitude"] == "55.5,51.6"
    assert (recent["forecast_days"], recent["wind_speed_unit"]) == ("4", "kmh")


def test_the_reads_of_the_past_stay_the_same_for_four_weeks():
    span = (NOW - timedelta(days=365), NOW)
    later = NOW + timedelta(days=1)
    one, other = (
        [read.url for read in openmeteo.requests(POINTS, (span[0] + gone, span[1] + gone), NOW + gone, Access())][:-1]
        for gone in (timedelta(0), later - NOW)
    )
    assert one == other


def test_a_gateway_takes_all_reads_and_a_key_is_refused():
    reads = openmeteo.requests(POINTS, (NOW - timedelta(days=30), NOW), NOW, Access(base_url="http://127.0.0.1:9/"))
    assert {read.url.split("/v1")[0] for read in reads} == {"http://127.0.0.1:9"}
    with pytest.raises(InputError, match="archived"):
        openmeteo.requests(POINTS, (NOW, NOW), NOW, Access(key="secret"))
    with pytest.raises(InputError, match="no weather points"):
        openmeteo.requests((), (NOW, NOW), NOW, Access())


def test_reads_weigh_by_days_and_places():
    assert openmeteo.weight(5, 14) == 5
    assert openmeteo.weight(2, 366) == pytest.approx(52.3, abs=0.1)


def test_answers_join_and_the_later_one_wins():
    past = payload([place(24, "2026-11-23T00:00"), place(24, "2026-11-23T00:00")])
    recent = payload([place(30, "2026-11-23T20:00", wind_speed_10m=[20.0] * 30), place(30, "2026-11-23T20:00")])
    made = openmeteo.parse([past, recent], POINTS)
    assert made.start_at == datetime(2026, 11, 23, tzinfo=UTC)
    assert len(made) == 50
    assert made.wind_km_per_h[:, 19].tolist() == [10.0, 10.0]
    assert made.wind_km_per_h[:, 20].tolist() == [20.0, 10.0]
    assert made.issued_at == NOW


def test_one_point_is_answered_without_a_list():
    assert len(openmeteo.parse([payload(place(5))], POINTS[:1])) == 5


def test_short_gaps_are_bridged_long_ones_cut_and_the_end_falls_short():
    wind = [1.0, None, 3.0, *[None] * 5, 8.0, 9.0, None, 11.0, None]
    made = openmeteo.parse([payload(place(13, wind_speed_10m=wind))], POINTS[:1])
    assert made.start_at == datetime(2026, 11, 24, 8, tzinfo=UTC)
    np.testing.assert_allclose(made.wind_km_per_h[0], [8, 9, 10, 11])


def test_the_service_may_refuse_in_its_own_words():
    with pytest.raises(ProviderRefused, match="Minutely API request limit exceeded"):
        openmeteo.parse([payload({"error": True, "reason": "Minutely API request limit exceeded."})], POINTS)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<html>", "not JSON"),
        ([place(3)], "1 places, not of 2"),
        ([{"hourly": None}, place(3)], "no hourly"),
        (["no", "object"], "no hourly"),
        ([place(3), place(4)], "differ in length"),
        ([place(2, cloud_cover=["x", 1]), place(2)], "no number"),
        ([place(2, time=["soon", "later"]), place(2)], "not an hour"),
        ([place(2, time=["2026-11-24T00:00", "2026-11-24T00:30"]), place(2)], "not hourly"),
        ([place(2, cloud_cover=[None, None]), place(2)], "no hour with all values"),
    ],
)
def test_other_shapes_are_named(data, said):
    with pytest.raises(ProviderBadData, match=said):
        openmeteo.parse([payload(data)], POINTS)


def test_packaged_points_are_whole():
    text = (resources.files("greenai.facts") / "weather_points.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    for zone in {row["zone"] for row in rows}:
        mine = [row for row in rows if row["zone"] == zone]
        assert len(mine) >= 2
        for share in ("wind_share", "solar_share", "demand_share"):
            assert sum(float(row[share]) for row in mine) == pytest.approx(1), (zone, share)
    assert all(row["source"] and abs(float(row["lat"])) <= 90 and abs(float(row["lon"])) <= 180 for row in rows)
