"""Nouns are frozen, slotted, keyword-only records, and every float among their fields names its unit."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re

import pytest

UNITS = ("_g_per_kwh", "_g_per_kw", "_l_per_kwh", "_kwh", "_wh", "_g", "_j", "_w", "_l", "_s", "_h", "_c", "_degrees")
WITHOUT_UNIT = ("_ratio", "_share", "_saving", "_percent")
"""Endings of pure numbers that say what they are a share of."""
PURE_NUMBERS = {"pue", "count", "percentile", "saving", "demands"}
"""Numbers without a unit, and demands, whose keys name theirs (gpus, cpus, memory_gb)."""
HOLDERS = {"Estimate": {"value", "low", "high"}, "IntensitySeries": {"values"}}
"""Records whose unit is named by the field that holds them, or fixed by their docstring."""


def holds_float(annotation: str) -> bool:
    """Whether a field of this annotation is made of floats: float, float | None, tuple[float, ...], FloatArray, Estimate."""
    return bool(re.search(r"\b(float|FloatArray|Estimate)\b", annotation))


def names_its_unit(name: str) -> bool:
    """Whether the field's name says what the number is in."""
    bare = name.lstrip("_")
    return bare in PURE_NUMBERS or f"_{bare}".endswith(UNITS + WITHOUT_UNIT)


def records_of(module) -> list[type]:
    """The dataclasses a module defines."""
    loaded = importlib.import_module(module.dotted)
    classes = [value for _, value in inspect.getmembers(loaded, inspect.isclass) if value.__module__ == module.dotted]
    return [value for value in classes if dataclasses.is_dataclass(value)]


def dataclass_options(node: ast.ClassDef) -> set[str] | None:
    """The options set True in a class's @dataclass(...); None if it is no dataclass."""
    for decorator in node.decorator_list:
        if ast.unparse(decorator).split("(")[0].endswith("dataclass"):
            keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
            return {word.arg for word in keywords if ast.unparse(word.value) == "True"}
    return None


def test_records_are_frozen_slotted_and_keyword_only(module):
    if module.room not in {"model", "logic", "engine"}:
        return
    for node in ast.walk(module.tree):
        options = dataclass_options(node) if isinstance(node, ast.ClassDef) else None
        if options is not None:
            missing = {"frozen", "slots", "kw_only"} - options
            assert not missing, f"{module.place}: {node.name} is not {sorted(missing)}"


def test_every_float_names_its_unit(module):
    if module.room != "model":
        return
    for record in records_of(module):
        free = HOLDERS.get(record.__name__, set())
        floats = [field.name for field in dataclasses.fields(record) if holds_float(str(field.type))]
        unnamed = [name for name in floats if name not in free and not names_its_unit(name)]
        assert not unnamed, f"{record.__qualname__}: {unnamed} name no unit"


def test_the_model_has_no_records_outside_dataclasses(module):
    """A noun that is a plain class with an __init__ escapes the rules above."""
    if module.room != "model":
        return
    classes = [node for node in module.tree.body if isinstance(node, ast.ClassDef)]
    plain = [
        node.name for node in classes if any(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in node.body)
    ]
    assert not plain, f"{module.place}: {plain}"


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("expected_g_per_kwh", True),
        ("_cumulative_g_h", True),
        ("low_ratio", True),
        ("power", False),
        ("kg", False),
        ("pue", True),
    ],
)
def test_the_unit_rule(name, named):
    assert names_its_unit(name) is named


@pytest.mark.parametrize(
    ("annotation", "held"),
    [("float", True), ("float | None", True), ("Mapping[str, float]", True), ("Estimate | None", True), ("str", False)],
)
def test_the_float_rule(annotation, held):
    assert holds_float(annotation) is held
