"""The GB Carbon Intensity API, as its documentation and its users describe it.

A half hour [s, s+30) is in an answer if and only if from <= s+30 <= to: its END
lies in the closed window asked for. Which days `/intensity/date` means in summer
is not documented; here they are UTC days.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from greenai.model.units import ceil_to, floor_to
from greenai.testing._uk_regions import COUNTRIES, FACTORS, NO_MATCH, REGION_OF_AREA, REGIONS, index, mix
from greenai.testing._world import HALF_HOUR, Reply, World, minute_utc

_DAY = timedelta(days=1)
_LONGEST = timedelta(days=14)
_LONGEST_STATS = timedelta(days=30)
_SPANS = {"fw24h": (timedelta(0), _DAY), "fw48h": (timedelta(0), 2 * _DAY), "pt24h": (-_DAY, timedelta(0))}
_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?")
_OUTWARD = re.compile(r"([A-Z]{1,2})\d[A-Z\d]?")
_BAD_TIME = "Please enter a valid datetime in ISO8601 format YYYY-MM-DDThh:mmZ e.g. /intensity/2017-08-25T15:30Z"
_BAD_DATE = "Please enter a valid date in ISO8601 format YYYY-MM-DD and period 1-48 e.g. /intensity/date/2017-08-25/42"
_BAD_PATH = "Please enter a valid path e.g. /intensity/"

Handler = Callable[..., Any]


class _BadRequest(Exception):
    """What the service answers with status 400."""


def answer(path: str, world: World) -> Reply:
    """The answer to GET `path`."""
    for pattern, handler in _ROUTES:
        match = pattern.fullmatch(unquote(path).strip("/"))
        if match:
            return _handled(handler, world, match.groupdict())
    return error(400, "400 Bad Request", _BAD_PATH)


def error(status: int, code: str, message: str) -> Reply:
    """An error as the service words it."""
    return Reply(status=status, document={"error": {"code": code, "message": message}})


def _handled(handler: Handler, world: World, parts: dict[str, str]) -> Reply:
    try:
        return Reply(document={"data": handler(world, **parts)})
    except _BadRequest as problem:
        return error(400, "400 Bad Request", str(problem))


def _now(world: World) -> list[Any]:
    return _rows(world, _latest(world), _latest(world))


def _single(world: World, start: str) -> list[Any]:
    asked_at = _time(start, "")
    return _rows(world, asked_at, ceil_to(asked_at, HALF_HOUR))


def _span(world: World, start: str, end: str) -> list[Any]:
    return _rows(world, *_window(start, end))


def _today(world: World) -> list[Any]:
    return _of_day(world, world.now_at.replace(hour=0, minute=0, second=0, microsecond=0))


def _date(world: World, date: str) -> list[Any]:
    return _of_day(world, _day(date))


def _period(world: World, date: str, period: str) -> list[Any]:
    if not (period.isdigit() and 1 <= int(period) <= 48):
        raise _BadRequest(_BAD_DATE)
    return _of_day(world, _day(date))[int(period) - 1 : int(period)]


def _factors(_world: World) -> list[Any]:
    return [FACTORS]


def _stats(world: World, start: str, end: str, block: str | None = None) -> list[Any]:
    from_at, to_at = _window(start, end, longest=_LONGEST_STATS)
    if block is not None and not (block.isdigit() and 1 <= int(block) <= 24):
        raise _BadRequest("Please enter a valid block length i.e. between 1 and 24")
    length = timedelta(hours=int(block)) if block else to_at - from_at
    blocks = [from_at + number * length for number in range(-((from_at - to_at) // length))]
    return [found for first_at in blocks for found in _block(world, first_at, min(first_at + length, to_at))]


def _block(world: World, from_at: datetime, to_at: datetime) -> list[Any]:
    """Statistics of one block; measured values where there are any, else the forecast."""
    cells = [row["intensity"] for row in _rows(world, from_at, to_at)]
    values = [cell["forecast"] if cell["actual"] is None else cell["actual"] for cell in cells]
    if not values:
        return []
    mean = round(sum(values) / len(values))
    summary = {"max": max(values), "average": mean, "min": min(values), "index": index(mean)}
    return [{"from": minute_utc(from_at), "to": minute_utc(to_at), "intensity": summary}]


def _generation_now(world: World) -> Any:
    return next(iter(_mixes(world, _latest(world), _latest(world))), {})


def _generation(world: World, start: str, end: str) -> list[Any]:
    if end.startswith("fw"):
        raise _BadRequest(_BAD_PATH)
    return list(_mixes(world, *_window(start, end)))


def _regional_now(world: World) -> list[Any]:
    return list(_periods(world, _latest(world), _latest(world)))


def _regional_country(world: World, country: str) -> list[Any]:
    return [_region(world, COUNTRIES[country], _latest(world), _latest(world))]


def _regional_id(world: World, region: str) -> list[Any]:
    return [_region(world, _region_id(region), _latest(world), _latest(world))]


def _regional_postcode(world: World, postcode: str) -> list[Any]:
    return [_region(world, _region_of(postcode), _latest(world), _latest(world), postcode=postcode)]


def _regional(world: World, start: str, end: str) -> list[Any]:
    return list(_periods(world, *_window(start, end)))


def _regional_span_id(world: World, start: str, end: str, region: str) -> dict[str, Any]:
    return _region(world, _region_id(region), *_window(start, end))


def _regional_span_postcode(world: World, start: str, end: str, postcode: str) -> dict[str, Any]:
    return _region(world, _region_of(postcode), *_window(start, end), postcode=postcode)


def _route(template: str, handler: Handler) -> tuple[re.Pattern[str], Handler]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template)), handler


_ROUTES = (
    _route("intensity", _now),
    _route("intensity/date", _today),
    _route("intensity/date/{date}", _date),
    _route("intensity/date/{date}/{period}", _period),
    _route("intensity/factors", _factors),
    _route("intensity/stats/{start}/{end}", _stats),
    _route("intensity/stats/{start}/{end}/{block}", _stats),
    _route("intensity/{start}", _single),
    _route("intensity/{start}/{end}", _span),
    _route("generation", _generation_now),
    _route("generation/{start}/{end}", _generation),
    _route("regional", _regional_now),
    _route("regional/(?P<country>england|scotland|wales)", _regional_country),
    _route("regional/regionid/{region}", _regional_id),
    _route("regional/postcode/{postcode}", _regional_postcode),
    _route("regional/intensity/{start}/{end}", _regional),
    _route("regional/intensity/{start}/{end}/regionid/{region}", _regional_span_id),
    _route("regional/intensity/{start}/{end}/postcode/{postcode}", _regional_span_postcode),
)


def _latest(world: World) -> datetime:
    """End of the latest complete half hour: what the service calls current."""
    return floor_to(world.now_at, HALF_HOUR)


def _starts(from_at: datetime, to_at: datetime) -> Iterator[datetime]:
    """The half hours whose end lies in [from_at, to_at]."""
    end_at = ceil_to(from_at, HALF_HOUR)
    while end_at <= to_at:
        yield end_at - HALF_HOUR
        end_at += HALF_HOUR


def _rows(world: World, from_at: datetime, to_at: datetime) -> list[dict[str, Any]]:
    return [row for start_at in _starts(from_at, to_at) for row in _row(world, start_at)]


def _of_day(world: World, day_at: datetime) -> list[dict[str, Any]]:
    return _rows(world, day_at + HALF_HOUR, day_at + _DAY)


def _row(world: World, start_at: datetime) -> list[dict[str, Any]]:
    """The row of one half hour; none where nothing is known of it."""
    forecast, actual = world.forecast_g_per_kwh(start_at), world.actual_g_per_kwh(start_at)
    if forecast is None:
        return []
    whole = None if actual is None else round(actual)
    cell = {"forecast": round(forecast), "actual": whole, "index": index(round(forecast) if whole is None else whole)}
    return [_slot(start_at) | {"intensity": cell}]


def _slot(start_at: datetime) -> dict[str, Any]:
    return {"from": minute_utc(start_at), "to": minute_utc(start_at + HALF_HOUR)}


def _known(world: World, from_at: datetime, to_at: datetime) -> Iterator[tuple[datetime, float]]:
    """(start, forecast) of the half hours that have one; regions publish nothing else."""
    for start_at in _starts(from_at, to_at):
        forecast = world.forecast_g_per_kwh(start_at)
        if forecast is not None:
            yield start_at, forecast


def _mixes(world: World, from_at: datetime, to_at: datetime) -> Iterator[dict[str, Any]]:
    for start_at, forecast in _known(world, from_at, to_at):
        yield _slot(start_at) | {"generationmix": mix(forecast)}


def _periods(world: World, from_at: datetime, to_at: datetime) -> Iterator[dict[str, Any]]:
    """Region-wide rows: intensity and mix sit on each region."""
    for start_at, forecast in _known(world, from_at, to_at):
        regions = [
            {"regionid": number, "dnoregion": operator, "shortname": name, **_cell(forecast * share)}
            for number, operator, name, share in REGIONS
        ]
        yield _slot(start_at) | {"regions": regions}


def _region(world: World, number: int, from_at: datetime, to_at: datetime, *, postcode: str | None = None) -> dict[str, Any]:
    """One region: intensity and mix sit on each period."""
    _, operator, name, share = REGIONS[number - 1]
    stated = {} if postcode is None else {"postcode": postcode.upper()}
    data = [_slot(start_at) | _cell(forecast * share) for start_at, forecast in _known(world, from_at, to_at)]
    return {"regionid": number, "dnoregion": operator, "shortname": name, **stated, "data": data}


def _cell(g_per_kwh: float) -> dict[str, Any]:
    whole = round(g_per_kwh)
    return {"intensity": {"forecast": whole, "index": index(whole)}, "generationmix": mix(whole)}


def _window(start: str, end: str, *, longest: timedelta = _LONGEST) -> tuple[datetime, datetime]:
    start_at = _time(start, f"/{end}" if end in _SPANS else "")
    if end in _SPANS:
        before, after = _SPANS[end]
        return start_at + before, start_at + after
    end_at = _time(end, "")
    if end_at <= start_at:
        raise _BadRequest("Please enter a valid date range: the end must be after the start")
    if end_at - start_at > longest:
        raise _BadRequest(f"Please enter a date range of at most {longest.days} days")
    return start_at, end_at


def _time(text: str, suffix: str) -> datetime:
    """A time as the service takes it: to the minute, UTC unless an offset is given."""
    try:
        moment = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise _BadRequest(_BAD_TIME + suffix)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).replace(second=0, microsecond=0)


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise _BadRequest(_BAD_DATE) from None


def _region_id(text: str) -> int:
    if not (text.isdigit() and 1 <= int(text) <= 17):
        raise _BadRequest("Please enter a valid region ID i.e. between 1 and 17")
    return int(text)


def _region_of(postcode: str) -> int:
    """The region of an outward postcode (SW1); a full one is not understood."""
    outward = postcode.upper()
    match = _OUTWARD.fullmatch(outward)
    region = REGION_OF_AREA.get(match[1]) if match and outward not in NO_MATCH else None
    if region is None:
        raise _BadRequest("No postcode match can be found.")
    return region
