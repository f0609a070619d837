"""Queries and payloads: which slots a query touches, and where a series came from."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenai.model.intensity import Access, Payload, Query, Request, slots_over, source_of

NOW = datetime(2026, 11, 24, 10, 37, tzinfo=UTC)
HOUR = timedelta(hours=1)


def payload(body: bytes, *, fetched_at: datetime = NOW) -> Payload:
    return Payload(url=f"package:{body.decode()}", body=body, sha256=hashlib.sha256(body).hexdigest(), fetched_at=fetched_at)


def query(start_at: datetime, span: timedelta) -> Query:
    return Query(zone="GB", start_at=start_at, end_at=start_at + span, now_at=start_at, purpose="forecast")


@given(
    seconds=st.integers(0, 10_000_000),
    span_s=st.integers(0, 500_000),
    step=st.sampled_from([timedelta(minutes=5), timedelta(minutes=30), HOUR]),
)
def test_slots_touch_the_span_and_no_more(seconds, span_s, step):
    asked = query(NOW + timedelta(seconds=seconds), timedelta(seconds=span_s))
    slots = slots_over(asked, step)
    assert slots[0] <= asked.start_at < slots[0] + step
    assert slots[-1] < max(asked.end_at, asked.start_at + timedelta.resolution) <= slots[-1] + step
    assert slots == [slots[0] + step * number for number in range(len(slots))]


def test_one_payload_is_its_own_source():
    one = payload(b"a")
    source = source_of("uk", [one])
    assert (source.provider, source.url, source.fetched_at, source.payload_sha256) == ("uk", "package:a", NOW, one.sha256)


def test_several_payloads_have_one_hash_in_order():
    one, two = payload(b"a", fetched_at=NOW + HOUR), payload(b"b")
    source = source_of("climatology", [one, two], detail="grid=GB")
    assert (source.url, source.fetched_at) == ("package:a#grid=GB", NOW + HOUR)
    assert source.payload_sha256 == hashlib.sha256((one.sha256 + two.sha256).encode()).hexdigest()
    assert source.payload_sha256 != source_of("climatology", [two, one]).payload_sha256


@pytest.mark.parametrize(
    "shown", [repr(Access(key="s3cret")), repr(Request(url="https://grid.example", headers={"key": "s3cret"}))]
)
def test_secrets_do_not_show(shown):
    assert "s3cret" not in shown
