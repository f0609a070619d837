"""Times, spans and shares as people write them."""

from __future__ import annotations

import locale
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenai.errors import InputError
from greenai.logic.wording import describe_span
from greenai.moments import describe_moment, parse_moment, parse_share, parse_span

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 11, 27, 16, 38, tzinfo=UTC)
"""A Friday afternoon."""


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h", 7200),
        ("90m", 5400),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("45s", 45),
        ("2d", 172_800),
        ("1d 2h 3m 4s", 93_784),
        ("PT2H", 7200),
        ("pt1h30m", 5400),
        ("P1DT2H", 93_600),
        ("P2D", 172_800),
        ("PT0.5H", 1800),
        ("2 hours", 7200),
        ("90 minutes", 5400),
        ("1 hour 5 mins", 3900),
        (" 10 sec ", 10),
        ("0s", 0),
    ],
)
def test_spans_are_read(text, seconds):
    assert parse_span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "2x", "h", "2h banana", "-2h", "2 months", "1y", "PT", "P", "2h30", "1e3h", "nan", "h2", "2hm"]
)
def test_what_is_no_span_is_refused_with_examples(text):
    with pytest.raises(InputError) as caught:
        parse_span(text)
    assert "1h30m" in caught.value.hint


def test_a_number_without_unit_is_refused_with_the_units():
    with pytest.raises(InputError, match="no unit") as caught:
        parse_span("90")
    assert caught.value.hint == "write 90h, 90m or 90s"


@pytest.mark.parametrize("text", ["99999999999d", "9" * 400 + "h"])
def test_a_span_beyond_the_calendar_is_refused(text):
    with pytest.raises(InputError, match="too long"):
        parse_span(text)


@pytest.mark.parametrize(("text", "share"), [("3%", 0.03), ("0.03", 0.03), ("0", 0), (" 12.5 % ", 0.125), ("99.9%", 0.999)])
def test_shares_are_read(text, share):
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "x", "3", "1", "100%", "-1%", "nan", "%", "inf"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(InputError) as caught:
        parse_share(text)
    assert "%" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", "2026-11-28T16:38"),
        ("in 2 hours", "2026-11-27T18:38"),
        ("+90m", "2026-11-27T18:08"),
        ("PT2H", "2026-11-27T18:38"),
        ("18:00", "2026-11-27T18:00"),
        ("16:00", "2026-11-28T16:00"),
        ("16:38", "2026-11-28T16:38"),
        ("at 9am", "2026-11-28T09:00"),
        ("9 AM", "2026-11-28T09:00"),
        ("12am", "2026-11-28T00:00"),
        ("12pm", "2026-11-28T12:00"),
        ("noon", "2026-11-28T12:00"),
        ("18:00:30", "2026-11-27T18:00:30"),
        ("tomorrow 9am", "2026-11-28T09:00"),
        ("tomorrow at 9am", "2026-11-28T09:00"),
        ("9am tomorrow", "2026-11-28T09:00"),
        ("Tomorrow, 09:30", "2026-11-28T09:30"),
        ("today 20:00", "2026-11-27T20:00"),
        ("today 15:00", "2026-11-27T15:00"),
        ("yesterday 9am", "2026-11-26T09:00"),
        ("fri 18:00", "2026-11-27T18:00"),
        ("fri 16:00", "2026-12-04T16:00"),
        ("Friday 18:00", "2026-11-27T18:00"),
        ("on sat 9am", "2026-11-28T09:00"),
        ("this thu 9am", "2026-12-03T09:00"),
        ("in 3 days 9am", "2026-11-30T09:00"),
        ("30 nov 9am", "2026-11-30T09:00"),
        ("nov 30 18:00", "2026-11-30T18:00"),
        ("30th November 2027, 09:00", "2027-11-30T09:00"),
        ("3 nov 9am", "2027-11-03T09:00"),
        ("27 nov 9am", "2026-11-27T09:00"),
        ("27 nov 18:00", "2026-11-27T18:00"),
        ("26 nov 18:00", "2027-11-26T18:00"),
        ("5 may 9am", "2027-05-05T08:00"),
        ("1 may 2020 9am", "2020-05-01T08:00"),
        ("29 feb 9am", "2028-02-29T09:00"),
        ("2026-11-24 9am", "2026-11-24T09:00"),
        ("2026-11-24T09:00", "2026-11-24T09:00"),
        ("2026-07-24 09:00", "2026-07-24T08:00"),
        ("2026-07-24T09:00Z", "2026-07-24T09:00"),
        ("2026-07-24 09:00 UTC", "2026-07-24T09:00"),
        ("2026-07-24T09:00:15+02:00", "2026-07-24T07:00:15"),
        ("2026-07-24T09:00 -0500", "2026-07-24T14:00"),
        ("18:00 UTC", "2026-11-27T18:00"),
        ("18:00z", "2026-11-27T18:00"),
        ("fri 18:00 +02:00", "2026-12-04T16:00"),
    ],
)
def test_moments_are_read(text, moment):
    """Fri 18:00 at +02:00 is 16:00 UTC, which has passed at 16:38: the next one."""
    assert parse_moment(text, NOW, LONDON) == utc(moment)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("24", "write 24h"),
        ("18.00", "write 18.00h"),
        ("banana", "tomorrow 9am"),
        ("foo 18:00", "tomorrow 9am"),
        ("", "tomorrow 9am"),
        ("tomorrow", "tomorrow 18:00"),
        ("fri", "fri 18:00"),
        ("2026-11-24", "2026-11-24 18:00"),
        ("next friday 9am", "fri 18:00 or the date"),
        ("01/02/2026 9am", "2026-11-24T09:00"),
        ("midnight", "write 00:00"),
        ("25:00", "0 to 23"),
        ("9:75", "0 to 59"),
        ("13pm", "1 to 12"),
        ("0am", "1 to 12"),
        ("9am EST", "tomorrow 9am"),
        ("tomorrow 18h", "tomorrow 9am"),
        ("31 nov 9am", "tomorrow 9am"),
        ("2026-02-30 9am", "tomorrow 9am"),
        ("2026-02-30T09:00", "2026-11-24T09:00Z"),
        ("2026-11-24T24:00", "2026-11-24T09:00Z"),
        ("18:00 +99:00", "+02:00"),
    ],
)
def test_what_is_no_moment_is_refused_with_the_remedy(text, remedy):
    with pytest.raises(InputError) as caught:
        parse_moment(text, NOW, LONDON)
    assert remedy in caught.value.hint


def test_a_moment_beyond_the_calendar_is_refused():
    with pytest.raises(InputError, match="calendar"):
        parse_moment("99999999d", NOW, LONDON)


def test_a_skipped_local_time_is_refused_with_the_one_after_it():
    with pytest.raises(InputError, match="does not exist in Europe/London") as caught:
        parse_moment("2027-03-28T01:30", NOW, LONDON)
    assert "2027-03-28T02:30" in caught.value.hint


def test_of_a_local_time_that_occurs_twice_the_first_is_meant_and_said():
    first = parse_moment("2027-10-31T01:30", NOW, LONDON)
    assert first == utc("2027-10-31T00:30")
    assert describe_moment(first, LONDON) == "Sun 31 Oct 2027 01:30 BST (00:30Z, the first of two)"


def test_between_the_two_the_second_is_meant():
    between = utc("2027-10-31T00:45")
    second = parse_moment("01:30", between, LONDON)
    assert second == utc("2027-10-31T01:30")
    assert describe_moment(second, LONDON) == "Sun 31 Oct 2027 01:30 GMT (01:30Z, the second of two)"


def test_a_local_time_in_the_past_that_occurred_twice_is_the_first():
    assert parse_moment("2025-10-26T01:30", NOW, LONDON) == utc("2025-10-26T00:30")


def test_a_day_across_the_change_is_a_local_day():
    before = utc("2027-03-27T12:00")
    assert parse_moment("tomorrow 12:00", before, LONDON) == utc("2027-03-28T11:00")
    assert parse_moment("24h", before, LONDON) == utc("2027-03-28T12:00")


def test_today_is_today_where_the_user_is():
    tokyo = ZoneInfo("Asia/Tokyo")
    late = utc("2026-11-27T16:00")  # already Saturday 01:00 in Tokyo
    assert parse_moment("today 09:00", late, tokyo) == utc("2026-11-28T00:00")
    assert parse_moment("sat 09:00", late, tokyo) == utc("2026-11-28T00:00")


def test_the_environment_changes_no_meaning(monkeypatch):
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    before = locale.getlocale()
    assert parse_moment("3 dec 9am", NOW, LONDON) == utc("2026-12-03T09:00")
    assert locale.getlocale() == before


def test_a_naive_present_is_refused():
    with pytest.raises(InputError, match="time zone"):
        parse_moment("18:00", NOW.replace(tzinfo=None), LONDON)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(hours=2), "2 h"),
        (timedelta(minutes=90), "1 h 30 min"),
        (timedelta(days=1, hours=2), "1 d 2 h"),
        (timedelta(seconds=45.4), "45 s"),
        (timedelta(0), "0 s"),
        (-timedelta(minutes=5), "-5 min"),
    ],
)
def test_spans_are_described(span, words):
    assert describe_span(span) == words


def test_utc_of_another_day_says_which():
    assert describe_moment(utc("2026-11-28T20:00"), ZoneInfo("Asia/Tokyo")) == "Sun 29 Nov 2026 05:00 JST (28 Nov 20:00Z)"
