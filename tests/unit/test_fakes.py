"""The in-memory doors behave as the ports say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import greenai.testing
from greenai.errors import MeterUnavailable, ProviderUnavailable, StoreError
from greenai.logic.spool import trace_of
from greenai.model.evidence import GENESIS_SHA256, sha256_of
from greenai.model.intensity import Payload, Query, Request
from greenai.ports import Archive, Clock, Door, Executor, Ledger, Listener, Meter, Metering, RunStore
from greenai.testing import (
    FakeArchive,
    FakeDoor,
    FakeExecutor,
    FakeLedger,
    FakeListener,
    FakeMeter,
    FakeMetering,
    FakeRunStore,
    VirtualClock,
)

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock():
    return VirtualClock(NOW)


def test_they_are_the_ports(clock):
    """Checked by mypy in this file's annotations; at run time by being called below."""
    doors: tuple[Clock, Door, Archive, Ledger, RunStore, Metering, Executor, Listener, Meter] = (
        clock,
        FakeDoor(clock),
        FakeArchive(),
        FakeLedger(),
        FakeRunStore(),
        FakeMetering(clock),
        FakeExecutor(clock),
        FakeListener(),
        FakeMeter(clock.monotonic_s, clock),
    )
    assert len(doors) == 9


def test_the_face_has_its_names():
    assert set(greenai.testing.__all__) <= set(dir(greenai.testing))
    assert all(getattr(greenai.testing, name).__name__ == name for name in greenai.testing.__all__)
    with pytest.raises(AttributeError, match="FakeBanana"):
        _ = greenai.testing.FakeBanana


def test_a_door_answers_by_the_longest_start_that_fits(clock):
    door = FakeDoor(clock, {"https://a.example": "all", "https://a.example/x": b"x"})
    payload = door.fetch(Request(url="https://a.example/x/1"))
    assert payload == Payload(url="https://a.example/x/1", body=b"x", sha256=sha256_of(b"x"), fetched_at=NOW)
    assert door.fetch(Request(url="https://a.example/y")).body == b"all"
    assert [request.url for request in door.requests] == ["https://a.example/x/1", "https://a.example/y"]


def test_a_door_answers_in_turn_and_fails_where_it_should(clock):
    door = FakeDoor(clock, {"u:": [ProviderUnavailable("down"), "one", "two"]})
    with pytest.raises(ProviderUnavailable, match="down"):
        door.fetch(Request(url="u:1"))
    assert [door.fetch(Request(url="u:1")).body for _ in range(3)] == [b"one", b"two", b"two"]
    with pytest.raises(ProviderUnavailable, match="no answer for v:1"):
        door.fetch(Request(url="v:1"))


def query(zone="GB", purpose="forecast"):
    return Query(zone=zone, start_at=NOW, end_at=NOW + HOUR, now_at=NOW, purpose=purpose)


def payload(body: bytes, fetched_at: datetime):
    return Payload(url="u:", body=body, sha256=sha256_of(body), fetched_at=fetched_at)


def test_an_archive_gives_the_newest_first_and_nothing_later():
    archive = FakeArchive()
    for number, hours in enumerate((2, 1, 3, 1)):
        archive.keep("uk", query(), [payload(b"%d" % number, NOW + hours * HOUR)])
    archive.keep("uk", query(zone="DE"), [payload(b"other", NOW)])
    archive.keep("uk", query(purpose="observed"), [payload(b"other", NOW)])
    archive.keep("csv", query(), [payload(b"other", NOW)])
    found = [payloads[0].body for _, payloads in archive.answers("uk", "GB", "forecast", NOW + 2 * HOUR)]
    assert found == [b"0", b"3", b"1"]
    assert archive.payload(sha256_of(b"2")).body == b"2"
    assert archive.payload("0" * 64) is None
    archive.failure = StoreError("full")
    with pytest.raises(StoreError):
        archive.keep("uk", query(), [])


def test_a_ledger_chains():
    ledger = FakeLedger()
    assert ledger.head() is None
    first = ledger.append("note", {"a": 1}, NOW)
    second = ledger.append("decision", {"b": 2}, NOW)
    assert (first.prev_sha256, second.prev_sha256) == (GENESIS_SHA256, first.sha256)
    assert list(ledger.records()) == [first, second]
    assert ledger.types() == ["note", "decision"]
    assert (ledger.head().seq, ledger.head().sha256) == (2, second.sha256)
    assert [line.count(b"\n") for line in ledger.lines()] == [0, 0]
    ledger.failure = StoreError("full")
    with pytest.raises(StoreError):
        ledger.append("note", {}, NOW)
    assert len(ledger.written) == 2


def test_a_run_belongs_to_one(clock):
    runs = FakeRunStore()
    spool = runs.claim("r1")
    assert runs.claim("r1") is None
    spool.write(b"a\n")
    runs.failure = StoreError("full")
    with pytest.raises(StoreError):
        spool.write(b"b\n")
    spool.close()
    spool.close()
    assert runs.claim("r1") is not None
    assert (runs.body("r1"), runs.body("r2"), runs.run_ids()) == (b"a\n", b"", ("r1",))


def test_a_metering_spools_what_it_returns(clock):
    lines = []
    metering = FakeMetering(clock, lines.append, power_w=200, interval=timedelta(minutes=10))
    metering.start()
    metering.watch(42)
    clock.advance(timedelta(minutes=25))
    trace = metering.stop()
    assert metering.stop() is trace
    assert metering.watched == [42]
    assert [interval.duration_s for interval in trace.intervals] == [600, 600, 300]
    assert sum(interval.machine_j["fake"] for interval in trace.intervals) == pytest.approx(200 * 1500)
    assert trace_of(b"".join(lines)) == trace


def test_an_executor_takes_time_and_launches_once(clock):
    executor = FakeExecutor(clock, duration=2 * HOUR, exit_code=3)
    handle = executor.launch(["train", "--fast"], "r1", {"A": "1"})
    assert executor.launch(["train", "--fast"], "r1", {"A": "1"}) == handle
    assert executor.launch(["other"], "r2", {}) != handle
    assert executor.launched == [(("train", "--fast"), "r1", {"A": "1"}), (("other",), "r2", {})]
    assert executor.pid(handle) > 0
    assert executor.wait(handle) == 3
    assert clock.now() == NOW + 2 * HOUR
    with pytest.raises(AssertionError, match="nothing was launched"):
        executor.wait("1:1")


def test_an_executor_can_be_broken_off_halfway(clock):
    def interrupt():
        raise KeyboardInterrupt

    executor = FakeExecutor(clock, duration=2 * HOUR, during=interrupt)
    with pytest.raises(KeyboardInterrupt):
        executor.wait(executor.launch(["x"], "r1", {}))
    assert clock.now() == NOW + HOUR
    executor.failure = StoreError("no process left")
    with pytest.raises(StoreError):
        executor.launch(["x"], "r2", {})


def test_a_meter_draws_its_power_on_the_clocks_time(clock):
    meter = FakeMeter(clock.monotonic_s, clock, power_w=50)
    clock.advance(timedelta(seconds=10))
    (sample,) = meter.read()
    assert (sample.energy_j, sample.taken_at) == (500, NOW + timedelta(seconds=10))
    meter.failure = MeterUnavailable("unplugged")
    with pytest.raises(MeterUnavailable):
        meter.read()


def test_a_listener_remembers_or_fails():
    listener = FakeListener()
    record = FakeLedger().append("note", {}, NOW)
    listener(record)
    assert listener.heard == [record]
    listener.failure = RuntimeError("deaf")
    with pytest.raises(RuntimeError):
        listener(record)
