"""What can be measured on this machine, what cannot, and the exact remedy.

Every check looks at one thing, changes nothing that stays but the archive of the
answer it gets, and answers within seconds, offline too. A check fails only when
evidence made here would rest on assumed numbers or could not be written; what
merely makes it worse is a warning.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from greenai import api, plugins, wiring
from greenai._version import __version__
from greenai.config import CHILD_ENV, ENV_PREFIX, Settings
from greenai.engine.foresee import at_hand
from greenai.errors import GreenaiError, StoreError
from greenai.model.energy import MeterInfo, Quality, RejectedMeter
from greenai.model.intensity import Reading
from greenai.model.units import iso_utc, parse_iso_utc
from greenai.zones import WORLD, timezone_name

Status = Literal["ok", "warn", "fail"]

NETWORK_LIMIT_S: Final = 5.0
"""Longest look at the grid service."""

SPACE_WANTED_MB: Final = 100
"""A day of samples at 1 Hz is some ten megabytes; below this a long run may fill the disk."""

OWN_VARIABLES: Final = frozenset({f"{ENV_PREFIX}DEBUG", *CHILD_ENV})
"""Variables that are no setting and no typing error."""

BUILT_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock before this is wrong: greenai did not exist."""

OTHER_HOME: Final = "choose another directory: export GREENAI_HOME=DIR"

GRADES: Final[dict[Quality, Status]] = {
    "measured:counter": "ok",
    "measured:sampled": "ok",
    "attributed": "ok",
    "modelled": "warn",
    "assumed": "fail",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at. `remedy` is what to do, empty when there is nothing to do."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


def examine(settings: Settings) -> tuple[Check, ...]:
    """Look at everything that evidence made here would rest on; takes at most about NETWORK_LIMIT_S seconds."""
    looks: tuple[Callable[[Settings], Iterator[Check]], ...] = (
        _versions,
        _meters,
        _time_zone,
        _grid,
        _services,
        _forecasting,
        _store,
        _space,
        _variables,
        _plugins,
    )
    return tuple(check for look in looks for check in look(settings))


def _versions(_settings: Settings) -> Iterator[Check]:
    detail = f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Check(name="greenai", status="ok", detail=detail)


def _meters(settings: Settings) -> Iterator[Check]:
    """One check for each component: the meter taken; then the better ones that were not, with their remedy."""
    try:
        chain = wiring.detect_meters(settings)
    except GreenaiError as error:
        yield Check(name="meters", status="fail", detail=str(error), remedy=error.hint or "")
        return
    taken = [meter.info for meter in chain.meters]
    if not taken:
        yield Check(
            name="meters", status="fail", detail="nothing can be measured here", remedy="state the power: GREENAI_ASSUMED_W"
        )
    for info in taken:
        yield _meter(info, chain.rejected)
    for meter in chain.rejected:
        if meter.remedy and meter.component not in {info.component for info in taken}:
            yield Check(name=meter.component, status="warn", detail=f"{meter.name}: {meter.reason}", remedy=meter.remedy)


def _meter(info: MeterInfo, rejected: tuple[RejectedMeter, ...]) -> Check:
    """The meter taken for a component; where it is no measurement, why the better ones were not taken."""
    status = GRADES[info.quality]
    band = f"{(info.low_ratio - 1) * 100:+.0f} to {(info.high_ratio - 1) * 100:+.0f} %"
    detail = f"{info.name}, {info.quality}, {band}"
    if status == "ok":
        return Check(name=info.component, status=status, detail=detail)
    better = [meter for meter in rejected if meter.component == info.component]
    reasons = "; ".join(f"{meter.name}: {meter.reason}" for meter in better)
    remedy = next((meter.remedy for meter in better if meter.remedy), "")
    return Check(name=info.component, status=status, detail=f"{detail}; {reasons}" if reasons else detail, remedy=remedy)


def _time_zone(_settings: Settings) -> Iterator[Check]:
    name = timezone_name(os.environ)
    if name is None:
        remedy = "set TZ to a name such as Europe/Berlin"
        yield Check(name="time zone", status="warn", detail="it has no name, only an offset", remedy=remedy)
    else:
        yield Check(name="time zone", status="ok", detail=name)


def _grid(settings: Settings) -> Iterator[Check]:
    """The zone, and whether its service answers within NETWORK_LIMIT_S."""
    origin = settings.origins.get("zone", "")
    yield Check(
        name="zone",
        status="warn" if settings.zone == WORLD else "ok",
        detail=f"{settings.zone}, {origin}",
        remedy="greenai config init, then set zone; or export GREENAI_ZONE=GB" if settings.zone == WORLD else "",
    )
    # The service alone: a forecast of our own may read a year of history first.
    bounded = replace(settings, forecaster="service", http_timeout_s=min(settings.http_timeout_s, NETWORK_LIMIT_S))
    try:
        reading = api.forecast(hours=24.0, settings=bounded)
    except GreenaiError as error:
        yield Check(name="grid", status="warn", detail=str(error), remedy=error.hint or "")
        return
    yield _service(reading)


def _service(reading: Reading) -> Check:
    """What the grid's service answered."""
    series, zone = reading.series, reading.query.zone
    if reading.step == "live" and series is not None:
        return Check(
            name="grid", status="ok", detail=f"{series.source.provider} answers for {zone}: {series.kind}, {series.basis}"
        )
    instead = f"{reading.step} is used instead" if series is not None else "nothing is known of it: jobs run at once"
    if reading.fallback_reason is None:
        remedy = "give a series file: --series FILE or GREENAI_SERIES"
        return Check(name="grid", status="warn", detail=f"no service covers {zone}: {instead}", remedy=remedy)
    remedy = "check the network, or point <provider>_url at a service that can be reached"
    return Check(name="grid", status="warn", detail=f"{reading.fallback_reason}; {instead}", remedy=remedy)


def _services(settings: Settings) -> Iterator[Check]:
    """One check for each service with a key or an address of the user's: whether it answers for the zone."""
    bounded = replace(settings, http_timeout_s=min(settings.http_timeout_s, NETWORK_LIMIT_S))
    for name in sorted({*settings.keys, *settings.urls}):
        try:
            reading = api.probe(name, settings=bounded)
        except GreenaiError as error:
            yield Check(name=name, status="warn", detail=str(error), remedy=error.hint or "")
            continue
        if reading is None or reading.series is None:
            remedy = f"greenai zones {settings.zone} lists the sources of this zone"
            yield Check(name=name, status="warn", detail=f"it is set and does not cover {settings.zone}", remedy=remedy)
        else:
            series = reading.series
            yield Check(
                name=name, status="ok", detail=f"answers for {series.zone}: {series.kind}, {series.basis}, {series.scope}"
            )


def _forecasting(settings: Settings) -> Iterator[Check]:
    """Who forecasts, and whether the history and the weather for it are at hand; asks nobody."""
    try:
        sources = wiring.sources_of(settings, network=False)
        found = at_hand(settings.zone, sources, wiring.system_clock().now())
    except GreenaiError as error:
        yield Check(name="forecasts", status="warn", detail=str(error), remedy=error.hint or "")
        return
    yield Check(name="forecasts", status="ok", detail=f"{settings.forecaster}: {found}")


def _store(settings: Settings) -> Iterator[Check]:
    """Whether the state directory can be written, is private and its ledger can be read; then the clock, by what is recorded."""
    home, records, last_at = settings.home, 0, None
    trouble = _unwritable(home)
    if trouble is None:
        try:
            for record in wiring.open_ledger(settings).records():
                records, last_at = records + 1, parse_iso_utc(record.ts)
        except StoreError as error:
            trouble = Check(name="store", status="fail", detail=str(error), remedy=error.hint or OTHER_HOME)
    if trouble is None and home.exists() and home.stat().st_mode & 0o022:
        trouble = Check(name="store", status="warn", detail=f"{home} can be written by others", remedy=f"chmod go-w {home}")
    yield trouble or Check(name="store", status="ok", detail=f"{home}, {records} records")
    yield _clock(wiring.system_clock().now(), last_at)


def _unwritable(home: Path) -> Check | None:
    """Why the state directory cannot be written, None if it can."""
    try:
        if home.exists() and not home.is_dir():
            raise NotADirectoryError(0, "it is no directory")
        with tempfile.TemporaryFile(dir=_existing(home)):
            return None
    except OSError as error:
        return Check(name="store", status="fail", detail=f"{home} cannot be written: {error.strerror}", remedy=OTHER_HOME)


def _clock(now_at: datetime, last_at: datetime | None) -> Check:
    """Whether the clock can be right: not before this program, not before what it has already recorded."""
    shown = f"{now_at:%Y-%m-%d %H:%M:%S} UTC"
    if now_at >= max(BUILT_AT, last_at or BUILT_AT) - timedelta(minutes=1):
        return Check(name="clock", status="ok", detail=shown)
    what = f"the last record, of {iso_utc(last_at)}" if last_at and now_at > BUILT_AT else "greenai existed"
    remedy = "set the clock, for example with: timedatectl set-ntp true"
    return Check(name="clock", status="warn", detail=f"it shows {shown}, before {what}", remedy=remedy)


def _space(settings: Settings) -> Iterator[Check]:
    free_mb = shutil.disk_usage(_existing(settings.home)).free / 2**20
    low = free_mb < SPACE_WANTED_MB
    yield Check(
        name="disk",
        status="warn" if low else "ok",
        detail=f"{free_mb:,.0f} MB free",
        remedy=f"free some space: samples and answers of the grid want {SPACE_WANTED_MB} MB" if low else "",
    )


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.is_dir())


def _variables(settings: Settings) -> Iterator[Check]:
    unknown = [name for name in settings.ignored_env if name not in OWN_VARIABLES]
    if unknown:
        remedy = "greenai config show lists the settings; unset what is none"
        yield Check(name="variables", status="warn", detail=f"not known: {', '.join(unknown)}", remedy=remedy)


def _plugins(_settings: Settings) -> Iterator[Check]:
    for plugin in plugins.plugins():
        if not plugin.ok:
            remedy = f"reinstall or remove the package {plugin.distribution}"
            yield Check(name="plug-in", status="warn", detail=plugin.problem, remedy=remedy)
