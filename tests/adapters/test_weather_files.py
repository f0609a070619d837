"""Weather from a file and the packaged points."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from importlib import resources

import pytest

from greenai.adapters.weather import points, series_file
from greenai.errors import InputError, ProviderBadData, SeriesGap
from greenai.model.intensity import Payload

HEAD = "start_utc,temp_c,rh_pct,cloud_pct,wind_10m_km_per_h\n"


def payload(text):
    body = text.encode()
    now = datetime(2026, 11, 24, tzinfo=UTC)
    return Payload(url="file:///weather.csv", body=body, sha256=hashlib.sha256(body).hexdigest(), fetched_at=now)


def test_a_file_is_read_as_one_place():
    made = series_file.parse(payload(HEAD + "2022-01-01T00:00Z,1,2,3,4\n2022-01-01T01:00Z,5,6,7,8\n"), "GB")
    assert len(made) == 2
    assert made.wind_km_per_h.tolist() == [[4.0, 8.0]]
    assert made.temperature_c.tolist() == [[1.0, 5.0]]
    assert made.cloud_percent.tolist() == [[3.0, 7.0]]
    assert made.humidity_percent.tolist() == [[2.0, 6.0]]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("start_utc,temp_c\n", InputError, "no column wind_10m_km_per_h"),
        (HEAD.replace("start_utc", "when"), InputError, "no column start_utc"),
        (HEAD, InputError, "no hour"),
        (HEAD + "2022-01-01T00:00Z,1,2,3\n", InputError, "line 2"),
        (HEAD + "soon,1,2,3,4\n", InputError, "line 2"),
        (HEAD + "2022-01-01T00:00Z,1,2,3,4\n2022-01-01T02:00Z,1,2,3,4\n", SeriesGap, "not hourly"),
    ],
)
def test_a_broken_file_is_named(text, error, said):
    with pytest.raises(error, match=said):
        series_file.parse(payload(text), "GB")


def test_packaged_points_of_a_zone():
    text = (resources.files("greenai.facts") / "weather_points.csv").read_text(encoding="utf-8")
    assert len(points.points_of(payload(text), "GB")) == 5
    assert points.points_of(payload(text), "XX") == ()
    with pytest.raises(ProviderBadData, match="broken"):
        points.points_of(payload("zone,name\nGB,here\n"), "GB")
