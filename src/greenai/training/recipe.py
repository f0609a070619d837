"""A recipe: how to train, as a few plain values in a small JSON file. Data, never code."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from greenai.errors import InputError
from greenai.model.evidence import canonical, sha256_of
from greenai.training.losses import ROW_LOSSES, Task

SCHEMA = "greenai.recipe/1"
"""The first field of every recipe file."""

PACKAGED_SCHEMA = "greenai.recipes/1"

Scalar = int | float | bool | str
Goal = Literal["best", "least"]
"""Of the packaged recipes: "best" matches the strongest model of the prototype, "least" the baseline at the least energy."""

_LARGEST_FILE = 65_536
_SAVE_ONE = "save a recipe with: greenai optimize --out recipe.json"
_REQUIRED = {"schema", "task", "family", "params"}
_KNOWN = _REQUIRED | {"rows", "float32", "threads", "made"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to train.

    `family` names an estimator of the entry-point group greenai.estimators,
    `params` its parameters; `rows` the most rows it is fitted on, a random sample
    if there are more (None: all); `float32` halves the width of the features;
    `threads` is how many may work. `made` says where the recipe came from.
    """

    task: Task
    family: str
    params: Mapping[str, Scalar] = field(default_factory=lambda: MappingProxyType({}))
    rows: int | None = None
    float32: bool = True
    threads: int = 1
    made: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.rows is not None and self.rows < 1:
            raise InputError(f"a recipe's rows are a whole number from 1, not {self.rows}")
        if self.threads < 1:
            raise InputError(f"a recipe's threads are a whole number from 1, not {self.threads}")

    def document(self) -> dict[str, Any]:
        """The recipe as it is saved."""
        return {**self._essence(), "made": dict(self.made)}

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of what it does, whoever made it."""
        return sha256_of(canonical(self._essence()))

    def _essence(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "task": self.task,
            "family": self.family,
            "params": dict(self.params),
            "rows": self.rows,
            "float32": self.float32,
            "threads": self.threads,
        }


def save_recipe(recipe: Recipe, path: str | Path) -> None:
    """Write a recipe as JSON; the directory is made if need be.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(recipe.document(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"the recipe cannot be written to {path}: {error.strerror}") from None


def load_recipe(path: str | Path) -> Recipe:
    """The recipe of a file.

    Raises:
        InputError: no such file, or it is not a recipe (with what is wrong).
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            body = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"the recipe {path} cannot be read: {error.strerror}") from None
    if len(body) > _LARGEST_FILE:
        raise InputError(f"{path} is too large to be a recipe", hint=_SAVE_ONE)
    try:
        document = json.loads(body)
    except ValueError:
        raise InputError(f"{path} is not JSON", hint=_SAVE_ONE) from None
    try:
        return recipe_of(document)
    except InputError as error:
        raise InputError(f"{path} is not a usable recipe: {error}", hint=error.hint) from None


def recipe_of(document: object) -> Recipe:
    """A recipe from its plain data; nothing unknown is passed over.

    Raises:
        InputError: with what is wrong.
    """
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(f"its schema is not {SCHEMA!r}")
    if unknown := sorted(set(document) - _KNOWN):
        raise InputError(f"unknown keys: {', '.join(unknown)}", hint=f"known: {', '.join(sorted(_KNOWN))}")
    if missing := sorted(_REQUIRED - set(document)):
        raise InputError(f"keys are missing: {', '.join(missing)}")
    tasks = {task for task, _ in ROW_LOSSES.values()}
    if document["task"] not in tasks:
        raise InputError(f"task is one of {', '.join(sorted(tasks))}, not {document['task']!r}")
    return Recipe(
        task=document["task"],
        family=_text(document["family"]),
        params=MappingProxyType(_params(document["params"])),
        rows=_whole(document, "rows") if document.get("rows") is not None else None,
        float32=_flag(document, "float32"),
        threads=_whole(document, "threads") if "threads" in document else 1,
        made=MappingProxyType(_made(document.get("made", {}))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedRecipe:
    """A recipe that comes with greenai: for a goal and for tables of up to `up_to_rows` rows (None: any larger)."""

    goal: Goal
    up_to_rows: int | None
    recipe: Recipe


def packaged_recipe(task: Task, rows: int, *, goal: Goal = "best") -> Recipe:
    """The packaged recipe for a task and the rows of its table.

    Raises:
        InputError: there is none for that goal.
    """
    fitting = [
        packaged
        for packaged in packaged_recipes()
        if packaged.goal == goal and packaged.recipe.task == task and (packaged.up_to_rows is None or rows <= packaged.up_to_rows)
    ]
    if not fitting:
        raise InputError(f"no recipe is packaged for the goal {goal!r} of {task}", hint="goals: best, least")
    return min(fitting, key=lambda packaged: packaged.up_to_rows or math.inf).recipe


@cache
def packaged_recipes() -> tuple[PackagedRecipe, ...]:
    """All that come with greenai."""
    return tuple(
        PackagedRecipe(goal=entry["goal"], up_to_rows=entry["up_to_rows"], recipe=recipe_of(entry["recipe"]))
        for entry in packaged_document()["recipes"]
    )


@cache
def packaged_document() -> dict[str, Any]:
    """The packaged file of recipes and of verdicts reached on the packaged samples."""
    document: dict[str, Any] = json.loads(files("greenai.facts").joinpath("recipes.json").read_text(encoding="utf-8"))
    return document


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"family is the name of an estimator, not {value!r}")
    return value


def _params(value: object) -> dict[str, Scalar]:
    if not isinstance(value, dict):
        raise InputError(f"params are names and values, not {value!r}")
    for name, setting in value.items():
        finite = not isinstance(setting, float) or math.isfinite(setting)
        if not isinstance(setting, int | float | bool | str) or not finite:
            raise InputError(f"the parameter {name} is one number, word or truth value, not {setting!r}")
    return value


def _whole(document: Mapping[str, Any], key: str) -> int:
    value = document[key]
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{key} is a whole number, not {value!r}")
    return value


def _flag(document: Mapping[str, Any], key: str) -> bool:
    value = document.get(key, True)
    if not isinstance(value, bool):
        raise InputError(f"{key} is true or false, not {value!r}")
    return value


def _made(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"made says where the recipe came from, by name; not {value!r}")
    return value
