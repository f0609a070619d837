"""The fake grid speaks as the documented service does, seen by a plain client."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenai.errors import InputError
from greenai.testing import FakeGrid, VirtualClock
from greenai.testing._uk_regions import REGION_OF_AREA, mix
from greenai.testing._world import Recorded, rows_from_csv, synthetic_rows

NOW = datetime(2026, 11, 23, 10, 37, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
ROWS = [(FIRST + number * HALF_HOUR, float(100 + number % 97)) for number in range(48 * 60)]
"""Two months of half hours, each value its own within two days."""


def value_at(start_at: datetime) -> int:
    return round(dict(ROWS)[start_at])


@pytest.fixture(scope="module")
def grid():
    with FakeGrid(ROWS, now=NOW) as running:
        yield running


def get(grid: FakeGrid, path: str) -> Any:
    with urllib.request.urlopen(grid.url + path, timeout=10) as reply:
        assert reply.status == 200
        assert reply.headers["Content-Type"].startswith("application/json")
        return json.loads(reply.read())["data"]


def refused(grid: FakeGrid, path: str) -> str:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(grid.url + path, timeout=10)
    with caught.value as reply:
        assert reply.code == 400
        error = json.loads(reply.read())["error"]
    assert error["code"] == "400 Bad Request"
    return error["message"]


def starts(rows: list[dict[str, Any]]) -> list[str]:
    return [row["from"] for row in rows]


@pytest.mark.parametrize(
    ("path", "count", "first"),
    [
        ("2026-11-23T10:37Z/fw48h", 96, "2026-11-23T10:30Z"),
        ("2026-11-23T10:31Z/fw48h", 96, "2026-11-23T10:30Z"),
        ("2026-11-23T10:30Z/fw48h", 97, "2026-11-23T10:00Z"),
        ("2026-11-23T00:00Z/fw24h", 49, "2026-11-22T23:30Z"),
        ("2026-11-23T00:00Z/pt24h", 49, "2026-11-21T23:30Z"),
        ("2026-11-23T01:31Z/pt24h", 48, "2026-11-22T01:30Z"),
        ("2026-11-23T00:00Z/2026-11-23T23:30Z", 48, "2026-11-22T23:30Z"),
        ("2026-11-23T16:00Z/2026-11-23T16:59Z", 2, "2026-11-23T15:30Z"),
        ("2026-11-23T16:00Z", 1, "2026-11-23T15:30Z"),
        ("2026-11-23T16:01Z", 1, "2026-11-23T16:00Z"),
    ],
)
def test_a_row_is_returned_if_its_end_lies_in_the_window(grid, path, count, first):
    """The alignment rule, on the documented examples."""
    rows = get(grid, f"/intensity/{path}")
    assert len(rows) == count
    assert rows[0]["from"] == first
    assert starts(rows) == sorted(set(starts(rows)))
    for row in rows:
        assert datetime.fromisoformat(row["to"]) - datetime.fromisoformat(row["from"]) == HALF_HOUR


def test_the_last_row_of_a_past_day_ends_with_it(grid):
    assert get(grid, "/intensity/2026-11-23T01:31Z/pt24h")[-1]["to"] == "2026-11-23T01:30Z"


def test_rows_hold_the_recorded_values(grid):
    for row in get(grid, "/intensity/2026-11-23T00:01Z/fw48h"):
        assert row["intensity"]["forecast"] == value_at(datetime.fromisoformat(row["from"]))
        assert row["intensity"]["index"] in {"low", "moderate"}


def test_measured_values_come_half_an_hour_after_the_fact(grid):
    """At 10:37 the half hour to 10:00 is published, the one to 10:30 is not: as recorded from the real service."""
    cells = {row["from"]: row["intensity"] for row in get(grid, "/intensity/2026-11-23T09:01Z/fw24h")}
    assert cells["2026-11-23T09:30Z"]["actual"] == value_at(datetime(2026, 11, 23, 9, 30, tzinfo=UTC))
    assert cells["2026-11-23T10:00Z"]["actual"] is None
    assert cells["2026-11-23T10:30Z"]["actual"] is None
    assert all(cell["actual"] is None for start, cell in cells.items() if start > "2026-11-23T09:30Z")


def test_the_delay_of_measured_values_can_be_chosen():
    with FakeGrid(ROWS, now=NOW, actual_after=timedelta(0)) as grid:
        assert get(grid, "/intensity/2026-11-23T10:30Z")[0]["intensity"]["actual"] is not None
        assert get(grid, "/intensity/2026-11-23T10:31Z")[0]["intensity"]["actual"] is None
    with FakeGrid(ROWS, now=NOW, actual_after=-timedelta(days=2)) as grid:
        assert get(grid, "/intensity/2026-11-24T10:31Z")[0]["intensity"]["actual"] is not None


def test_current_is_the_latest_complete_half_hour(grid):
    assert starts(get(grid, "/intensity")) == ["2026-11-23T10:00Z"]


def test_days_and_settlement_periods(grid):
    today = get(grid, "/intensity/date")
    assert (len(today), today[0]["from"], today[-1]["to"]) == (48, "2026-11-23T00:00Z", "2026-11-24T00:00Z")
    assert get(grid, "/intensity/date/2026-11-20")[0]["from"] == "2026-11-20T00:00Z"
    assert starts(get(grid, "/intensity/date/2026-11-20/42")) == ["2026-11-20T20:30Z"]


def test_forecasts_reach_four_days(grid):
    rows = get(grid, "/intensity/2026-11-23T10:31Z/2026-12-06T00:00Z")
    assert rows[-1]["from"] == "2026-11-27T10:30Z"


def test_statistics(grid):
    (whole,) = get(grid, "/intensity/stats/2026-11-20T00:00Z/2026-11-21T00:00Z")
    values = [value_at(datetime(2026, 11, 19, 23, 30, tzinfo=UTC) + number * HALF_HOUR) for number in range(49)]
    assert whole["intensity"]["max"] == max(values)
    assert whole["intensity"]["min"] == min(values)
    assert whole["intensity"]["average"] == round(sum(values) / 49)
    blocks = get(grid, "/intensity/stats/2026-11-20T00:00Z/2026-11-21T00:00Z/10")
    assert [block["to"] for block in blocks] == ["2026-11-20T10:00Z", "2026-11-20T20:00Z", "2026-11-21T00:00Z"]


def test_factors(grid):
    (factors,) = get(grid, "/intensity/factors")
    assert len(factors) == 14
    assert (factors["Gas (Combined Cycle)"], factors["Coal"]) == (394, 937)


def test_generation_is_an_object_now_and_a_list_over_time(grid):
    now = get(grid, "/generation")
    assert set(now) == {"from", "to", "generationmix"}
    fuels = [entry["fuel"] for entry in now["generationmix"]]
    assert fuels == ["biomass", "coal", "imports", "gas", "nuclear", "other", "hydro", "solar", "wind"]
    assert len(get(grid, "/generation/2026-11-23T00:00Z/pt24h")) == 49
    assert "valid path" in refused(grid, "/generation/2026-11-23T00:00Z/fw24h")


@pytest.mark.parametrize("g_per_kwh", [0, 57, 250, 394, 700, 937])
def test_a_mix_adds_up(g_per_kwh):
    assert sum(entry["perc"] for entry in mix(g_per_kwh)) == pytest.approx(100, abs=0.3)


def test_region_wide_answers_have_eighteen_regions_and_no_measured_values(grid):
    (period,) = get(grid, "/regional")
    assert [region["regionid"] for region in period["regions"]] == list(range(1, 19))
    assert all(set(region["intensity"]) == {"forecast", "index"} for region in period["regions"])
    whole = period["regions"][17]["intensity"]["forecast"]
    national = get(grid, "/intensity")[0]["intensity"]["forecast"]
    assert 0 < abs(whole - national) < 0.1 * national
    assert len(get(grid, "/regional/intensity/2026-11-23T10:31Z/fw24h")) == 48


def test_one_region_is_a_list_now_and_an_object_over_time(grid):
    """The list-or-object flip."""
    (now,) = get(grid, "/regional/regionid/13")
    assert (now["shortname"], len(now["data"])) == ("London", 1)
    span = get(grid, "/regional/intensity/2026-11-23T10:31Z/fw48h/regionid/13")
    assert (span["regionid"], len(span["data"])) == (13, 96)
    assert set(span["data"][0]) == {"from", "to", "intensity", "generationmix"}
    assert "postcode" not in span
    assert get(grid, "/regional/intensity/2026-11-23T10:31Z/fw48h/postcode/SW1")["postcode"] == "SW1"


@pytest.mark.parametrize(("path", "region"), [("england", 15), ("scotland", 16), ("wales", 17), ("postcode/rg10", 12)])
def test_countries_and_postcodes(grid, path, region):
    assert get(grid, f"/regional/{path}")[0]["regionid"] == region


@pytest.mark.parametrize("postcode", ["W1", "W7", "BT1", "SW1A2AA", "1", "RG10%203AA"])
def test_postcodes_the_service_does_not_know(grid, postcode):
    assert refused(grid, f"/regional/postcode/{postcode}") == "No postcode match can be found."


def test_every_region_has_postcodes():
    assert set(REGION_OF_AREA.values()) == set(range(1, 15))


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-23T10:31Z",
        "2026-11-23T10:31:59Z",
        "2026-11-23T10:31:00.0000000Z",
        "2026-11-23T10:31:00%2B00:00",
        "2026-11-23T12:31+02:00",
        "2026-11-23T10:31",
    ],
)
def test_forms_of_time_that_the_service_takes(grid, moment):
    assert starts(get(grid, f"/intensity/{moment}")) == ["2026-11-23T10:30Z"]


def test_a_bare_date_is_midnight(grid):
    assert starts(get(grid, "/intensity/2026-11-23")) == ["2026-11-22T23:30Z"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/intensity/now", "valid datetime in ISO8601 format YYYY-MM-DDThh:mmZ"),
        ("/intensity/20261123T1031Z", "valid datetime"),
        ("/intensity/2026-02-30T10:00Z", "valid datetime"),
        ("/intensity/yesterday/pt24h", "e.g. /intensity/2017-08-25T15:30Z/pt24h"),
        ("/intensity/2026-11-23T10:31Z/fw96h", "valid datetime"),
        ("/intensity/2026-11-01T00:00Z/2026-11-15T00:30Z", "at most 14 days"),
        ("/intensity/2026-11-23T10:31Z/2026-11-23T10:31Z", "end must be after"),
        ("/intensity/stats/2026-11-01T00:00Z/2026-12-02T00:00Z", "at most 30 days"),
        ("/intensity/stats/2026-11-01T00:00Z/2026-11-02T00:00Z/25", "block length"),
        ("/intensity/stats", "valid datetime"),
        ("/intensity/date/yesterday", "valid date"),
        ("/intensity/date/2026-11-20/49", "period 1-48"),
        ("/regional/regionid/18", "region ID"),
        ("/regional/intensity/2026-11-23T10:31Z", "valid path"),
        ("/", "valid path"),
        ("/banana", "valid path"),
    ],
)
def test_bad_requests_are_refused_as_documented(grid, path, words):
    assert words in refused(grid, path)


def test_fourteen_days_are_allowed(grid):
    assert len(get(grid, "/intensity/2026-11-02T00:00Z/2026-11-16T00:00Z")) == 14 * 48 + 1


def test_a_body_is_as_long_as_the_real_ones(grid):
    with urllib.request.urlopen(f"{grid.url}/intensity/2026-11-23T10:30Z/fw48h", timeout=10) as reply:
        assert len(reply.read()) == pytest.approx(10993, rel=0.1)


def test_requests_are_recorded():
    with FakeGrid(ROWS, now=NOW) as grid:
        request = urllib.request.Request(f"{grid.url}/intensity?x=1", headers={"User-Agent": "tester"})
        urllib.request.urlopen(request, timeout=10).close()
        (received,) = grid.requests
    assert (received.method, received.path, received.headers["user-agent"]) == ("GET", "/intensity?x=1", "tester")


def test_the_service_stands_under_its_name_too(grid):
    assert grid.url_of("uk") == f"{grid.url}/uk"
    assert get(grid, "/uk/intensity") == get(grid, "/intensity")


def test_the_present_can_be_a_clock():
    clock = VirtualClock(NOW)
    with FakeGrid(ROWS, now=clock.now) as grid:
        assert starts(get(grid, "/intensity")) == ["2026-11-23T10:00Z"]
        clock.advance(timedelta(hours=1))
        assert starts(get(grid, "/intensity")) == ["2026-11-23T11:00Z"]
        grid.set_now(NOW - timedelta(days=1))
        assert starts(get(grid, "/intensity")) == ["2026-11-22T10:00Z"]


def test_a_recorded_moment_can_play_as_now():
    at = datetime(2026, 11, 5, 3, 10, tzinfo=UTC)
    with FakeGrid(ROWS, now=NOW, at=at) as grid:
        (row,) = get(grid, "/intensity/2026-11-23T10:31Z")
    assert row["from"] == "2026-11-23T10:30Z"
    assert row["intensity"]["forecast"] == value_at(datetime(2026, 11, 5, 3, 0, tzinfo=UTC))


def test_a_record_of_the_past_plays_on_with_its_weekdays_and_hours():
    later = datetime(2029, 6, 6, 12, 10, tzinfo=UTC)
    with FakeGrid(ROWS, now=later) as grid:
        (row,) = get(grid, "/intensity/2029-06-06T12:01Z")
    weeks = (later - FIRST) // timedelta(weeks=8)
    same = datetime(2029, 6, 6, 12, tzinfo=UTC) - weeks * timedelta(weeks=8)
    assert same.weekday() == later.weekday()
    assert row["intensity"]["forecast"] == value_at(same)


def test_without_repeat_nothing_is_known_outside_the_record():
    with FakeGrid(ROWS, now=NOW + timedelta(days=365), repeat=False) as grid:
        assert get(grid, "/intensity") == []
        assert get(grid, "/generation") == {}
        assert get(grid, "/intensity/stats/2027-11-20T00:00Z/2027-11-21T00:00Z") == []


def test_without_a_file_a_made_up_day_plays_now():
    with FakeGrid() as grid:
        (row,) = get(grid, "/intensity")
    ended_at = datetime.fromisoformat(row["to"])
    assert timedelta(0) <= datetime.now(UTC) - ended_at < timedelta(hours=1)
    assert 100 <= row["intensity"]["forecast"] <= 250


def test_the_forecast_may_miss_by_more_the_further_ahead_but_is_the_same_each_time():
    flat = [(start_at, 200.0) for start_at, _ in ROWS]
    with FakeGrid(flat, now=NOW, noise_share=0.1) as grid:
        first, second = (get(grid, "/intensity/2026-11-23T10:31Z/fw48h") for _ in range(2))
    assert first == second
    misses = [abs(row["intensity"]["forecast"] - 200) for row in first]
    assert max(misses[48:]) > max(misses[:4])
    assert 5 < sum(misses[48:]) / 48 < 30


def test_nothing_listens_after_the_end():
    with FakeGrid(now=NOW) as grid:
        url = grid.url
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/intensity", timeout=10)
    with pytest.raises(InputError, match="not running"):
        _ = grid.url
    grid.stop()


def test_only_this_machine_can_ask(grid):
    assert grid.url.startswith("http://127.0.0.1:")


def test_a_port_in_use_is_refused_with_the_remedy(grid):
    port = int(grid.url.rsplit(":", 1)[1])
    with pytest.raises(InputError, match=f"port {port} cannot be used") as caught:
        FakeGrid(port=port).start()
    assert "another port" in caught.value.hint


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_series_file_is_read_whatever_its_step_and_other_columns(tmp_path):
    head = "start_utc,lifecycle_g_per_kwh,direct_g_per_kwh\n"
    text = head + "2026-11-23T10:00Z,100,1\n2026-11-23T10:15Z,300,1\n2026-11-23T10:30,50,1\n"
    with FakeGrid(write(tmp_path / "ci.csv", text + "2026-11-23T10:45Z,70,1\n"), now=NOW, repeat=False) as grid:
        rows = get(grid, "/intensity/2026-11-23T10:30Z/2026-11-23T11:00Z")
    assert [row["intensity"]["forecast"] for row in rows] == [200, 60]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no columns"),
        ("start_utc,ci\n2026-11-23T10:00Z,1\n", "no columns"),
        ("start_utc,g_per_kwh\n2026-11-23T10:00Z,x\n", "line 2"),
        ("start_utc,g_per_kwh\n2026-11-23T10:00Z,1\nsoon,2\n", "line 3"),
        ("start_utc,g_per_kwh\n2026-11-23T10:00Z,-1\n", "no intensity"),
        ("start_utc,g_per_kwh\n2026-11-23T10:00Z,nan\n", "no intensity"),
        ("start_utc,g_per_kwh\n2026-11-23T10:00Z,\n", "no rows"),
    ],
)
def test_a_series_file_that_cannot_be_used_is_refused_by_line(tmp_path, text, problem):
    with pytest.raises(InputError, match=problem):
        FakeGrid(write(tmp_path / "ci.csv", text))


def test_a_missing_series_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.csv"):
        rows_from_csv(tmp_path / "gone.csv")


def test_a_missing_row_stays_missing_and_a_coarser_part_is_held():
    half_hours = [(FIRST + number * HALF_HOUR, 1.0) for number in range(100) if number != 50]
    assert Recorded(half_hours, repeat=False).mean_g_per_kwh(FIRST + 50 * HALF_HOUR, HALF_HOUR) is None
    hours = [(FIRST + 100 * HALF_HOUR + number * 2 * HALF_HOUR, 2.0) for number in range(20)]
    mixed = Recorded(half_hours[:50] + half_hours[51:] + hours, repeat=False)
    assert mixed.mean_g_per_kwh(FIRST + 103 * HALF_HOUR, HALF_HOUR) == 2.0


def test_a_record_shorter_than_a_day_is_not_repeated():
    short = Recorded([(FIRST, 1.0), (FIRST + HALF_HOUR, 2.0)])
    assert short.mean_g_per_kwh(FIRST + HALF_HOUR, HALF_HOUR) == 2.0
    assert short.mean_g_per_kwh(FIRST + 2 * HALF_HOUR, HALF_HOUR) is None
    assert Recorded([(FIRST, 1.0)]).mean_g_per_kwh(FIRST, HALF_HOUR) == 1.0


def test_the_made_up_day_has_its_hours():
    values = [value for _, value in synthetic_rows()]
    assert len(values) == 24
    assert values.index(min(values)) == 4
    assert values.index(max(values)) == 18
