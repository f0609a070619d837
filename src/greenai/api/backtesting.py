"""What greenai would have saved: a policy and a forecaster on a measured past."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from greenai import plugins
from greenai.api.asking import Moment, Span, moment_of, span_of
from greenai.config import Settings
from greenai.errors import InputError
from greenai.logic import backtesting as played
from greenai.logic.backtesting_matrix import LEAST, Period, forecast_matrix
from greenai.logic.backtesting_plugged import Policy, plugged
from greenai.logic.backtesting_replay import Forecaster
from greenai.logic.history import history_of
from greenai.model.intensity import Payload, Provider, Query, Request, source_of
from greenai.model.series import IntensitySeries
from greenai.model.units import as_utc, parse_iso_utc
from greenai.model.weather import WeatherPoint, WeatherSeries
from greenai.wiring import settings_with, sources_of, system_clock

HOUR = timedelta(hours=1)
BLIND = ("run-now", "threshold-", "percentile-past-week")
"""How the names begin of policies that read no forecast: played once, not once per forecaster."""
NO_FORECAST = "none"
LEADS = timedelta(hours=72)
"""The least that is forecast: what one kind of job comes to must not hang on which others are asked for beside it."""
FIRST_YEAR = timedelta(days=365)
WEATHER_COLUMNS = ("temp_c", "rh_pct", "cloud_pct", "wind_10m_km_per_h")

Tell = Callable[[str, int, int], None]
"""Progress: what is being done, how many steps are done, how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a backtest is to play. Without `from_at` the first year of the data only teaches (60 days of a shorter series)."""

    policies: Sequence[str] = ("rolling",)
    forecasters: Sequence[str] = ("lpr",)
    durations: Sequence[Span] = ("1h", "4h")
    slacks: Sequence[Span] = ("24h",)
    from_at: Moment | None = None
    to_at: Moment | None = None
    interruptible: bool = False
    plan_once: bool = False
    resume_cost: Span | None = None


def backtest(
    series: str | Path,
    *,
    history: str | Path | None = None,
    weather: str | Path | None = None,
    zone: str | None = None,
    asked: Asked | None = None,
    tell: Tell | None = None,
    settings: Settings | None = None,
) -> list[dict[str, Any]]:
    """Rows of the contract (schemas/backtest.schema.json), one per policy, forecaster, duration and slack.

    `zone` names the rows; without it the name of the series file does. Arrivals are
    all slots from `asked.from_at` to `asked.to_at` whose deadlines the series covers.

    Raises:
        InputError: a file, policy, forecaster or span cannot be used.
        SeriesError: the period is too short, or has too little past for a forecaster.
    """
    ask, say = asked or Asked(), tell or (lambda _what, _done, _of: None)
    known = settings_with(settings)
    policies = policies_of(ask)
    name = zone or Path(series).stem
    whole = read_whole([path for path in (history, series) if path is not None], name, known)
    scenarios = scenarios_of(ask, whole)
    period, arrivals = _period(whole, ask, max(scenario.span for scenario in scenarios))
    sky = None if weather is None else read_weather(weather, name, known)
    rows: list[dict[str, Any]] = []
    tasks = list(tasks_of(policies, tuple(ask.forecasters)))
    total = sum(1 + len(group) * len(scenarios) for _, group in tasks)
    done = 0
    for forecaster, group in tasks:
        say(f"{name}: forecasting with {forecaster}", done, total)
        seen = forecast_matrix(
            period, "perfect" if forecaster == NO_FORECAST else forecaster, plugin=forecaster_named, weather=sky
        )
        ground = played.Ground(
            zone=name,
            actual=period.actual,
            seen=seen,
            before=whole.values[: period.begin],
            arrivals=arrivals,
            forecaster=forecaster,
            slot_h=whole.step / HOUR,
        )
        done += 1
        for policy in group:
            for scenario in scenarios:
                say(f"{name}: playing {policy} with {forecaster}", done, total)
                rows.append(played.backtest(ground, scenario, policy, play_of(policy, whole, period.begin, ask)))
                done += 1
    say("done", total, total)
    return rows


def known_policies() -> tuple[str, ...]:
    """The policies a backtest can play: those built in, and those installed."""
    return tuple(dict.fromkeys((*played.POLICIES, *plugins.names("greenai.policies"))))


def known_forecasters() -> tuple[str, ...]:
    """The forecasters a backtest can use: those built in, and those installed."""
    return tuple(dict.fromkeys((*LEAST, *plugins.names("greenai.forecasters"))))


def policies_of(ask: Asked) -> tuple[str, ...]:
    """The policies, `rolling` being the one planned once if that was asked; raises InputError for an unknown one."""
    names = tuple(dict.fromkeys("once" if name == "rolling" and ask.plan_once else name for name in ask.policies))
    if not names or not ask.forecasters:
        raise InputError("no policy or no forecaster was named", hint="the defaults are --policy rolling --forecaster lpr")
    for name in names:
        if played.play_named(name) is None and name not in plugins.names("greenai.policies"):
            raise InputError(f"no policy {name!r} to test", hint=f"known: {', '.join(known_policies())}, threshold-N")
    return names


def play_of(name: str, whole: IntensitySeries, begin: int, ask: Asked) -> played.Play:
    """How a policy is played on a series from slot `begin` on: one of ours by kernels, one of others asked in every slot."""
    return played.play_named(name) or plugged(policy_named(name), whole, begin, once=ask.plan_once)


def policy_named(name: str) -> Policy:
    """A policy by its entry point's name, whose failures are told in one sentence."""
    return plugins.guarded(plugins.load("greenai.policies", name), f"the policy {name!r}")


def forecaster_named(name: str) -> Forecaster:
    """A forecaster by its entry point's name; raises InputError with the closest names."""
    return plugins.guarded(plugins.load("greenai.forecasters", name), f"the forecaster {name!r}")


def scenarios_of(ask: Asked, whole: IntensitySeries) -> list[played.Scenario]:
    """Each duration with each slack, in slots; raises InputError for a span that does not fit the series' slots."""
    if ask.resume_cost is not None and not ask.interruptible:
        raise InputError(
            "a resume cost is for jobs that may be interrupted", hint="add --interruptible, or leave --resume-cost out"
        )
    resume_slots = 0.0 if ask.resume_cost is None else span_of(ask.resume_cost) / whole.step
    return [
        played.Scenario(
            length=slots_of(duration, whole),
            slack=slots_of(slack, whole),
            interruptible=ask.interruptible,
            resume_slots=resume_slots,
        )
        for duration in ask.durations
        for slack in ask.slacks
    ]


def tasks_of(policies: tuple[str, ...], forecasters: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each forecaster with the policies that read it; those that read none come first, together."""
    blind = tuple(name for name in policies if name.startswith(BLIND))
    if blind:
        yield NO_FORECAST, blind
    others = tuple(name for name in policies if not name.startswith(BLIND))
    if others:
        for forecaster in dict.fromkeys(forecasters):
            if forecaster not in LEAST:
                forecaster_named(forecaster)
            yield forecaster, others


def slots_of(span: Span, whole: IntensitySeries) -> int:
    """A span in slots of the series; raises InputError when it is none, or no whole number of them."""
    length = span_of(span)
    if length <= timedelta(0) or length % whole.step:
        raise InputError(f"{length} is no whole number of the series' slots of {whole.step}", hint="choose a multiple of them")
    return length // whole.step


def _period(whole: IntensitySeries, ask: Asked, span: int) -> tuple[Period, int]:
    """The slots to play and how many of them are arrivals; deadlines may lie after `to_at`, within the series."""
    now_at = system_clock().now()
    first_year = min(FIRST_YEAR, max(LEAST["lpr"], (whole.end_at - whole.start_at) / 2))
    from_at = whole.start_at + first_year if ask.from_at is None else _day_or_moment(ask.from_at, now_at)
    to_at = whole.end_at if ask.to_at is None else _day_or_moment(ask.to_at, now_at)
    begin, stop = (-((whole.start_at - moment) // whole.step) for moment in (from_at, to_at))
    begin, stop = max(begin, 0), min(stop, len(whole))
    end = min(stop + span, len(whole))
    if end - begin < span + 1 or stop <= begin:
        raise InputError(
            f"from {from_at:%Y-%m-%dT%H:%MZ} to {to_at:%Y-%m-%dT%H:%MZ} the series of {whole.zone} has no job that fits",
            hint=f"it covers {whole.start_at:%Y-%m-%dT%H:%MZ} to {whole.end_at:%Y-%m-%dT%H:%MZ}: choose within it",
        )
    return Period(whole=whole, begin=begin, end=end, leads=max(span, LEADS // whole.step)), stop - begin


def _day_or_moment(value: Moment, now_at: datetime) -> datetime:
    """A moment; a bare date is its first one in UTC, as series files count days."""
    bare = isinstance(value, str) and len(value) == len("2022-01-01") and value.count("-") == 2
    return as_utc(moment_of(f"{value}T00:00Z" if bare else value, now_at), name="--from and --to")


def read_whole(paths: Sequence[str | Path], zone: str, settings: Settings) -> IntensitySeries:
    """Series files as one gapless series, a later file winning where two overlap.

    Raises:
        SeriesGap: hours are missing in a file.
        InputError: a file cannot be read, or the files leave a hole between them.
    """
    pieces = [_read(path, zone, settings) for path in paths]
    past = history_of(*pieces)
    holes = np.flatnonzero(np.isnan(past.values_g_per_kwh))
    if holes.size:
        at = past.start_at + int(holes[0]) * past.like.step
        raise InputError(f"nothing is known of {zone} at {at:%Y-%m-%dT%H:%MZ}", hint="let --history end where --series begins")
    return replace(past.like, start_at=past.start_at, values=past.values_g_per_kwh)


def fetched(path: str | Path, settings: Settings) -> Payload:
    """A file's text; raises InputError when there is none."""
    url = f"file://{quote(str(Path(path).absolute()))}"
    return sources_of(settings, network=False).door.fetch(Request(url=url))


def sheet(payload: Payload) -> list[dict[str, str]]:
    """The rows of a comma-separated file by column, names in lower case."""
    lines = csv.reader(io.StringIO(payload.body.decode("utf-8-sig"), newline=""))
    head = [cell.strip().lower() for cell in next(lines, [])]
    return [dict(zip(head, (cell.strip() for cell in line), strict=False)) for line in lines if any(line)]


def _read(path: str | Path, zone: str, settings: Settings) -> IntensitySeries:
    payload = fetched(path, settings)
    starts = [row.get("start_utc", "") for row in sheet(payload)]
    if not starts or not starts[0]:
        raise InputError(f"{path} is no series", hint="its first line names the columns: start_utc,g_per_kwh")
    first_at, last_at = (parse_iso_utc(pick(starts)) for pick in (min, max))
    query = Query(zone=zone, start_at=first_at, end_at=last_at + HOUR, now_at=payload.fetched_at, purpose="observed")
    provider: Provider = plugins.load("greenai.providers", "csv")
    return provider.parse([payload], query)


def read_weather(path: str | Path, zone: str, settings: Settings) -> WeatherSeries:
    """An hourly weather file: start_utc, temp_c, rh_pct, cloud_pct, wind_10m_km_per_h; one place stands for the zone.

    Raises:
        InputError: another shape, a value that is no number, or a missing hour.
    """
    payload = fetched(path, settings)
    rows = sheet(payload)
    try:
        starts = [parse_iso_utc(row["start_utc"]) for row in rows]
        table = np.array([[float(row[column]) for column in WEATHER_COLUMNS] for row in rows])
    except (KeyError, ValueError):
        raise InputError(f"{path} is no weather series", hint=f"it needs start_utc,{','.join(WEATHER_COLUMNS)}") from None
    if not starts or any(at != starts[0] + i * HOUR for i, at in enumerate(starts)):
        raise InputError(f"{path} lacks hours", hint="a weather series has one row for each hour, in order")
    temperature, humidity, cloud, wind = table.T[:, None]
    point = WeatherPoint(
        zone=zone, name=Path(path).stem, latitude_degrees=0.0, longitude_degrees=0.0,
        wind_share=1.0, solar_share=1.0, demand_share=1.0,
    )  # fmt: skip
    return WeatherSeries(
        zone=zone, start_at=starts[0], points=(point,), wind_km_per_h=wind, cloud_percent=cloud,
        temperature_c=temperature, humidity_percent=humidity, source=source_of("csv", [payload]),
    )  # fmt: skip
