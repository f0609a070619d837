"""`greenai skill` on files and on a real archive: faults planted in forecasts show, and what is missing is said."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.conftest import Cli
from tests.cli.test_backtest import sky, written
from tests.cli.test_schemas import check
from tests.forecasting_world import grid, series

from greenai.adapters.store.archive import SqliteArchive
from greenai.logic import forecasting
from greenai.logic.foreseeing import payload_of
from greenai.model.intensity import OwnForecast, Payload, Query
from greenai.model.units import floor_to, iso_utc

HALF = timedelta(minutes=30)
DAYS = 70
BIAS = 30.0


@pytest.fixture
def gb(corner: Path) -> str:
    return written(corner / "GB.csv", grid(DAYS * 24))


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No service answers."""
    monkeypatch.setenv("GREENAI_UK_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GREENAI_HTTP_TIMEOUT_S", "1")


def skills(cli: Cli, *words: str) -> dict[str, Any]:
    done = cli("skill", "--zone", "GB", *words, "--json")
    assert (done.code, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    check(found, "skill")
    return found


def by_source(found: dict[str, Any]) -> dict[str, Any]:
    return {one["source"]: one for one in found["sources"]}


def test_our_own_are_judged_on_a_file(cli: Cli, gb: str, corner: Path) -> None:
    found = skills(cli, "--series", gb, "--days", "8", "--weather", sky(corner / "sky.csv", DAYS * 24))
    own = by_source(found)
    assert set(own) == {"lpr", "seasonal-naive", "lpr+weather"}
    assert found["judged_by"]["provider"] == "file"
    assert own["lpr"]["forecasts"] == 8 * 24 - 1
    assert own["lpr"]["regret"]["1h"]["decisions"] == 7 * 24 + 1
    assert 0 <= own["lpr"]["regret"]["1h"]["share"] < own["seasonal-naive"]["regret"]["1h"]["share"]
    assert own["lpr"]["day_ahead"]["mae_g_per_kwh"] < own["seasonal-naive"]["day_ahead"]["mae_g_per_kwh"]
    assert 0.9 < own["lpr"]["short_slope"] < 1.1
    assert 0.6 < own["lpr"]["coverage"]["within"] < 0.95
    assert (own["seasonal-naive"]["coverage"], found["archived"], found["left_out"]) == (None, [], [])


def test_the_table_shows_what_is_not_as_wanted(cli: Cli, gb: str) -> None:
    done = cli("skill", "--zone", "GB", "--series", gb, "--days", "6")
    assert done.code == 0
    assert done.out.startswith("GB: lpr serves best: a 1 h job placed by it within 24 h emits ")
    naive = next(line for line in done.out.splitlines() if line.startswith("  seasonal-naive"))
    assert "!" in naive
    assert "█" in done.out
    assert "lpr+weather: no weather is at hand" in done.out
    assert cli("-q", "skill", "--zone", "GB", "--series", gb, "--days", "6").out.count("\n") == 1


def test_intervals_planted_too_narrow_show(cli: Cli, gb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = forecasting._quantiles
    monkeypatch.setattr(forecasting, "_quantiles", lambda errors: tuple(0.2 * part for part in honest(errors)))
    coverage = by_source(skills(cli, "--series", gb, "--days", "6"))["lpr"]["coverage"]
    assert coverage["within"] < 0.45
    assert coverage["below_10"] > 0.2
    line = next(
        line for line in cli("skill", "--zone", "GB", "--series", gb, "--days", "6").out.splitlines() if line.startswith("  lpr ")
    )
    assert "% !" in line


def test_a_short_past_leaves_lpr_out_and_says_why(cli: Cli, corner: Path) -> None:
    short = written(corner / "short.csv", grid(9 * 24))
    found = skills(cli, "--series", short, "--days", "5")
    assert set(by_source(found)) == {"seasonal-naive"}
    reasons = {one["source"]: one["reason"] for one in found["left_out"]}
    assert "60 days" in reasons["lpr"]
    hours = written(corner / "hours.csv", grid(20))
    done = cli("skill", "--zone", "GB", "--series", hours)
    assert (done.code, "too little is known" in done.out) == (0, True)


@pytest.mark.parametrize("days", ["0", "-3", "999", "nan"])
def test_days_that_cannot_be_judged(cli: Cli, days: str) -> None:
    done = cli("skill", "--zone", "GB", "--days", days)
    assert (done.code, done.out) == (2, "")
    assert "days cannot be judged" in done.err


class Service:
    """The UK service's answers of the past days, written into the archive as if they had been read."""

    def __init__(self, home: Path, *, days: int) -> None:
        self.archive = SqliteArchive(home / "archive.sqlite")
        self.now_at = datetime.now(UTC)
        self.first_at = floor_to(self.now_at, HALF) - timedelta(days=days)
        self.truth = np.repeat(grid((days + 3) * 24), 2)

    def _rows(self, start_at: datetime, values: np.ndarray, field: str) -> bytes:
        starts = [start_at + place * HALF for place in range(len(values))]
        rows = [
            {"from": iso_utc(at)[:16] + "Z", "to": iso_utc(at + HALF)[:16] + "Z", "intensity": {field: float(value)}}
            for at, value in zip(starts, values, strict=True)
        ]
        return json.dumps({"data": rows}).encode()

    def _keep(self, body: bytes, query: Query, fetched_at: datetime) -> None:
        digest = hashlib.sha256(body).hexdigest()
        self.archive.keep("uk", query, [Payload(url="https://uk.example/", body=body, sha256=digest, fetched_at=fetched_at)])

    def said(self, at: datetime, values: np.ndarray, *, as_of: datetime | None = None) -> None:
        """A forecast from the half hour of `as_of` (default: `at`) on, read at `at`."""
        start_at = floor_to(as_of or at, HALF)
        query = Query(zone="GB", start_at=start_at, end_at=start_at + timedelta(hours=24), now_at=as_of or at, purpose="forecast")
        self._keep(self._rows(start_at, values, "forecast"), query, at)

    def came(self, start_at: datetime, end_at: datetime) -> None:
        first, last = ((moment - self.first_at) // HALF for moment in (start_at, end_at))
        query = Query(zone="GB", start_at=start_at, end_at=end_at, now_at=self.now_at, purpose="observed")
        self._keep(self._rows(start_at, self.truth[first:last], "actual"), query, end_at)

    def knowing(self, at: datetime, hours: int = 30) -> np.ndarray:
        first = (at - self.first_at) // HALF
        return self.truth[first : first + 2 * hours].copy()


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "home", days=6)


def test_a_bias_planted_in_a_service_shows(cli: Cli, service: Service) -> None:
    for hour in range(1, 97, 3):
        at = service.first_at + timedelta(hours=hour, minutes=7)
        service.said(at, service.knowing(at) + BIAS)
    middle = service.first_at + timedelta(days=3)
    service.came(service.first_at, middle)
    service.came(middle, floor_to(service.now_at, HALF) - HALF)
    found = skills(cli, "--days", "6")
    uk = by_source(found)["uk"]
    assert uk["forecasts"] == 32
    assert uk["day_ahead"]["bias_g_per_kwh"] == pytest.approx(BIAS)
    assert uk["day_ahead"]["mae_g_per_kwh"] == pytest.approx(BIAS)
    assert uk["short_slope"] == pytest.approx(1.0)
    assert uk["regret"]["4h"] == {"decisions": 32, "share": pytest.approx(0.0), "of_oracle": pytest.approx(1.0)}
    assert uk["own_at_the_same"]["seasonal-naive"]["day_ahead"]["pairs"] > 0
    assert found["archived"][0]["forecasts"] == 32
    text = cli("skill", "--zone", "GB", "--days", "6").out
    assert "+30.0" in text
    assert "seasonal-naive on the same" in text


def planned(service: Service, at: datetime, *, width: float, scope: str = "direct") -> None:
    """A forecast of greenai's own, as a plan at `at` would have left it."""
    known = service.knowing(floor_to(at, HALF))
    made = series(known, step=HALF, start_at=floor_to(at, HALF))
    middle, low, high = (replace(made, scope=scope, values=known + shift) for shift in (BIAS, BIAS - width, BIAS + width))
    own = OwnForecast(method="lpr", note="", low=low, high=high)
    query = Query(zone="GB", start_at=made.start_at, end_at=made.start_at + timedelta(hours=24), now_at=at, purpose="forecast")
    service.archive.keep("greenai", query, [payload_of(middle, own, asked="auto", now_at=at)])


@pytest.mark.parametrize(("width", "within"), [(2 * BIAS, 1.0), (0.5 * BIAS, 0.0)])
def test_what_greenai_planned_on_itself_is_judged_with_its_interval(
    cli: Cli, service: Service, width: float, within: float
) -> None:
    for hour in range(1, 60, 5):
        planned(service, service.first_at + timedelta(hours=hour, minutes=3), width=width)
    service._keep(b"no record", Query(
        zone="GB", start_at=service.first_at, end_at=service.now_at, now_at=service.now_at, purpose="forecast"
    ), service.now_at - HALF)  # fmt: skip
    service.came(service.first_at, floor_to(service.now_at, HALF) - HALF)
    own = by_source(skills(cli, "--days", "6"))["lpr, as planned"]
    assert own["forecasts"] == 12
    assert own["day_ahead"]["bias_g_per_kwh"] == pytest.approx(BIAS)
    assert own["coverage"]["within"] == within
    assert own["coverage"]["below_90"] == 1.0


def test_own_plans_of_another_scope_and_of_hours_to_come_are_left_out(cli: Cli, service: Service) -> None:
    planned(service, service.first_at + timedelta(hours=30), width=1.0, scope="lifecycle")
    service.came(service.first_at, floor_to(service.now_at, HALF) - HALF)
    reasons = {one["source"]: one["reason"] for one in skills(cli, "--days", "6")["left_out"]}
    assert "it forecasts lifecycle emissions" in reasons["lpr, as planned"]


def test_what_was_read_afterwards_is_no_forecast(cli: Cli, service: Service) -> None:
    """An answer asked as of five days ago and read now: it knows everything, and must count for nothing."""
    early = service.first_at + timedelta(hours=20)
    for as_of in (early, early + timedelta(hours=2)):
        service.said(service.now_at - timedelta(minutes=1), service.knowing(as_of), as_of=as_of)
    service.said(early, service.knowing(early) + BIAS)
    service.came(service.first_at, floor_to(service.now_at, HALF) - HALF)
    uk = by_source(skills(cli, "--days", "6"))["uk"]
    assert uk["forecasts"] == 1
    assert uk["day_ahead"]["bias_g_per_kwh"] == pytest.approx(BIAS)


def test_a_hole_in_what_came_is_stepped_over(cli: Cli, service: Service) -> None:
    at = service.first_at + timedelta(days=2)
    service.said(at, service.knowing(at))
    service.truth[20:26] = -1.0
    body_at = service.first_at
    end_at = floor_to(service.now_at, HALF) - HALF
    count = (end_at - body_at) // HALF
    rows = json.loads(service._rows(body_at, service.truth[:count], "actual"))
    rows["data"] = [row for row in rows["data"] if row["intensity"]["actual"] >= 0]
    query = Query(zone="GB", start_at=body_at, end_at=end_at, now_at=service.now_at, purpose="observed")
    service._keep(json.dumps(rows).encode(), query, end_at)
    found = skills(cli, "--days", "6")
    assert by_source(found)["uk"]["forecasts"] == 1
    assert found["judged_by"]["slots"] > count - 14


def test_with_nothing_it_says_how_to_get_some(cli: Cli) -> None:
    done = cli("skill", "--zone", "GB")
    assert (done.code, done.out) == (4, "")
    error, hint = done.err.splitlines()
    assert "no forecast of GB can be judged yet: no forecast is archived" in error
    assert "each plan archives the forecast it reads" in hint


def test_forecasts_that_wait_for_what_comes_are_counted(cli: Cli, service: Service) -> None:
    for minutes in (90, 60, 30):
        at = service.now_at - timedelta(minutes=minutes)
        service.said(at, service.knowing(floor_to(at, HALF)))
    done = cli("skill", "--zone", "GB")
    assert (done.code, done.out) == (4, "")
    assert "forecasts archived: 3 of uk; nothing measured is at hand (uk: " in done.err
    service.came(service.first_at, service.now_at - timedelta(days=1))
    found = skills(cli, "--days", "6")
    assert {"source": "uk", "reason": "forecasts that wait for the hours they are about: 3"} in found["left_out"]


def test_a_zone_without_a_service(cli: Cli) -> None:
    done = cli("skill", "--zone", "ZA")
    assert done.code == 4
    assert "no forecast of ZA can be judged yet" in done.err


def test_a_damaged_archive_is_said(cli: Cli, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "archive.sqlite").write_bytes(b"no database at all, but long enough to look like one" * 9)
    done = cli("skill", "--zone", "GB")
    assert (done.code, done.out) == (5, "")
