"""A slot ends between our question and the answer: what a service answers by its own clock must still hold at our `now`."""

from __future__ import annotations

import urllib.request
from datetime import UTC, datetime, timedelta
from importlib import import_module
from importlib.resources import files

import pytest
from tests.adapters.making import payload, query

from greenai.engine.asking import Keyring, answers_of
from greenai.model.intensity import Access
from greenai.testing import FakeGrid

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
"""Slots of every length end here, and so does the day."""

SERVICES = {
    "uk": "GB",
    "electricitymaps": "DE",
    "energycharts": "DE",
    "watttime": "US-CAL-CISO",
    "eia": "US-CAL-CISO",
    "energidataservice": "DK-DK1",
    "openelectricity": "AU-NSW",
    "carbonawaresdk": "US-CAL-CISO",
}


class PlainDoor:
    """Fetches as it is told."""

    def fetch(self, request):
        asked = urllib.request.Request(request.url, headers=dict(request.headers))
        if request.url.startswith("package:"):
            return payload((files("greenai.facts") / request.url.removeprefix("package:")).read_bytes(), url=request.url)
        with urllib.request.urlopen(asked, timeout=30) as reply:
            return payload(reply.read(), url=request.url, fetched_at=MIDNIGHT)


@pytest.mark.parametrize("behind", [timedelta(milliseconds=300), timedelta(seconds=14)])
@pytest.mark.parametrize("service", SERVICES)
def test_an_answer_made_just_after_the_slot_still_holds_now(service, behind):
    provider = import_module(f"greenai.adapters.providers.{service}").provider
    now_at = MIDNIGHT - behind
    with FakeGrid(now=MIDNIGHT + timedelta(milliseconds=200)) as grid:
        access = Access(base_url=grid.url_of(service), key="me:a-good-key-1234")
        asked = query(SERVICES[service], start_at=now_at, hours=8, now_at=now_at)
        payloads = answers_of(provider, asked, access, door=PlainDoor(), keyring=Keyring())
    series = provider.parse(payloads, asked)
    assert series.start_at <= now_at < series.start_at + series.step
    assert series.covers(now_at, now_at + timedelta(hours=4))
