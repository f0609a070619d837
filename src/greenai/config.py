"""Settings: defaults, then the user's file, the project's file, GREENAI_* variables and flags, the last one winning.

Every value keeps the words that say where it came from. A key nobody knows is
an error with the closest known one, because a setting that is silently ignored
is a wrong number later. Secrets are read only from the environment or from a
file nobody else can read, and are shown nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from greenai import _values as values
from greenai import pause
from greenai.errors import ConfigError, InputError
from greenai.zones import default_zone

if TYPE_CHECKING:
    from greenai.model.series import Basis

ENV_PREFIX = "GREENAI_"
CHILD_ENV = (
    *(pause.RUN_ID, pause.JOB_ID, pause.ARRAY_INDEX, pause.ZONE, pause.RESUMES),
    *(pause.PAUSE_FILE, pause.CHECKPOINT_DIR, pause.PROGRESS_FILE, pause.PROGRESS_FD),
)
"""What a job is told by the greenai that runs it; a greenai inside the job does not take them for typing errors."""

DEFAULT = "default"
COMMAND_LINE = "command line"
_SERVICE_KEY = r"([a-z][a-z0-9_]*)_(url|key)"
_NO_PUE = "assumed 1.0: no building overhead stated"


def _about(read: values.Read, example: str, about: str) -> Mapping[str, Any]:
    """What makes a field a setting: how it is read from text or TOML, an example in TOML, and a line of documentation."""
    return {"read": read, "example": example, "about": about}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked. `origins` says where each one that is not a default came from.

    `urls` and `keys` hold `<provider>_url` and `<provider>_key` by provider.
    Keys never show in a repr. `ignored_env` lists the GREENAI_* variables that
    are no setting and resemble none.
    """

    zone: str = field(
        default="WORLD", metadata=_about(values.zone, '"GB"', "grid zone: GB, GB-1 to GB-17, a country code, US-CAL-CISO, WORLD")
    )
    home: Path = field(
        default=Path("greenai-home"),
        metadata=_about(values.path, '"~/.local/state/greenai"', "directory of all state: ledger, samples, archive"),
    )
    policy: str = field(
        default="greenest",
        metadata=_about(values.text, '"greenest"', "how the start is chosen; greenai plugins lists the policies"),
    )
    basis: Basis = field(
        default="average",
        metadata=_about(
            values.one_of("average", "marginal"), '"average"', "intensity that plans and accounts use: average or marginal"
        ),
    )
    min_saving: float = field(
        default=0.03, metadata=_about(values.share, '"3%"', "expected saving below which waiting is not worth it")
    )
    forecast_hours: float = field(
        default=48.0, metadata=_about(values.number(0.5, 96.0), "48", "how far ahead the forecast is drawn, hours")
    )
    meter: str = field(
        default="auto", metadata=_about(values.text, '"auto"', "energy meter: auto, or a name greenai plugins lists")
    )
    pue: float = field(
        default=1.0, metadata=_about(values.number(1.0, 5.0), "1.2", "power usage effectiveness of the building, 1 or more")
    )
    pue_source: str = field(
        default=_NO_PUE, metadata=_about(values.text, '"operator report 2025"', "who states the PUE; shown in the evidence")
    )
    wue_l_per_kwh: float | None = field(
        default=None, metadata=_about(values.number(0.0, 100.0), "1.8", "water usage effectiveness, litres per kWh of IT energy")
    )
    embodied_kg: tuple[float, float] | None = field(
        default=None,
        metadata=_about(
            values.span_of_numbers(0.0, 1e6), "[1000, 1500]", "emissions of making the machine, kgCO2e: one number or [low, high]"
        ),
    )
    embodied: str | None = field(
        default=None,
        metadata=_about(
            values.text, '"vcpu"', "the machine's row in the packaged table of embodied emissions, if embodied_kg is not known"
        ),
    )
    life_years: float = field(
        default=4.0, metadata=_about(values.number(0.1, 50.0), "4", "service life over which the making is shared out, years")
    )
    resource_share: float = field(
        default=1.0, metadata=_about(values.number(0.0, 1.0), "0.25", "share of the machine that jobs may use, 0 to 1")
    )
    hold_w: float = field(
        default=0.0,
        metadata=_about(
            values.number(0.0, 1e6), "0", "power drawn by what is held while a job waits, watts; charged to the wait"
        ),
    )
    assumed_w: float | None = field(
        default=None, metadata=_about(values.number(0.0, 1e6), "200", "power of the machine where nothing can be measured, watts")
    )
    idle_w: float | None = field(
        default=None, metadata=_about(values.number(0.0, 1e6), "40", "power of the idle machine, watts, if you know it")
    )
    interval_s: float = field(
        default=1.0, metadata=_about(values.number(0.05, 3600.0), "1", "seconds between two reads of the meters")
    )
    http_timeout_s: float = field(
        default=10.0,
        metadata=_about(
            values.number(0.1, 600.0), "10", "longest time for one answer of a grid service, retries included, seconds"
        ),
    )
    series: Path | None = field(
        default=None, metadata=_about(values.path, '"intensity.csv"', "series file to read instead of a grid service")
    )
    constant_g_per_kwh: float | None = field(
        default=None,
        metadata=_about(values.number(0.0, 5000.0), "250", "one intensity for all times instead of a grid service, g/kWh"),
    )
    forecaster: str = field(
        default="auto",
        metadata=_about(
            values.text, '"auto"', "who forecasts: auto, service, blend, lpr, lpr+weather, or a name greenai plugins lists"
        ),
    )
    history: Path | None = field(
        default=None, metadata=_about(values.path, '"measured.csv"', "series file of the past that forecasts are made from")
    )
    capacity_cpus: float | None = field(
        default=None,
        metadata=_about(values.number(0.0, 1e5), "16", "CPU cores that queued jobs may take; default: the machine's"),
    )
    capacity_gpus: float | None = field(
        default=None, metadata=_about(values.number(0.0, 1e4), "2", "GPUs that queued jobs may take; default: those NVML lists")
    )
    capacity_memory_gb: float | None = field(
        default=None,
        metadata=_about(values.number(0.0, 1e6), "64", "memory that queued jobs may take, GB; default: the machine's"),
    )
    power_cap_w: float | None = field(
        default=None, metadata=_about(values.number(0.0, 1e7), "2000", "power that queued jobs may draw together, watts")
    )
    carbon_budget_g_per_day: float | None = field(
        default=None, metadata=_about(values.number(0.0, 1e9), "5000", "grams a UTC day of the queue should stay within")
    )
    share_by: str = field(
        default="user", metadata=_about(values.text, '"user"', "whose share a queued job counts to: user, or the name of a label")
    )
    slurm_partitions: str = field(
        default="",
        metadata=_about(
            values.pairs, '"GB=london,FR=paris"', "partition of Slurm that stands in each zone; others go where sbatch puts them"
        ),
    )
    powercap_root: Path = field(
        default=Path("/sys/class/powercap"),
        metadata=_about(values.path, '"/sys/class/powercap"', "where RAPL counters are looked for"),
    )
    proc_root: Path = field(default=Path("/proc"), metadata=_about(values.path, '"/proc"', "where process times are read"))
    sys_root: Path = field(default=Path("/sys"), metadata=_about(values.path, '"/sys"', "where the machine is described"))
    nvml_library: str | None = field(
        default=None, metadata=_about(values.text, '"libnvidia-ml.so.1"', "library that reads NVIDIA GPUs")
    )
    urls: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    ignored_env: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One line of `greenai config show`."""

    key: str
    value: Any
    origin: str
    about: str


_FIELDS = MappingProxyType({item.name: item for item in fields(Settings) if "read" in item.metadata})
KEYS = tuple(_FIELDS)
"""The settings by name, in the order they are documented; `<provider>_url` and `<provider>_key` come on top."""


def load(environ: Mapping[str, str], cwd: Path, overrides: Mapping[str, object] | None = None) -> Settings:
    """Settings for a process with this environment in this directory; `overrides` are flags (None: not given).

    Raises:
        ConfigError: an unknown key, an unusable value, an unreadable file, or a
            secret where others can read it; names the key, the place and the remedy.
    """
    found: dict[str, Any] = {}
    origins: dict[str, str] = {}
    ours = (name for name in sorted(environ) if name.startswith(ENV_PREFIX) and name not in CHILD_ENV)
    ignored = tuple(name for name in ours if not _is_setting(name))
    for key, value, origin, base in _layers(environ, cwd, overrides or {}):
        found[key], origins[key] = _read(key, value, origin, base), origin
    _fill_defaults(found, origins, environ)
    services = _services_out_of(found)
    return Settings(
        **found,
        urls=_by_provider(services, "url"),
        keys=_by_provider(services, "key"),
        origins=MappingProxyType(origins),
        ignored_env=ignored,
    )


def with_flags(settings: Settings, flags: Mapping[str, object], cwd: Path) -> Settings:
    """The settings with further flags on top, read and checked like those of the command line.

    Raises:
        ConfigError: an unknown key or an unusable value.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    for key in given:
        _check_flag(key)
    read: dict[str, Any] = {key: _read(key, value, COMMAND_LINE, cwd) for key, value in given.items()}
    origins = {**settings.origins, **dict.fromkeys(read, COMMAND_LINE)}
    _state_pue_source(read)
    urls = {**settings.urls, **_by_provider(_services_out_of(read), "url")}
    return replace(settings, **read, urls=MappingProxyType(urls), origins=MappingProxyType(origins))


def show(settings: Settings) -> tuple[Shown, ...]:
    """Every setting with its value and where it came from; secrets only as set."""
    lines = [
        Shown(key=key, value=getattr(settings, key), origin=settings.origins.get(key, DEFAULT), about=item.metadata["about"])
        for key, item in _FIELDS.items()
    ]
    for suffix, services in (("url", settings.urls), ("key", dict.fromkeys(settings.keys, "(set, not shown)"))):
        for name, value in sorted(services.items()):
            key = f"{name}_{suffix}"
            about = "base URL of the service" if suffix == "url" else "secret of the service"
            lines.append(Shown(key=key, value=value, origin=settings.origins.get(key, DEFAULT), about=about))
    return tuple(lines)


def user_file(environ: Mapping[str, str]) -> Path:
    """Where the user's file is looked for; it need not exist."""
    return _xdg(environ, "config") / "config.toml"


def project_file(cwd: Path) -> Path | None:
    """The nearest greenai.toml, or pyproject.toml with [tool.greenai], from `cwd` upward; None if there is none."""
    return next((path for path, _table in _project_tables(cwd)), None)


def template() -> str:
    """The text `greenai config init` writes: every setting, commented out, with what it is."""
    lines = [
        "# Settings of greenai. Order, the last one wins:",
        "# defaults, this user file, the project's greenai.toml or [tool.greenai] in pyproject.toml, GREENAI_<KEY>, flags.",
        "",
    ]
    for key, item in _FIELDS.items():
        lines += [f"# {item.metadata['about']}", f"# {key} = {item.metadata['example']}", ""]
    lines += [
        "# base URL and secret of a grid service, for any provider; a file that holds a secret must have mode 0600",
        '# uk_url = "https://api.carbonintensity.org.uk"',
        "",
    ]
    return "\n".join(lines)


def _layers(environ: Mapping[str, str], cwd: Path, overrides: Mapping[str, object]) -> Iterator[tuple[str, object, str, Path]]:
    """(key, raw value, origin, directory that relative paths start from), weakest first."""
    files = [(user_file(environ), values.toml_table(user_file(environ))), *_project_tables(cwd)]
    for path, table in files:
        for key, value in (table or {}).items():
            _check_known(key, str(path))
            _check_secret_file(key, path)
            yield key, value, str(path), path.parent
    for name in sorted(environ):
        if name.startswith(ENV_PREFIX) and environ[name] and _is_setting(name):
            yield name.removeprefix(ENV_PREFIX).lower(), environ[name], name, cwd
    for key, value in overrides.items():
        if value is not None:
            _check_flag(key)
            yield key, value, COMMAND_LINE, cwd


def _project_tables(cwd: Path) -> Iterator[tuple[Path, dict[str, object]]]:
    """The project's file and its table: at most one."""
    for directory in (cwd, *cwd.parents):
        own = values.toml_table(directory / "greenai.toml")
        if own is not None:
            yield directory / "greenai.toml", own
            return
        shared = values.tool_table(directory / "pyproject.toml", "greenai")
        if shared is not None:
            yield directory / "pyproject.toml", shared
            return


def _read(key: str, value: object, origin: str, base: Path) -> object:
    service = None if key in _FIELDS else re.fullmatch(_SERVICE_KEY, key)
    read = _FIELDS[key].metadata["read"] if service is None else values.url if service[2] == "url" else values.secret
    try:
        return read(value, base)
    except InputError as error:
        raise ConfigError(f"{key} (from {origin}): {error}", hint=error.hint) from None


def _fill_defaults(found: dict[str, Any], origins: dict[str, str], environ: Mapping[str, str]) -> None:
    """Defaults that depend on the machine."""
    if "zone" not in found:
        found["zone"], origins["zone"] = default_zone(environ)
    if "home" not in found:
        found["home"] = _xdg(environ, "state")
    _state_pue_source(found)


def _state_pue_source(found: dict[str, Any]) -> None:
    """A stated PUE without a source must not keep the source of another."""
    if "pue" in found and "pue_source" not in found:
        found["pue_source"] = "stated by the user, no source given"


def _services_out_of(found: dict[str, Any]) -> dict[str, Any]:
    """Take `<provider>_url` and `<provider>_key` out of the settings found."""
    return {key: found.pop(key) for key in [key for key in found if key not in _FIELDS]}


def _by_provider(services: Mapping[str, Any], suffix: str) -> Mapping[str, str]:
    ending = f"_{suffix}"
    return MappingProxyType({key.removesuffix(ending): value for key, value in services.items() if key.endswith(ending)})


def _xdg(environ: Mapping[str, str], kind: str) -> Path:
    """The directory for this user's "config" or "state" (XDG base directory specification 0.8: relative ones are ignored)."""
    stated = environ.get(f"XDG_{kind.upper()}_HOME", "")
    if stated.startswith("/"):
        return Path(stated) / "greenai"
    import platformdirs

    return platformdirs.user_config_path("greenai") if kind == "config" else platformdirs.user_state_path("greenai")


def _known(key: str) -> bool:
    return key in _FIELDS or re.fullmatch(_SERVICE_KEY, key) is not None


def _is_setting(name: str) -> bool:
    """Whether the variable is a setting.

    Raises:
        ConfigError: it is none, but so close to one that it must be a typing error.
    """
    key = name.removeprefix(ENV_PREFIX).lower()
    if _known(key):
        return True
    close = None if name in CHILD_ENV else _closest(key, cutoff=0.75)
    if close:
        raise ConfigError(f"there is no setting {name}", hint=f"did you mean {ENV_PREFIX}{close.upper()}?")
    return False


def _check_known(key: str, origin: str) -> None:
    if not _known(key):
        close = _closest(key, cutoff=0.6)
        hint = f"did you mean {close}? " if close else ""
        raise ConfigError(f"{origin} has an unknown key {key!r}", hint=f"{hint}greenai config show lists the keys")


def _check_flag(key: str) -> None:
    _check_known(key, "the command line")
    if key not in _FIELDS and key.endswith("_key"):
        raise ConfigError(
            f"{key} cannot be given on the command line, where every user of the machine can read it",
            hint=f"set {ENV_PREFIX}{key.upper()}, or write it into a file with mode 0600",
        )


def _check_secret_file(key: str, path: Path) -> None:
    if key not in _FIELDS and key.endswith("_key") and path.stat().st_mode & 0o077:
        raise ConfigError(f"{path} holds the secret {key} and can be read by others", hint=f"chmod 600 {path}")


def _closest(key: str, *, cutoff: float) -> str | None:
    import difflib

    return next(iter(difflib.get_close_matches(key, KEYS, n=1, cutoff=cutoff)), None)
