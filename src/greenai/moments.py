"""Times, spans and shares as people write them.

dateparser reads the day ("tomorrow", "24 nov", "fri"); the time of day is read
here, and what comes out is checked. Left alone, dateparser 1.5 reads
"30 nov 9am" as a day in 2030, "fri 18:00" on a Friday morning as next week and
"tomorrow 18h" as 18 hours before tomorrow: each would move a job.
Language, order and direction are pinned, so no locale changes a meaning.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from greenai.errors import InputError
from greenai.model.units import as_utc

MOMENT_EXAMPLES = "24h, 18:00, tomorrow 9am, fri 18:00, 24 nov 9:30, 2026-11-24T09:00, 2026-11-24T09:00Z"
SPAN_EXAMPLES = "2h, 90m, 1h30m, 1.5h, 45s, 2d, PT2H"

_UNIT_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_UNIT = r"(d(?:ays?)?|h(?:ours?|rs?)?|m(?:in(?:utes?|s)?)?|s(?:ec(?:onds?|s)?)?)"
_PART = re.compile(rf"(\d+(?:\.\d+)?)\s*{_UNIT}(?![a-z])\s*")
_ISO_SPAN = re.compile(r"p(?:(\d+(?:\.\d+)?)d)?(?:t(?=\d)(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?)?")
_PLAIN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_ISO_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[tT ]\d{2}:\d{2}")
_OFFSET = re.compile(r"(?:\s*\b(?:utc|gmt|z)|(?<=[\d\s])z|\s*([+-])(\d{2}):?(\d{2}))$")
_UTC_WORD = re.compile(r"\s*(?:UTC|GMT|Z)$")
_SPACED_OFFSET = re.compile(r"\s+([+-]\d{2}:?\d{2})$")
_TIME_OF_DAY = re.compile(
    r"(?:\bat\s+)?(?<![\w:.])(?:(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(am|pm)?|(\d{1,2})\s*(am|pm)|(noon|midday))(?![\w:.])"
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY = re.compile(r"(?:this\s+|on\s+)?(mon|tue|tues|wed|thu|thur|thurs|fri|sat|sun|" + "|".join(_WEEKDAYS) + ")")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*"
_RELATIVE_DAY = re.compile(r"today|tomorrow|yesterday|in\b")
_DAY_WORDS = re.compile(
    rf"today|tomorrow|yesterday|\d{{4}}-\d{{2}}-\d{{2}}|in\s+\d+\s+days?"
    rf"|(?:on\s+)?(?:\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTH}|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?)(?:,?\s+\d{{4}})?"
)


def parse_span(text: str) -> timedelta:
    """A length of time: 2h, 90m, 1h30m, 1.5h, 45s, 2d, or ISO 8601 (PT2H). m is minutes.

    Raises:
        InputError: not a span, no unit, negative, or longer than Python can hold.
    """
    words = text.strip().lower()
    if _PLAIN_NUMBER.fullmatch(words):
        raise InputError(f"the span {text!r} has no unit", hint=f"write {words}h, {words}m or {words}s")
    span = _span_of(words)
    if span is None:
        raise InputError(f"{text!r} is not a span of time", hint=f"write it like one of: {SPAN_EXAMPLES}")
    return span


def parse_share(text: str) -> float:
    """A share from 0 to below 1: "3%" and "0.03" are the same.

    Raises:
        InputError: not a number, or outside [0, 1).
    """
    words = text.strip()
    number = words.removesuffix("%").strip()
    try:
        share = float(number) / (100.0 if words.endswith("%") else 1.0)
    except ValueError:
        raise InputError(f"{text!r} is not a share", hint="write it like 3% or 0.03") from None
    if not 0 <= share < 1:
        hint = f"for {number} percent write {number}%" if 1 <= share < 100 and number == words else "write it like 3% or 0.03"
        raise InputError(f"the share {text!r} is not between 0 and 1", hint=hint)
    return share


def parse_moment(text: str, now_at: datetime, zone: tzinfo) -> datetime:
    """The moment that `text` names to someone in `zone` at `now_at`, in UTC.

    A span counts from now. A time without a day is the next one; a weekday is
    the next one whose time has not passed; a date without a year is the next.
    A local time that occurs twice (clocks going back) is the first that is not
    past; see `describe_moment`, which says so.

    Raises:
        InputError: not understood, no time of day, no unit, a date that
            countries read differently, or a local time that clocks skip.
    """
    words = " ".join(text.strip().lower().split())
    now_at = as_utc(now_at, name="now_at")
    if _PLAIN_NUMBER.fullmatch(words):
        raise InputError(f"the time {text!r} has no unit", hint=f"write {words}h for a span, 18:00 for a time of day")
    if not words:
        raise InputError("the time is empty", hint=f"write it like one of: {MOMENT_EXAMPLES}")
    span = _span_of(words.removeprefix("in ").removeprefix("+"))
    if span is not None:
        return _later(now_at, span, text)
    if _ISO_MOMENT.match(words):
        return _from_iso(text, now_at, zone)
    return _from_words(words, text, now_at, zone)


def describe_moment(moment_at: datetime, zone: tzinfo) -> str:
    """Local time first, UTC beside it: "Sun 25 Oct 2026 01:30 BST (00:30Z)".

    Of a local time that occurs twice it says which one is meant.
    """
    local, utc = moment_at.astimezone(zone), moment_at.astimezone(UTC)
    day = "" if local.date() == utc.date() else f"{utc:%d %b} "
    twice = ", the second of two" if local.fold else ", the first of two" if _is_ambiguous(local) else ""
    return f"{local:%a %d %b %Y %H:%M} {local.tzname()} ({day}{utc:%H:%M}Z{twice})"


def _span_of(words: str) -> timedelta | None:
    """The span, None when it is not one."""
    iso = _ISO_SPAN.fullmatch(words)
    if iso and any(iso.groups()):
        return _span_s(
            sum(float(value or 0) * unit_s for value, unit_s in zip(iso.groups(), _UNIT_S.values(), strict=True)), words
        )
    total_s, position = 0.0, 0
    while part := _PART.match(words, position):
        total_s += float(part[1]) * _UNIT_S[part[2][0]]
        position = part.end()
    return _span_s(total_s, words) if words and position == len(words) else None


def _span_s(total_s: float, words: str) -> timedelta:
    try:
        return timedelta(seconds=total_s)
    except OverflowError:
        raise InputError(f"the span {words!r} is too long") from None


def _later(now_at: datetime, span: timedelta, text: str) -> datetime:
    try:
        return now_at + span
    except OverflowError:
        raise InputError(f"{text!r} from now is beyond the calendar") from None


def _from_iso(text: str, now_at: datetime, zone: tzinfo) -> datetime:
    written = _SPACED_OFFSET.sub(r"\1", _UTC_WORD.sub("Z", text.strip().upper()))
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise InputError(f"{text!r} is not a time: {error}", hint="write it like 2026-11-24T09:00 or 2026-11-24T09:00Z") from None
    return moment.astimezone(UTC) if moment.tzinfo else _localized(moment, now_at, zone)


def _from_words(words: str, text: str, now_at: datetime, zone: tzinfo) -> datetime:
    """A day in words, or none, and a time of day."""
    offset = _OFFSET.search(words)
    if offset:
        zone, words = _offset_zone(offset), words[: offset.start()]
    found = _TIME_OF_DAY.search(words)
    day_words = (words[: found.start()] + words[found.end() :]).strip(" ,") if found else words
    local_now = now_at.astimezone(zone).replace(tzinfo=None)
    day = _day_of(day_words, local_now)
    if day is None:
        raise InputError(f"the time {text!r} is not understood", hint=_hint_for(words))
    if found is None:
        raise InputError(f"{text!r} names no time of day", hint=f"write it like {day_words} 18:00")
    local = datetime.combine(day, _time_of(found, text))
    return _next_of(local, day_words, now_at, zone)


def _offset_zone(offset: re.Match[str]) -> tzinfo:
    sign, hours, minutes = offset.groups()
    if sign is None:
        return UTC
    span = timedelta(hours=int(hours), minutes=int(minutes))
    if span >= timedelta(days=1):
        raise InputError(f"{offset[0].strip()!r} is not an offset from UTC", hint="write it like +02:00")
    return timezone(-span if sign == "-" else span)


def _hint_for(words: str) -> str:
    if re.search(r"\d[/.]\d", words):
        return "countries read such a date or time differently: write 2026-11-24T09:00"
    if re.search(r"\b(next|last)\b", words):
        return "people read 'next friday' differently: write fri 18:00 or the date, as in 24 nov 9am"
    if "midnight" in words:
        return "midnight ends one day and begins the next: write 00:00 with the day it begins"
    return f"write it like one of: {MOMENT_EXAMPLES}"


def _day_of(day_words: str, local_now: datetime) -> date | None:
    """The date the words name, None if they name none. No words: today."""
    if not day_words:
        return local_now.date()
    weekday = _WEEKDAY.fullmatch(day_words)
    if weekday:
        wanted = next(i for i, name in enumerate(_WEEKDAYS) if name.startswith(weekday[1][:3]))
        return local_now.date() + timedelta(days=(wanted - local_now.weekday()) % 7)
    return _parsed_day(day_words, local_now) if _DAY_WORDS.fullmatch(day_words) else None


def _parsed_day(day_words: str, local_now: datetime) -> date | None:
    if _ISO_DATE.fullmatch(day_words):
        return _iso_day(day_words)
    # dateparser takes a quarter of a second to import: only where a day is named in words.
    import dateparser

    base = local_now.replace(hour=0, minute=0, second=0, microsecond=0)
    if not _RELATIVE_DAY.match(day_words):
        # "27 nov" said on 27 November: the future starts after the base, so it is taken a day back.
        base -= timedelta(days=1)
    settings = {"RELATIVE_BASE": base, "PREFER_DATES_FROM": "future", "DATE_ORDER": "DMY", "RETURN_AS_TIMEZONE_AWARE": False}
    parsed = dateparser.parse(day_words.removeprefix("on "), languages=["en"], settings=settings)
    return parsed.date() if parsed else None


def _iso_day(words: str) -> date | None:
    try:
        return date.fromisoformat(words)
    except ValueError:
        return None


def _time_of(found: re.Match[str], text: str) -> time:
    hour, minute, second, half, bare_hour, bare_half, noon = found.groups()
    if noon:
        return time(12)
    hours, half = int(hour or bare_hour), half or bare_half
    if half and not 1 <= hours <= 12:
        raise InputError(f"{text!r} has no such hour", hint="hours with am or pm go from 1 to 12")
    if half:
        hours = hours % 12 + (12 if half == "pm" else 0)
    try:
        return time(hours, int(minute or 0), int(second or 0))
    except ValueError as error:
        raise InputError(f"{text!r} is not a time of day: {error}", hint="hours go from 0 to 23, minutes from 0 to 59") from None


def _next_of(local: datetime, day_words: str, now_at: datetime, zone: tzinfo) -> datetime:
    """The moment; where the words recur (no day, a weekday) and it has passed, the next one."""
    moment = _localized(local, now_at, zone)
    if moment > now_at or (day_words and not _WEEKDAY.fullmatch(day_words)):
        return moment
    return _localized(local + timedelta(days=7 if day_words else 1), now_at, zone)


def _localized(local: datetime, now_at: datetime, zone: tzinfo) -> datetime:
    """A naive local time in UTC: refused if clocks skip it; of two, the first that is not past."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(zone).replace(tzinfo=None, fold=0) != local:
        # In a gap the offset after it (fold=1) moves the time back, the one before it forward by the gap.
        raise InputError(
            f"{local:%H:%M on %Y-%m-%d} does not exist in {zone}: the clocks go forward then",
            hint=f"write {first.astimezone(zone):%Y-%m-%dT%H:%M}, or give the offset from UTC",
        )
    return second if first <= now_at < second else first


def _is_ambiguous(local: datetime) -> bool:
    return local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
