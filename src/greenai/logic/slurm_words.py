"""What sbatch was told, in its options and in the #SBATCH lines of a script: as far as planning needs to know.

The grammar is that of sbatch(1), Slurm 22.05 to 25.11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from types import MappingProxyType

from greenai.errors import InputError

SHORT: Mapping[str, str] = MappingProxyType(
    {"-t": "--time", "-b": "--begin", "-p": "--partition", "-J": "--job-name", "-a": "--array"}
)
"""Short forms of the options that matter here."""

ASKED_FOR = (
    "--time",
    "--begin",
    "--partition",
    "--job-name",
    "--comment",
    "--signal",
    "--requeue",
    "--no-requeue",
    "--open-mode",
    "--array",
)
WITHOUT_VALUE = ("--requeue", "--no-requeue")

_LIMIT = re.compile(
    r"(?:(?P<days>\d+)-(?P<dh>\d+)(?::(?P<dm>\d+)(?::(?P<ds>\d+))?)?|(?P<first>\d+)(?::(?P<m>\d+)(?::(?P<s>\d+))?)?)"
)
_TASKS = re.compile(r"(?P<first>\d+)(?:-(?P<last>\d+)(?::(?P<step>[1-9]\d*))?)?")
_LONGEST_DAYS = 3650
"""Slurm's "no limit" is 2^32 - 2 minutes, which some of its words write as 2982616-04:14:00."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """The options that were given, by their long names; those of the command line go before those of the script."""

    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def has(self, *names: str) -> bool:
        """Whether one of these options was given."""
        return any(name in self.options for name in names)

    @property
    def limit(self) -> timedelta | None:
        """The time limit: more than the job takes, if it is to end. Raises InputError for one that is no time."""
        return limit_of(self.options["--time"]) if "--time" in self.options else None

    @property
    def rounds(self) -> int:
        """How many times its length an array takes at least: the tasks of 1-6%2 run in three rounds; 1 for any other job."""
        spec, _, at_once = self.options.get("--array", "").partition("%")
        parts = [_TASKS.fullmatch(part) for part in spec.split(",")]
        if not at_once.isdecimal() or int(at_once) < 1 or not all(parts):
            return 1
        return max(1, -(-sum(_number_of(part) for part in parts if part) // int(at_once)))

    @property
    def partitions(self) -> tuple[str, ...]:
        """The partitions that were named."""
        return tuple(name for name in self.options.get("--partition", "").split(",") if name)


def _number_of(tasks: re.Match[str]) -> int:
    first, last, step = int(tasks["first"]), int(tasks["last"] or tasks["first"]), int(tasks["step"] or 1)
    return max(0, (last - first) // step + 1)


def stated(arguments: Sequence[str], script: str) -> Stated:
    """What the command line and the script say together."""
    return Stated(options=MappingProxyType({**_options(_directives(script)), **_options(arguments)}))


def limit_of(text: str) -> timedelta | None:
    """A time limit as Slurm writes it; None for no limit.

    "minutes", "minutes:seconds", "hours:minutes:seconds", "days-hours", "days-hours:minutes" and
    "days-hours:minutes:seconds".

    Raises:
        InputError: it is none of these.
    """
    if text.lower() in {"infinite", "unlimited", "-1", "0"}:
        return None
    found = _LIMIT.fullmatch(text)
    if found is None:
        raise InputError(f"{text!r} is no time limit of Slurm", hint="write minutes, hours:minutes:seconds or days-hours")
    part = {name: int(value) for name, value in found.groupdict(default="0").items()}
    if part["days"] > _LONGEST_DAYS:
        return None
    if found["days"] is not None:
        return timedelta(days=part["days"], hours=part["dh"], minutes=part["dm"], seconds=part["ds"])
    if found["s"] is not None:
        return timedelta(hours=part["first"], minutes=part["m"], seconds=part["s"])
    return timedelta(minutes=part["first"], seconds=part["m"])


def begin_option(start_at: datetime, zone: tzinfo) -> str:
    """--begin in the zone in which sbatch reads it, that of whoever calls it; exact where the clock shows a time twice."""
    local = start_at.astimezone(zone)
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return f"--begin=uts{int(start_at.timestamp())}" if twice else f"--begin={local:%Y-%m-%dT%H:%M:%S}"


def _directives(script: str) -> list[str]:
    """The words of the #SBATCH lines, which end at the first command."""
    words: list[str] = []
    for line in script.splitlines():
        if line.startswith("#SBATCH"):
            words += line.removeprefix("#SBATCH").partition(" #")[0].split()
        elif line.strip() and not line.startswith("#"):
            break
    return [word.strip("\"'") for word in words]


def _options(words: Iterable[str]) -> dict[str, str]:
    """Options with their values; the last of each counts, as for sbatch."""
    found: dict[str, str] = {}
    waiting = ""
    for word in words:
        name, equals, value = word.partition("=")
        if waiting:
            found[waiting], waiting = word, ""
        elif word[:2] in SHORT and not word.startswith("--"):
            found, waiting = _taken(found, SHORT[word[:2]], word[2:].removeprefix("="))
        elif name in ASKED_FOR:
            found, waiting = ({**found, name: value}, "") if equals or name in WITHOUT_VALUE else (found, name)
    return found


def _taken(found: dict[str, str], name: str, value: str) -> tuple[dict[str, str], str]:
    return ({**found, name: value}, "") if value else (found, name)
