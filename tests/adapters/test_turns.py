"""Reads of a service that counts: one at a time, a least time apart, and never longer than a read may take."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from greenai.adapters import http
from greenai.errors import ProviderUnavailable
from greenai.model.intensity import Request


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch):
    monkeypatch.setattr(http, "_TURNS", {})


def test_reads_of_one_host_keep_their_distance():
    request = Request(url="https://grid.example/a", spacing_s=0.1)

    def leave(_number: int) -> float:
        http._wait_turn(request, 10.0)
        return time.monotonic()

    with ThreadPoolExecutor(4) as pool:
        times_s = sorted(pool.map(leave, range(4)))
    assert times_s[-1] - times_s[0] >= 0.29


def test_other_hosts_and_other_requests_do_not_wait():
    began_s = time.monotonic()
    for url in ("https://a.example/", "https://b.example/"):
        http._wait_turn(Request(url=url, spacing_s=60.0), 1.0)
    http._wait_turn(Request(url="https://a.example/"), 1.0)
    assert time.monotonic() - began_s < 5


def test_a_turn_too_far_off_is_said_at_once():
    request = Request(url="https://a.example/", spacing_s=0.05)
    turn = http._TURNS.setdefault("a.example", http._Turn())
    turn._free_s = time.monotonic() + 60
    with pytest.raises(ProviderUnavailable, match="wait for their turn"):
        http._wait_turn(request, 1.0)
