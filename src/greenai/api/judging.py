"""How good forecasts of a zone have been: those the archive holds, and our own on the same past."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from greenai import wiring
from greenai.api.backtesting import read_weather, read_whole
from greenai.api.skill_past import Archived, Planned, Span, issues_of, pasts_of, planned_of
from greenai.config import Settings
from greenai.engine.read import Sources
from greenai.errors import InputError, ProviderError, SeriesError
from greenai.logic import skill as judged
from greenai.logic.history import HOUR, History, history_of
from greenai.logic.skill_own import Said, coarse, first_row, lpr_said, naive_said, weather_said
from greenai.model.series import FloatArray
from greenai.model.units import iso_utc
from greenai.model.weather import WeatherSeries

LEARN = timedelta(days=61)
"""What lpr needs before the first slot judged, and a day for what is published late."""
LEADS_H = 48
DECIDED_H = 24
LENGTHS_H = (1, 4)
MAX_DAYS = 366.0

Tell = Callable[[str, int, int], None]
"""Progress: what is being done, how many steps are done, how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ground:
    """What forecasts are judged by: the truth, its first slot judged, and whose it is."""

    truth: History
    begin: int
    provider: str

    @property
    def leads(self) -> int:
        return int(LEADS_H * HOUR / self.truth.like.step) + 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """What is judged, by what, what our own forecasters said of it, and what had to be left out."""

    span: Span
    pasts: list[Archived]
    planned: list[Planned]
    main: _Ground
    own: dict[str, Said] = field(default_factory=dict)
    left_out: list[dict[str, str]] = field(default_factory=list)

    def leave_out(self, source: str, reason: str) -> None:
        self.left_out.append({"source": source, "reason": reason})


def skill(
    zone: str | None = None,
    *,
    days: float = 30.0,
    series: str | Path | None = None,
    weather: str | Path | None = None,
    tell: Tell | None = None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Skill of the last `days` by source, as JSON types (schemas/skill.schema.json).

    Each service is judged by what it itself published afterwards, where the archive
    lacks that it is read; with `series`, a file of measured values, by the file, its
    last `days`, and no network is asked. Our own forecasters see the past of each slot alone.

    Raises:
        ProviderError: nothing can be judged yet; says what there is and how to get more.
        InputError: a file or argument cannot be used.
        StoreError: the archive cannot be read.
    """
    if not 0 < days <= MAX_DAYS:
        raise InputError(f"{days:g} days cannot be judged", hint=f"give a number of days up to {MAX_DAYS:g}")
    known = wiring.settings_with(settings, zone=zone)
    say = tell or (lambda _what, _done, _of: None)
    say("reading what came", 0, 1)
    # A file or a number in the settings is what plans rest on; forecasts of services are judged all the same.
    sources = wiring.sources_of(replace(known, series=None, constant_g_per_kwh=None), network=series is None)
    span, pasts, main = _from_archive(days, known, sources) if series is None else _from_file(series, days, known, sources)
    planned = planned_of(sources, span)
    if main is None:
        raise _nothing(span, pasts, planned)
    sky = None if weather is None else read_weather(weather, span.zone, known)
    case = _Case(span=span, pasts=pasts, planned=planned, main=main)
    case.own.update(_own(case, sky, say))
    return _document(case)


def _from_archive(days: float, settings: Settings, sources: Sources) -> tuple[Span, list[Archived], _Ground | None]:
    now_at = wiring.system_clock().now()
    from_at = now_at - timedelta(days=days)
    span = Span(zone=settings.zone, learn_from_at=from_at - LEARN, judged_from_at=from_at, now_at=now_at)
    pasts = pasts_of(sources, span)
    grounds = (_ground(one.truth, one.provider.name, from_at) for one in pasts if one.truth is not None)
    return span, pasts, next((ground for ground in grounds if ground is not None), None)


def _from_file(
    path: str | Path, days: float, settings: Settings, sources: Sources
) -> tuple[Span, list[Archived], _Ground | None]:
    whole = read_whole([path], settings.zone, settings)
    from_at = max(whole.start_at, whole.end_at - timedelta(days=days))
    span = Span(zone=settings.zone, learn_from_at=whole.start_at, judged_from_at=from_at, now_at=whole.end_at)
    truth = history_of(whole)
    live = [one for one in sources.providers if one.live and one.covers(span.zone)]
    pasts = [Archived(provider=one, issues=tuple(issues_of(sources, one, span)), truth=truth) for one in live]
    return span, [one for one in pasts if one.issues], _ground(truth, "file", from_at)


def _ground(truth: History, provider: str, from_at: datetime) -> _Ground | None:
    """The slots to judge on; None where none of the truth lies in them."""
    try:
        slots = coarse(truth)
    except SeriesError:
        return None
    begin = max(-((slots.start_at - from_at) // slots.like.step), 0)
    return _Ground(truth=slots, begin=begin, provider=provider) if begin < len(slots.values_g_per_kwh) else None


def _nothing(span: Span, pasts: list[Archived], planned: list[Planned]) -> ProviderError:
    """One sentence on what there is, and one on how to get what is missing."""
    held = ", ".join(f"{one['forecasts']} of {one['provider']}" for one in _held(pasts, planned))
    have = f"forecasts archived: {held}" if held else "no forecast is archived"
    why = "; ".join(f"{one.provider.name}: {one.reason}" for one in pasts if one.reason)
    return ProviderError(
        f"no forecast of {span.zone} can be judged yet: {have}; nothing measured is at hand{f' ({why})' if why else ''}",
        hint="each plan archives the forecast it reads; what came is read from the service, or give it with --series FILE",
    )


def _document(case: _Case) -> dict[str, Any]:
    main = case.main
    services = [row for past in case.pasts for row in _service(past, case)]
    known = np.isfinite(main.truth.values_g_per_kwh[main.begin :])
    like = main.truth.like
    return {
        "zone": case.span.zone,
        "made_at": iso_utc(wiring.system_clock().now()),
        "judged_from": iso_utc(main.truth.start_at + main.begin * like.step),
        "judged_to": iso_utc(main.truth.end_at),
        "judged_by": {
            "provider": main.provider,
            "kind": like.kind,
            "basis": like.basis,
            "scope": like.scope,
            "step_s": like.step_s,
            "slots": int(known.sum()),
            "mean_g_per_kwh": float(np.nanmean(main.truth.values_g_per_kwh[main.begin :])),
        },
        "archived": _held(case.pasts, case.planned),
        "sources": [*services, *_planned(case), *(_row(name, said, main) for name, said in case.own.items())],
        "left_out": case.left_out,
    }


def _held(pasts: list[Archived], planned: list[Planned]) -> list[dict[str, Any]]:
    """Which forecasts the archive holds of the days judged."""
    issues = {one.provider.name: one.issues for one in pasts} | {_name(one): one.issues for one in planned}
    return [
        {
            "provider": name,
            "forecasts": len(found),
            "first_at": iso_utc(min(at for at, _ in found)),
            "last_at": iso_utc(max(at for at, _ in found)),
        }
        for name, found in issues.items()
        if found
    ]


def _name(planned: Planned) -> str:
    return f"{planned.method}, as planned"


def _planned(case: _Case) -> Iterator[dict[str, Any]]:
    """What greenai forecast itself when plans were made, with the intervals it stated then."""
    ground, like = case.main, case.main.truth.like
    for one in case.planned:
        scope = one.issues[0][1].scope
        tables = [judged.said(issues, ground.truth, ground.leads) for issues in (one.issues, one.lows, one.highs)]
        row = _row(_name(one), Said(middle=tables[0], bounds=(tables[1], tables[2])), ground)
        if like.scope not in {scope, "unstated"}:
            case.leave_out(_name(one), f"it forecasts {scope} emissions, what came is known as {like.scope} ones")
        elif row["forecasts"]:
            yield row
        else:
            case.leave_out(_name(one), f"forecasts that wait for the hours they are about: {len(one.issues)}")


def _own(case: _Case, sky: WeatherSeries | None, say: Tell) -> Iterator[tuple[str, Said]]:
    """Our own forecasters on the same past, each from the first slot before which it has enough of it."""
    main = case.main

    def told(name: str) -> Callable[[int, int], None]:
        return lambda done, of: say(f"forecasting with {name}", done, of)

    makers: dict[str, Callable[[int], Said]] = {
        "lpr": lambda begin: lpr_said(main.truth, begin, main.leads, told("lpr")),
        "seasonal-naive": lambda begin: naive_said(main.truth, begin, main.leads, told("seasonal-naive")),
    }
    if sky is None:
        case.leave_out("lpr+weather", "no weather is at hand: give --weather FILE")
    else:
        makers["lpr+weather"] = lambda begin: weather_said(main.truth, begin, main.leads, sky)
    for name, make in makers.items():
        try:
            yield name, make(first_row(main.truth, main.begin, name))
        except (SeriesError, InputError) as error:
            case.leave_out(name, str(error))


def _service(past: Archived, case: _Case) -> Iterator[dict[str, Any]]:
    """What a provider said, judged by what it published itself, or by the file."""
    name, main, count = past.provider.name, case.main, len(past.issues)
    if not past.issues:
        return
    judge = "file" if main.provider == "file" else name
    ground = None if past.truth is None else _ground(past.truth, judge, case.span.judged_from_at)
    scope = past.issues[0][1].scope
    if ground is None:
        case.leave_out(name, f"forecasts that wait for measured values: {count}; {past.reason or 'none is published yet'}")
    elif ground.truth.like.scope not in {scope, "unstated"}:
        case.leave_out(name, f"it forecasts {scope} emissions, what came is known as {ground.truth.like.scope} ones")
    else:
        said = Said(middle=judged.said(past.issues, ground.truth, ground.leads))
        row = _row(name, said, ground)
        if not row["forecasts"]:
            case.leave_out(name, f"forecasts that wait for the hours they are about: {count}")
            return
        same = case.own if judge == main.provider else {}
        yield {**row, "own_at_the_same": {other: _same(said, one, ground) for other, one in same.items()}}


def _same(said: Said, own: Said, ground: _Ground) -> dict[str, Any]:
    """A forecaster of our own on exactly the slots that a service was judged on."""
    middle = np.where(np.isfinite(said.middle), own.middle, np.nan)
    return _short(judged.by_lead(middle, ground.truth.values_g_per_kwh), ground)


def _row(name: str, said: Said, ground: _Ground) -> dict[str, Any]:
    """All figures of one source."""
    actual, step = ground.truth.values_g_per_kwh, ground.truth.like.step
    skills = judged.by_lead(said.middle, actual)
    per_hour = int(HOUR / step)
    spread = None if said.bounds is None else judged.coverage((said.bounds[0], said.middle, said.bounds[1]), actual)
    regrets = {
        f"{length}h": asdict(judged.choice_regret(said.middle, actual, length=length * per_hour, span=DECIDED_H * per_hour))
        for length in LENGTHS_H
    }
    return {
        "source": name,
        "judged_by": ground.provider,
        "forecasts": _forecasts(said.middle, actual),
        **_short(skills, ground),
        "bins": [
            {"from_h": begin, "to_h": end, **_figures(skills.pooled(first, last))}
            for begin, end, first, last in judged.bins(step, ground.leads)
        ],
        "mae_by_hour_g_per_kwh": [
            _number(skills.pooled(hour * per_hour + 1, (hour + 1) * per_hour + 1).error_g_per_kwh) for hour in range(LEADS_H)
        ],
        "coverage": None if spread is None else asdict(spread),
        "regret": regrets,
    }


def _forecasts(middle: FloatArray, actual: FloatArray) -> int:
    """How many forecasts said something of what came later."""
    then = judged.came(actual, middle.shape[1])
    return int((np.isfinite(middle) & np.isfinite(then))[:, 1:].any(axis=1).sum())


def _short(skills: judged.Skill, ground: _Ground) -> dict[str, Any]:
    """The figures a person looks at first: the first day, and the slope of the first hours."""
    per_hour = int(HOUR / ground.truth.like.step)
    day, short = skills.pooled(1, DECIDED_H * per_hour + 1), skills.pooled(1, judged.SHORT_H * per_hour + 1)
    return {"day_ahead": _figures(day), "short_slope": _number(short.slope)}


def _figures(pooled: judged.Skill) -> dict[str, Any]:
    return {
        "pairs": int(pooled.pairs[0]),
        "mae_g_per_kwh": _number(pooled.error_g_per_kwh),
        "rmse_g_per_kwh": _number(pooled.root_square_g_per_kwh),
        "mape": _number(pooled.error_share),
        "bias_g_per_kwh": _number(pooled.bias_g_per_kwh),
        "slope": _number(pooled.slope),
    }


def _number(value: FloatArray) -> float | None:
    return float(value[0]) if np.isfinite(value[0]) else None
