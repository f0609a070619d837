"""The whole way, from question to series: chain, door, provider and archive against a grid service on loopback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greenai.adapters.door import SchemeDoor
from greenai.adapters.files import FileDoor
from greenai.adapters.http import NetworkDoor
from greenai.adapters.providers import annual, climatology, uk
from greenai.adapters.store.archive import SqliteArchive
from greenai.engine.read import Sources, read_intensity, reparse
from greenai.errors import ProviderError
from greenai.model.intensity import Access, Query
from greenai.model.units import floor_to
from greenai.testing.grid import FAULT_NAMES, FakeGrid

NOW = datetime(2025, 12, 30, 10, 37, tzinfo=UTC)
SLOT = timedelta(minutes=30)
HOUR = timedelta(hours=1)
SHAPES = ("list_as_object", "object_as_list", "new_year_cut", "duplicate_rows")
ENDLESS = {"slow", "hang"}
HARMLESS = {*SHAPES, "missing_rows", "sandbox"}
"""Faults of which a good client notices no more than a shorter forecast."""


@pytest.fixture
def grid():
    with FakeGrid(now=NOW) as service:
        yield service


def sources(grid, home, *, now=NOW, bound_s=20.0):
    files = FileDoor(now=lambda: now)
    web = NetworkDoor(now=lambda: now, bound_s=bound_s)
    return Sources(
        providers=(uk.provider, climatology.provider, annual.provider),
        access={"uk": Access(base_url=grid.url)},
        door=SchemeDoor({"http": web, "https": web, "file": files, "package": files}),
        archive=SqliteArchive(home / "archive.sqlite"),
    )


def query(zone="GB", *, start_at=NOW, hours=24.0, now=NOW, purpose="forecast"):
    return Query(zone=zone, start_at=start_at, end_at=start_at + hours * HOUR, now_at=now, purpose=purpose)


@pytest.mark.parametrize("zone", ["GB", "GB-13"])
@pytest.mark.parametrize("hours", [2, 48, 90])
def test_a_live_forecast_reaches_as_far_as_asked(grid, tmp_path, zone, hours):
    """Over New Year too, where regional answers stop."""
    reading = read_intensity(query(zone, hours=hours), sources=sources(grid, tmp_path))
    assert (reading.step, reading.fallback_reason) == ("live", None)
    assert reading.series.start_at == floor_to(NOW, SLOT)
    assert reading.series.covers(NOW, NOW + hours * HOUR)
    assert (reading.series.kind, reading.series.zone, reading.series.issued_at) == ("forecast", zone, floor_to(NOW, SLOT))


def test_measured_values_of_a_month(grid, tmp_path):
    start_at = NOW - timedelta(days=30)
    asked = query(start_at=start_at, hours=30 * 24 - 2, purpose="observed")
    reading = read_intensity(asked, sources=sources(grid, tmp_path), require_live=True)
    assert reading.series.kind == "observed"
    assert reading.series.covers(asked.start_at, asked.end_at)
    assert len(reading.payloads) == 3


@pytest.mark.parametrize(("zone", "fault"), [("GB", fault) for fault in FAULT_NAMES] + [("GB-13", fault) for fault in SHAPES])
def test_whatever_the_service_does_there_is_an_answer_that_says_what_it_is(grid, tmp_path, zone, fault):
    grid.fail(fault)
    bound_s = 1.0 if fault in ENDLESS else 20.0
    reading = read_intensity(query(zone), sources=sources(grid, tmp_path, bound_s=bound_s))
    assert np.isfinite(reading.series.values).all()
    assert reading.series.at(NOW) > 0
    if fault in HARMLESS:
        assert (reading.step, reading.series.kind, reading.fallback_reason) == ("live", "forecast", None)
    else:
        assert (reading.step, reading.series.kind) == ("climatology", "modelled")
        assert reading.fallback_reason.startswith("uk: ")


def test_require_live_takes_no_substitute(grid, tmp_path):
    grid.fail("html")
    with pytest.raises(ProviderError, match="web page"):
        read_intensity(query(), sources=sources(grid, tmp_path), require_live=True)


def test_the_archive_stands_in_and_verifies(grid, tmp_path):
    first = read_intensity(query(hours=40), sources=sources(grid, tmp_path))
    grid.fail("outage_500")
    soon = read_intensity(query(hours=40), sources=sources(grid, tmp_path))
    later = NOW + 3 * HOUR
    late = read_intensity(query(start_at=later, now=later, hours=30), sources=sources(grid, tmp_path, now=later))
    assert (first.step, soon.step, late.step) == ("live", "fresh-archive", "old-archive")
    assert "Requested resource not found." in late.fallback_reason
    assert late.series.issued_at == floor_to(NOW, SLOT)
    assert late.series.values.tolist() == first.series.values[6:].tolist()
    archive = SqliteArchive(tmp_path / "archive.sqlite")
    payloads = [archive.payload(part.sha256) for part in late.payloads]
    again = reparse(late.query, payloads, providers=(uk.provider,), provider_name="uk")
    assert np.array_equal(again.values, late.series.values)
    assert again.source == late.series.source


def test_a_service_that_comes_back_is_live_again(grid, tmp_path):
    grid.fail("outage_500", times=1)
    assert read_intensity(query(), sources=sources(grid, tmp_path)).step == "live"
