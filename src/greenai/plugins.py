"""Plug-ins: objects that installed packages, greenai among them, name under an entry-point group.

Nothing is imported until it is asked for by name. A plug-in that cannot be
loaded is named with its reason and skipped: it never takes the rest down.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, wraps
from importlib.metadata import Distribution, EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from greenai.errors import GreenaiError, InputError

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "greenai.policies": "policy",
        "greenai.providers": "provider",
        "greenai.meters": "meter",
        "greenai.forecasters": "forecaster",
        "greenai.executors": "executor",
        "greenai.listeners": "listener",
        "greenai.estimators": "estimator",
    }
)
"""The entry-point groups, each with what one member of it is called."""

_OWN = "greenai"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One entry point as `greenai plugins` lists it; `problem` is empty when it loads."""

    group: str
    name: str
    target: str
    distribution: str
    version: str
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether it can be used."""
        return not self.problem


def names(group: str) -> tuple[str, ...]:
    """The names registered under a group, sorted; loads nothing.

    Raises:
        InputError: greenai has no such group.
    """
    return tuple(sorted(_points(group)))


def load(group: str, name: str) -> Any:
    """The object a plug-in's entry point names.

    Raises:
        InputError: no such plug-in (with the closest name), or it cannot be loaded (with the reason).
    """
    points = _points(group)
    if name not in points:
        raise InputError(f"there is no {GROUPS[group]} named {name!r}", hint=_suggestion(name, tuple(sorted(points))))
    return _loaded(points[name])


def guarded(function: Callable[..., Any], called: str) -> Callable[..., Any]:
    """The same, with whatever the code of others raises told as one sentence that names it; `called`: what it is."""

    @wraps(function)
    def asked(*known: Any, **more: Any) -> Any:
        try:
            return function(*known, **more)
        except GreenaiError:
            raise
        except Exception as error:
            raise InputError(
                f"{called} failed: {type(error).__name__}: {error}", hint="tell its author, or use another"
            ) from error

    return asked


def load_all(group: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Every plug-in of a group: those that load by name, and the reasons of those that do not."""
    loaded: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, point in sorted(_points(group).items()):
        try:
            loaded[name] = _loaded(point)
        except InputError as error:
            problems[name] = str(error)
    return loaded, problems


def plugins() -> tuple[Plugin, ...]:
    """Every entry point of every group, each one loaded to see whether it can be."""
    taken = {group: _points(group) for group in GROUPS}
    return tuple(_described(point, taken=taken[group][point.name]) for group in GROUPS for point in sorted(_known(group)))


def _described(point: EntryPoint, *, taken: EntryPoint) -> Plugin:
    return Plugin(
        group=point.group,
        name=point.name,
        target=point.value,
        distribution=_distribution(point),
        version=point.dist.version if point.dist else "",
        problem=_problem(point) if point == taken else f"hidden by the one of the same name from {_distribution(taken)}",
    )


def _problem(point: EntryPoint) -> str:
    try:
        _loaded(point)
    except InputError as error:
        return str(error)
    return ""


def _points(group: str) -> dict[str, EntryPoint]:
    """Entry points by name. Of two with one name greenai's own wins: no package can replace a built-in unnoticed."""
    if group not in GROUPS:
        raise InputError(f"there is no plug-in group {group!r}", hint=_suggestion(group, tuple(GROUPS)))
    points = sorted(_known(group), key=lambda point: (_distribution(point) == _OWN, _distribution(point)))
    return {point.name: point for point in points}


def _known(group: str) -> tuple[EntryPoint, ...]:
    return tuple(point for point in _installed(tuple(sys.path)) if point.group == group)


@lru_cache(maxsize=1)
def _installed(_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Of all packages on this path. Reading them takes 10 ms, and a plan of 100 jobs asks 100 times for its policy."""
    found = entry_points()
    return tuple(point for group in GROUPS for point in found.select(group=group))


def _distribution(point: EntryPoint) -> str:
    return _name_of(point.dist) if point.dist else "?"


@lru_cache(maxsize=64)
def _name_of(distribution: Distribution) -> str:
    """Reading a name parses the whole METADATA, README included; all entry points of a package share it."""
    return distribution.name


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        # A module may raise anything when imported: whatever it is becomes one sentence naming the culprit.
        kind, package = GROUPS[point.group], _distribution(point)
        raise InputError(
            f"the {kind} {point.name!r} of {package} cannot be loaded: {type(error).__name__}: {error}",
            hint=f"reinstall or remove the package {package}, or choose another {kind}",
        ) from error


def _suggestion(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    listed = "known: " + ", ".join(known) if known else "none is installed"
    return f"did you mean {close[0]!r}? {listed}" if close else listed
