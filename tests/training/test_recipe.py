"""Recipes: small files of data that read back as they were, and refuse to be anything else."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files

import pytest

from greenai.errors import InputError
from greenai.training.family import family_of
from greenai.training.recipe import SCHEMA, Recipe, load_recipe, packaged_recipe, packaged_recipes, save_recipe

RECIPE = Recipe(
    task="regression", family="lightgbm", params={"leaves": 4, "learning_rate": 0.3}, rows=500, float32=False, threads=2
)


def test_a_recipe_reads_back(tmp_path):
    save_recipe(replace(RECIPE, made={"by": "a test"}), tmp_path / "new" / "recipe.json")
    again = load_recipe(tmp_path / "new" / "recipe.json")
    assert again == replace(RECIPE, made={"by": "a test"})


@pytest.mark.parametrize("recipe", [RECIPE, *(one.recipe for one in packaged_recipes())])
def test_recipes_keep_to_their_schema(recipe):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((files("greenai.schemas") / "recipe.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(recipe.document(), schema)


def test_the_hash_is_of_what_it_does():
    assert replace(RECIPE, made={"by": "someone"}).sha256 == RECIPE.sha256
    assert replace(RECIPE, rows=501).sha256 != RECIPE.sha256


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": "greenai.recipe/9"}, "schema is not"),
        ({"task": "poetry"}, "task is one of"),
        ({"code": "import os"}, "unknown keys: code"),
        ({"family": 3}, "name of an estimator"),
        ({"params": [1]}, "names and values"),
        ({"params": {"leaves": [4]}}, "leaves is one number"),
        ({"params": {"l2": float("inf")}}, "l2 is one number"),
        ({"rows": 1.5}, "rows is a whole number"),
        ({"rows": True}, "rows is a whole number"),
        ({"rows": 0}, "from 1, not 0"),
        ({"threads": 0}, "from 1, not 0"),
        ({"float32": 1}, "float32 is true or false"),
        ({"made": "here"}, "made says where"),
    ],
)
def test_what_is_no_recipe_is_refused(change, problem, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(RECIPE.document() | change), encoding="utf-8")
    with pytest.raises(InputError, match=problem) as refused:
        load_recipe(path)
    assert "r.json" in str(refused.value)


@pytest.mark.parametrize(
    ("body", "problem"),
    [("[1, 2]", "schema"), ("not json", "not JSON"), ("\x00", "not JSON"), (" " * 70_000, "too large"), ("{}", "schema")],
)
def test_files_that_hold_no_recipe(body, problem, tmp_path):
    path = tmp_path / "r.json"
    path.write_text(body, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        load_recipe(path)


def test_a_missing_key_is_named(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"schema": SCHEMA, "task": "regression"}), encoding="utf-8")
    with pytest.raises(InputError, match="keys are missing: family, params"):
        load_recipe(tmp_path / "r.json")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load_recipe(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be written"):
        save_recipe(RECIPE, tmp_path / "file" / "r.json" if (tmp_path / "file").write_text("x") else tmp_path)


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("goal", ["best", "least"])
@pytest.mark.parametrize("rows", [20, 1200, 3001, 100_000, 10_000_000])
def test_every_size_has_a_packaged_recipe(task, goal, rows):
    recipe = packaged_recipe(task, rows, goal=goal)
    assert recipe.task == task
    family_of(recipe).complete(recipe.params)
    assert recipe.threads == 1


def test_more_rows_never_get_a_smaller_recipe():
    sizes = [one.up_to_rows for one in packaged_recipes() if one.goal == "best" and one.recipe.task == "regression"]
    assert sizes == [*sorted(size for size in sizes if size), None]


def test_an_unknown_goal_is_refused():
    with pytest.raises(InputError, match="no recipe is packaged"):
        packaged_recipe("regression", 100, goal="fast")
