"""The chain, each step and each combination of failures, with fakes for everything outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greenai.engine.read import Sources, read_intensity, reparse
from greenai.errors import (
    EvidenceDamaged,
    InputError,
    ProviderBadData,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    SeriesGap,
    StoreError,
    UnknownZone,
)
from greenai.model.intensity import Access, Payload, Provider, Purpose, Query, Request, source_of
from greenai.model.series import IntensitySeries

NOW = datetime(2026, 11, 24, 10, 37, tzinfo=UTC)
HOUR = timedelta(hours=1)
SLOT = timedelta(minutes=30)


def query(
    *, hours: float = 24, start_at: datetime = NOW, now_at: datetime = NOW, purpose: Purpose = "forecast", zone: str = "GB"
):
    return Query(zone=zone, start_at=start_at, end_at=start_at + hours * HOUR, now_at=now_at, purpose=purpose)


def answer(start_at: datetime = NOW, hours: float = 48, *, fetched_at: datetime = NOW, value: float = 100) -> Payload:
    """A body in the language of the fake service: when it begins, how long it is, its value."""
    body = f"{start_at.isoformat()} {hours} {value}".encode()
    return Payload(url="https://grid.example/", body=body, sha256=f"{value}", fetched_at=fetched_at)


def fake(name: str = "uk", *, live: bool = True, zones: Sequence[str] = ("GB",), url: str = "https://grid.example/") -> Provider:
    """A provider of the fake service's language; the body "BadData words" makes it raise."""

    def parse(payloads: Sequence[Payload], asked: Query) -> IntensitySeries:
        text = payloads[0].body.decode()
        kind, _, words = text.partition(" ")
        if kind in ERRORS:
            raise ERRORS[kind](words)
        start_at, hours, value = text.split()
        begin_at = datetime.fromisoformat(start_at)
        if not begin_at <= asked.start_at:
            raise ProviderBadData("begins too late")
        values = np.full(max(1, int(float(hours) * 2)), float(value))
        return IntensitySeries(start_at=begin_at, step=SLOT, values=values, zone=asked.zone, source=source_of(name, payloads))

    return Provider(
        name=name,
        title=name,
        live=live,
        covers=lambda zone: zone in zones,
        requests=lambda _query, access: (Request(url=access.base_url or url),),
        parse=parse,
    )


ERRORS = {"BadData": ProviderBadData, "Unknown": UnknownZone, "Gap": SeriesGap, "Input": InputError}


class FakeDoor:
    """Answers by address; an error there is raised. Keeps what was asked."""

    def __init__(self, **answers: Payload | Exception) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def fetch(self, request: Request) -> Payload:
        self.asked.append(request.url)
        found = self.answers[request.url.split(":")[0]]
        if isinstance(found, Exception):
            raise found
        return found


class FakeArchive:
    """A list of answers; `broken` is raised by everything, `torn` after the first answer."""

    def __init__(self, *kept: tuple[Query, Payload], broken: StoreError | None = None, torn: StoreError | None = None) -> None:
        self.kept = [("uk", asked, (part,)) for asked, part in kept]
        self.broken = broken
        self.torn = torn

    def keep(self, provider: str, asked: Query, payloads: Sequence[Payload]) -> None:
        if self.broken:
            raise self.broken
        self.kept.append((provider, asked, tuple(payloads)))

    def answers(self, provider: str, zone: str, purpose: str, not_after: datetime) -> Iterator[tuple[Query, tuple[Payload, ...]]]:
        if self.broken:
            raise self.broken
        for name, asked, parts in sorted(self.kept, key=lambda kept: kept[2][0].fetched_at, reverse=True):
            if (name, asked.zone, asked.purpose) == (provider, zone, purpose) and parts[0].fetched_at <= not_after:
                yield asked, parts
                if self.torn:
                    raise self.torn

    def payload(self, sha256: str) -> Payload | None:
        return next((part for _, _, parts in self.kept for part in parts if part.sha256 == sha256), None)


UK = fake()
CLIMATOLOGY = fake("climatology", live=False, url="package:climatology")
ANNUAL = fake("annual", live=False, url="annual:", zones=("GB", "FR"))
DOWN = ProviderUnavailable("away")
TYPICAL = answer(NOW - 400 * 24 * HOUR, 800 * 24, value=200)
MEAN = answer(NOW - 400 * 24 * HOUR, 800 * 24, value=300)


def sources(live: Payload | Exception = DOWN, *, archive: FakeArchive | None = None, network: bool = True, **packaged) -> Sources:
    door = FakeDoor(https=live, package=packaged.get("typical", TYPICAL), annual=packaged.get("mean", MEAN))
    return Sources(providers=(UK, CLIMATOLOGY, ANNUAL), door=door, archive=archive, network=network)


def told(reading):
    """Step, value now, and reason: what a reading says of itself."""
    return reading.step, reading.series.at(reading.query.start_at) if reading.series else None, reading.fallback_reason


# Live.


def test_a_live_answer_needs_nothing_else():
    asked = sources(answer())
    reading = read_intensity(query(), sources=asked)
    assert told(reading) == ("live", 100, None)
    assert reading.payloads == (answer(),)
    assert reading.query == query()
    assert asked.door.asked == ["https://grid.example/"]


def test_a_live_forecast_may_be_shorter_than_the_question():
    assert told(read_intensity(query(hours=96), sources=sources(answer(hours=1))))[0] == "live"


def test_live_is_asked_even_when_a_fresh_answer_is_archived():
    archive = FakeArchive((query(), answer(value=90)))
    assert told(read_intensity(query(), sources=sources(answer(), archive=archive)))[:2] == ("live", 100)


def test_base_url_and_key_reach_the_provider():
    door = FakeDoor(http=answer())
    own = Sources(providers=(UK,), door=door, access={"uk": Access(base_url="http://127.0.0.1:1/")})
    assert read_intensity(query(), sources=own).step == "live"
    assert door.asked == ["http://127.0.0.1:1/"]


def test_every_answer_is_archived_before_it_is_believed():
    archive = FakeArchive()
    bad = Payload(url="https://grid.example/", body=b"BadData html", sha256="bad", fetched_at=NOW)
    read_intensity(query(), sources=sources(bad, archive=archive))
    assert [name for name, _, _ in archive.kept] == ["uk", "climatology"]
    assert archive.payload("bad") == bad


def test_the_second_live_source_is_asked_when_the_first_fails():
    other = fake("other", url="http://other.example/")
    both = Sources(providers=(UK, other), door=FakeDoor(https=DOWN, http=answer(value=70)))
    assert told(read_intensity(query(), sources=both)) == ("live", 70, "uk: away")


def test_an_archive_that_cannot_be_written_costs_no_answer_but_is_said():
    archive = FakeArchive(broken=StoreError("the disk is full"))
    assert told(read_intensity(query(), sources=sources(answer(), archive=archive))) == ("live", 100, "archive: the disk is full")


# The archive.


def archived(hours_ago: float, hours: float = 48, *, asked: Query | None = None, value: float = 90) -> tuple[Query, Payload]:
    moment = NOW - hours_ago * HOUR
    return asked or query(start_at=moment, now_at=moment), answer(moment, hours, fetched_at=moment, value=value)


def test_the_archive_stands_in_when_live_fails():
    reading = read_intensity(query(), sources=sources(archive=FakeArchive(archived(0.1))))
    assert told(reading) == ("fresh-archive", 90, "uk: away")


def test_fresh_is_the_same_half_hour():
    assert read_intensity(query(), sources=sources(archive=FakeArchive(archived(7 / 60)))).step == "fresh-archive"
    assert read_intensity(query(), sources=sources(archive=FakeArchive(archived(8 / 60)))).step == "old-archive"


def test_the_newest_that_covers_the_need_is_taken():
    archive = FakeArchive(archived(5, value=5), archived(3, value=3), archived(1, hours=4, value=1))
    assert told(read_intensity(query(), sources=sources(archive=archive)))[:2] == ("old-archive", 3)


def test_an_old_forecast_must_show_a_day_or_all_that_is_asked():
    archive = FakeArchive(archived(20, hours=48))
    assert read_intensity(query(hours=48), sources=sources(archive=archive)).step == "old-archive"
    archive = FakeArchive(archived(30, hours=48))
    assert read_intensity(query(hours=48), sources=sources(archive=archive)).step == "climatology"
    assert read_intensity(query(hours=18), sources=sources(archive=archive)).step == "old-archive"


def test_an_archive_without_use_is_said():
    reading = read_intensity(query(), sources=sources(archive=FakeArchive(archived(40, hours=48))))
    assert told(reading) == ("climatology", 200, "uk: away; archive: nothing that covers the need")


def test_answers_that_were_never_usable_are_passed_over():
    bad = Payload(url="", body=b"BadData html", sha256="", fetched_at=NOW)
    gap = Payload(url="", body=b"Gap hole", sha256="", fetched_at=NOW)
    archive = FakeArchive((query(), bad), (query(), gap), archived(1, value=1))
    assert told(read_intensity(query(), sources=sources(archive=archive)))[:2] == ("old-archive", 1)


def test_nothing_from_the_future_is_used():
    asked = query(start_at=NOW - 6 * HOUR, now_at=NOW - 6 * HOUR, hours=3)
    archive = FakeArchive(archived(1, value=1), archived(8, value=8))
    assert told(read_intensity(asked, sources=sources(archive=archive)))[:2] == ("old-archive", 8)


def test_answers_too_old_to_reach_are_not_opened():
    archive = FakeArchive(archived(7 * 24 + 1, hours=500))
    assert read_intensity(query(), sources=sources(archive=archive)).step == "climatology"
    archive = FakeArchive(archived(7 * 24 - 1, hours=500))
    assert read_intensity(query(), sources=sources(archive=archive)).step == "old-archive"


def test_measured_values_never_grow_too_old():
    long_ago = query(start_at=NOW - 90 * 24 * HOUR, hours=2, purpose="observed")
    archive = FakeArchive((long_ago, answer(long_ago.start_at, 2, fetched_at=NOW - 80 * 24 * HOUR, value=80)))
    assert told(read_intensity(long_ago, sources=sources(archive=archive)))[:2] == ("old-archive", 80)


def test_archived_measured_values_must_cover_the_whole_span():
    past = query(start_at=NOW - 5 * HOUR, hours=3, purpose="observed")
    archive = FakeArchive((past, answer(past.start_at, 2, fetched_at=NOW - HOUR)))
    assert read_intensity(past, sources=sources(archive=archive)).step == "climatology"


@pytest.mark.parametrize("problem", [StoreError("it is locked"), EvidenceDamaged("a body is damaged")])
def test_a_broken_archive_is_said_and_passed_over(problem):
    reading = read_intensity(query(), sources=sources(archive=FakeArchive(broken=problem)))
    assert told(reading) == ("climatology", 200, f"uk: away; archive: {problem}")


def test_an_archive_that_breaks_while_it_is_read():
    archive = FakeArchive(archived(1, hours=2), archived(2), torn=EvidenceDamaged("torn"))
    reading = read_intensity(query(), sources=sources(archive=archive))
    assert told(reading) == ("climatology", 200, "uk: away; archive: torn")


def test_each_live_source_has_its_own_answers():
    other = fake("other", url="http://other.example/")
    archive = FakeArchive(archived(1))
    archive.kept = [("other", asked, parts) for _, asked, parts in archive.kept]
    both = Sources(providers=(UK, other), door=FakeDoor(https=DOWN, http=ProviderBadData("not JSON")), archive=archive)
    assert told(read_intensity(query(), sources=both)) == ("old-archive", 90, "uk: away; other: not JSON")


# Packaged facts, and nothing.


@pytest.mark.parametrize(
    ("typical", "mean", "expected"),
    [
        (TYPICAL, MEAN, ("climatology", 200, "uk: away")),
        (ProviderBadData("torn"), MEAN, ("annual", 300, "uk: away; climatology: torn")),
        (UnknownZone("not GB"), MEAN, ("annual", 300, "uk: away; climatology: not GB")),
        (UnknownZone("not GB"), UnknownZone("nor here"), ("none", None, "uk: away; climatology: not GB; annual: nor here")),
        (UnknownZone("not GB"), ProviderBadData("torn"), ("none", None, "uk: away; climatology: not GB; annual: torn")),
    ],
)
def test_what_is_packaged_comes_last(typical, mean, expected):
    typical, mean = (_raising(found) for found in (typical, mean))
    reading = read_intensity(query(), sources=sources(typical=typical, mean=mean))
    assert told(reading) == expected
    assert (reading.payloads == ()) == (reading.series is None)


def _raising(found):
    if not isinstance(found, Exception):
        return found
    kind = "Unknown" if isinstance(found, UnknownZone) else "BadData"
    return Payload(url="package:", body=f"{kind} {found}".encode(), sha256="", fetched_at=NOW)


def test_without_a_live_source_typical_days_are_no_fallback():
    asked = query(zone="FR")
    reading = read_intensity(asked, sources=sources())
    assert told(reading) == ("annual", 300, None)


def test_a_zone_nobody_covers_is_a_mistake():
    with pytest.raises(UnknownZone, match="no source covers the zone Atlantis") as caught:
        read_intensity(query(zone="Atlantis"), sources=sources())
    assert "US-CAL-CISO" in caught.value.hint


def test_a_zone_no_table_knows_is_a_mistake():
    with pytest.raises(UnknownZone, match="no row"):
        read_intensity(query(zone="FR"), sources=sources(mean=_raising(UnknownZone("no row"))))


def test_a_live_source_alone_that_fails_leaves_nothing_known():
    alone = Sources(providers=(UK,), door=FakeDoor(https=DOWN))
    assert told(read_intensity(query(), sources=alone)) == ("none", None, "uk: away")


# What the user gave.


@pytest.mark.parametrize("kind", ["Input", "Gap", "Unknown"])
def test_nothing_stands_in_for_what_the_user_gave(kind):
    bad = Payload(url="file:///a.csv", body=f"{kind} line 7".encode(), sha256="", fetched_at=NOW)
    with pytest.raises(ERRORS[kind], match="line 7"):
        read_intensity(query(), sources=sources(bad, archive=FakeArchive(archived(1))))


def test_a_file_that_is_not_there_is_the_users_to_mend():
    with pytest.raises(InputError, match="no file"):
        read_intensity(query(), sources=sources(InputError("there is no file a.csv")))


# Live or nothing.


def test_require_live_raises_what_the_service_said():
    with pytest.raises(ProviderUnavailable, match="away"):
        read_intensity(query(), sources=sources(archive=FakeArchive(archived(0))), require_live=True)


def test_require_live_is_content_with_a_live_answer():
    assert read_intensity(query(), sources=sources(answer()), require_live=True).step == "live"


def test_require_live_of_a_zone_without_a_live_source():
    with pytest.raises(ProviderRefused, match="no live source covers the zone FR") as caught:
        read_intensity(query(zone="FR"), sources=sources(), require_live=True)
    assert isinstance(caught.value, ProviderError)


# Without the network.


def test_replay_leaves_the_network_alone():
    asked = sources(answer(), archive=FakeArchive(archived(1)), network=False)
    reading = read_intensity(query(), sources=asked)
    assert told(reading) == ("old-archive", 90, "uk: not asked, the network is left alone here")
    assert asked.door.asked == []


def test_replay_reads_files_and_packaged_facts():
    own = fake("csv", url="file:///a.csv")
    assert read_intensity(query(), sources=Sources(providers=(own,), door=FakeDoor(file=answer()), network=False)).step == "live"
    assert read_intensity(query(), sources=sources(network=False)).step == "climatology"


# Spans that have passed.


def test_a_span_that_has_passed_must_be_covered_whole():
    """There is nothing left to forecast: half an answer would leave half a run without a price."""
    past = query(start_at=NOW - 60 * HOUR, hours=50)
    half = answer(past.start_at, 30)
    assert told(read_intensity(past, sources=sources(half))) == (
        "climatology",
        200,
        "uk: the answer covers 2026-11-21T22:37:00Z to 2026-11-23T04:37:00Z, not what is asked",
    )
    archive = FakeArchive((past, answer(past.start_at, 30, fetched_at=NOW - HOUR)))
    assert read_intensity(past, sources=sources(archive=archive)).step == "climatology"
    archive = FakeArchive((past, answer(past.start_at, 50, fetched_at=NOW - HOUR)))
    assert read_intensity(past, sources=sources(archive=archive)).step == "old-archive"


def test_measured_values_may_be_published_in_part():
    past = query(start_at=NOW - 5 * HOUR, hours=5, purpose="observed")
    assert read_intensity(past, sources=sources(answer(past.start_at, 2))).step == "live"


def test_the_start_must_always_be_covered():
    reading = read_intensity(query(hours=0), sources=sources(answer(NOW - HOUR, 1)))
    assert reading.step == "climatology"


# Verification.


def test_archived_payloads_give_the_same_series_again():
    reading = read_intensity(query(), sources=sources(answer()))
    again = reparse(reading.query, reading.payloads, providers=(CLIMATOLOGY, UK), provider_name="uk")
    assert np.array_equal(again.values, reading.series.values)
    assert (again.start_at, again.source) == (reading.series.start_at, reading.series.source)


def test_a_provider_that_is_gone_is_named():
    with pytest.raises(InputError, match="'gone'"):
        reparse(query(), (answer(),), providers=(UK,), provider_name="gone")
