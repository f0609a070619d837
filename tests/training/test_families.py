"""Every family learns, from gaps and texts too, and says the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from greenai import plugins
from greenai.errors import InputError
from greenai.training.arms import arm_of
from greenai.training.family import families, family_of
from greenai.training.linear import fit_logistic, fit_ridge, softmax
from greenai.training.reading import columns_of, table_of
from greenai.training.recipe import Recipe
from greenai.training.samples import sample
from greenai.training.table import Columns, Table, numbers

REGRESSORS = ("ridge", "hist", "lightgbm", "residual")
CLASSIFIERS = ("logistic", "hist", "lightgbm", "residual")


@pytest.fixture
def halves(mixed):
    columns, _ = columns_of(mixed.drop(columns="kind"), "y")
    table = table_of(mixed, columns)
    return table.rows(slice(300)), table.rows(slice(300, None)), mixed["y"].to_numpy(), (mixed["kind"] == "high").to_numpy(float)


def fitted(name, table, target, *, classes=0, seed=1, **params):
    task = "classification" if classes else "regression"
    return arm_of(Recipe(task=task, family=name, params=params), classes=classes).fit(table, target, seed)


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_learn_from_gaps_and_texts(name, halves):
    train, test, y, _ = halves
    error = np.abs(fitted(name, train, y[:300]).predict(test) - y[300:]).mean()
    assert error < 0.4 * np.abs(y[300:] - y[:300].mean()).mean()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_learn_from_gaps_and_texts(name, halves):
    train, test, _, high = halves
    chances = fitted(name, train, high[:300], classes=2).predict(test)
    assert chances.shape == (100, 2)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (chances.argmax(axis=1) == high[300:]).mean() > 0.85


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_three_classes(name):
    workload = sample("wine")
    split = workload.split(0)
    chances = fitted(name, split.train, split.train_target, classes=3).predict(split.test)
    assert (chances.argmax(axis=1) == split.judge_target).mean() > 0.85


@pytest.mark.parametrize("name", REGRESSORS)
def test_the_same_seed_says_the_same(name, halves):
    train, test, y, _ = halves
    first, again = (fitted(name, train, y[:300], seed=5).predict(test) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_table_of_texts_only(name, halves):
    train, test, y, _ = halves
    assert np.isfinite(fitted(name, train.only([], [0]), y[:300]).predict(test.only([], [0]))).all()


def test_linear_truth_needs_no_trees():
    split = sample("seedlin-1200").split(1)
    model = fitted("residual", split.train, split.train_target)
    assert model.trees.rounds == 0
    straight = fitted("ridge", split.train, split.train_target)
    np.testing.assert_allclose(model.predict(split.test), straight.predict(split.test))


def test_nonlinear_truth_keeps_them():
    split = sample("tab-1200").split(1)
    assert fitted("residual", split.train, split.train_target).trees.rounds >= 20


def test_too_few_rows_to_hold_any_out():
    split = sample("tab-100").split(1)
    model = fitted("lightgbm", split.train, split.train_target, rounds=15)
    assert model.trees.rounds == 15


def test_ridge_finds_a_truth_without_noise():
    rng = np.random.default_rng(0)
    features = rng.normal(3, [1, 100, 0.01], size=(200, 3))
    linear = fit_ridge(numbers(features, ("a", "b", "c")), features @ [1.0, -0.5, 20.0] + 7)
    np.testing.assert_allclose(linear.weights[:, 0], [1.0, -0.5, 20.0], rtol=1e-4)
    np.testing.assert_allclose(linear.bias, [7.0], rtol=1e-3)


def test_ridge_of_more_columns_than_rows():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 80))
    linear = fit_ridge(numbers(features, tuple(map(str, range(80)))), features[:, 0])
    assert np.isfinite(linear.weights).all()


def test_ridge_is_scikit_learns_with_a_penalty_as_good_as_any():
    linear_model, preprocessing = pytest.importorskip("sklearn.linear_model"), pytest.importorskip("sklearn.preprocessing")
    split = sample("diabetes").split(0)
    scaled = preprocessing.StandardScaler().fit(split.train.numeric)
    train, test = scaled.transform(split.train.numeric), scaled.transform(split.test.numeric)
    theirs = [
        linear_model.Ridge(alpha=penalty, solver="cholesky").fit(train, split.train_target).predict(test)
        for penalty in np.logspace(-6, 2, 17) * len(train)
    ]
    ours = fit_ridge(split.train, split.train_target).margins(split.test)[:, 0]
    chosen = int(np.argmin([np.abs(said - ours).max() for said in theirs]))
    np.testing.assert_allclose(ours, theirs[chosen], rtol=1e-8)
    errors = [np.abs(said - split.judge_target).mean() for said in theirs]
    assert errors[chosen] < 1.02 * min(errors)


def test_logistic_is_scikit_learns():
    linear_model, preprocessing = pytest.importorskip("sklearn.linear_model"), pytest.importorskip("sklearn.preprocessing")
    split = sample("wine").split(0)
    scaled = preprocessing.StandardScaler().fit(split.train.numeric)
    theirs = linear_model.LogisticRegression(max_iter=2000).fit(scaled.transform(split.train.numeric), split.train_target)
    ours = softmax(fit_logistic(split.train, split.train_target, classes=3).margins(split.test))
    np.testing.assert_allclose(ours, theirs.predict_proba(scaled.transform(split.test.numeric)), atol=5e-3)


def test_rows_are_sampled_before_anything_else(plant):
    split = sample("tab-1000").split(0)
    few = arm_of(Recipe(task="regression", family="ridge", rows=50), classes=0)
    assert (
        few.fit(split.train, split.train_target, 1).linear.weights != few.fit(split.train, split.train_target, 2).linear.weights
    ).any()
    all_rows = arm_of(Recipe(task="regression", family="ridge", rows=5000), classes=0)
    np.testing.assert_array_equal(
        all_rows.fit(split.train, split.train_target, 1).linear.weights,
        fit_ridge(split.train, split.train_target).weights,
    )


def test_feature_selection_keeps_half_and_what_matters():
    split = sample("seedlin-1200").split(0)
    arm = arm_of(Recipe(task="regression", family="ridge"), classes=0, feature_select=True)
    model = arm.fit(split.train, split.train_target, 1)
    assert len(model.chosen.numeric) == 6
    assert np.isfinite(model.predict(split.test)).all()


def test_feature_selection_of_few_columns_selects_nothing(halves):
    train, test, y, _ = halves
    arm = arm_of(Recipe(task="regression", family="ridge"), classes=0, feature_select=True)
    np.testing.assert_array_equal(arm.fit(train, y[:300], 1).predict(test), fitted("ridge", train, y[:300]).predict(test))


@pytest.mark.parametrize(
    ("recipe", "problem"),
    [
        (Recipe(task="regression", family="forest"), "no estimator named 'forest'"),
        (Recipe(task="regression", family="logistic"), "logistic does no regression"),
        (Recipe(task="regression", family="lightgbm", params={"depth": 3}), "no parameter depth"),
        (Recipe(task="regression", family="lightgbm", params={"leaves": "many"}), "leaves of lightgbm is like 8"),
        (Recipe(task="regression", family="lightgbm", params={"leaves": True}), "leaves of lightgbm is like 8"),
    ],
)
def test_recipes_that_cannot_be_trained(recipe, problem):
    with pytest.raises(InputError, match=problem):
        arm_of(recipe, classes=0)


def test_families_come_as_plug_ins():
    assert set(REGRESSORS) | set(CLASSIFIERS) <= set(plugins.names("greenai.estimators"))
    assert {family.name for family in families("regression")[0]} >= set(REGRESSORS)
    assert family_of(Recipe(task="regression", family="ridge")).title


def test_the_arms_hash_is_of_what_it_predicts():
    recipe = Recipe(task="regression", family="lightgbm", params={"leaves": 8})
    same = arm_of(replace(recipe, params={}, threads=2), classes=0)
    assert arm_of(recipe, classes=0).sha256 == same.sha256
    assert arm_of(recipe, classes=0, feature_select=True).sha256 != same.sha256


def test_missing_texts_are_no_noise_on_the_users_terminal(capfd):
    """LightGBM keeps its log level per thread: with two, it warned of each negative category, on stdout."""
    rng = np.random.default_rng(0)
    codes = rng.integers(-1, 3, size=(1200, 1)).astype(np.int32)
    columns = Columns(numeric=tuple("abcdef"), text=("colour",), levels=(("p", "q", "r"),))
    table = Table(columns=columns, numeric=rng.normal(size=(1200, 6)), codes=codes)
    arm = arm_of(Recipe(task="regression", family="lightgbm"), classes=0, threads=2)
    arm.fit(table, table.numeric[:, 0] + codes[:, 0], 1).predict(table)
    assert capfd.readouterr() == ("", "")
