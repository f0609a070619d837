"""The prototype's baseline with its preprocessing, and the user's own by MODULE:FACTORY."""

from __future__ import annotations

import numpy as np
import pytest

from greenai.errors import InputError
from greenai.training.baseline import own_baseline, prototype_baseline
from greenai.training.reading import columns_of, table_of
from greenai.training.samples import sample

MODULE = """
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

def plain(): return Ridge()
def pipe(): return make_pipeline(make_column_transformer((OneHotEncoder(), ["colour"])), DummyRegressor())
def classes(): return DummyClassifier(strategy="prior")
def hard(): return RidgeClassifier()
def words(): return make_pipeline(Ridge())
def broken(): raise RuntimeError("not today")
class Duck:
    # Fit and predict, and nothing else of scikit-learn's.
    def __init__(self, problem=""): self.problem = problem
    def fit(self, features, target):
        if self.problem == "fit": raise KeyError("no such thing")
        self.mean = float("nan") if self.problem == "nan" else float(target.mean())
        return self
    def predict(self, features):
        if self.problem == "predict": raise ZeroDivisionError("over")
        return [self.mean] * (len(features) - (self.problem == "short"))
def duck(): return Duck()
def raises_in_fit(): return Duck("fit")
def raises_in_predict(): return Duck("predict")
def predicts_nan(): return Duck("nan")
def predicts_too_few(): return Duck("short")
def nothing(): return 3
value = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch, request):
    name = f"own_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return name


@pytest.fixture
def rows(mixed):
    return table_of(mixed, columns_of(mixed.drop(columns="kind"), "y")[0]), mixed["y"].to_numpy()


def test_the_prototypes_baseline_is_its_gradient_boosting():
    ensemble = pytest.importorskip("sklearn.ensemble")
    split = sample("tab-300").split(0)
    theirs = ensemble.GradientBoostingRegressor(n_estimators=100, learning_rate=0.1, max_depth=3, random_state=9)
    mean, spread = split.train.numeric.mean(axis=0), split.train.numeric.std(axis=0)
    theirs.fit((split.train.numeric - mean) / spread, split.train_target)
    ours = prototype_baseline(classes=0).fit(split.train, split.train_target, 9).predict(split.test)
    np.testing.assert_allclose(ours, theirs.predict((split.test.numeric - mean) / spread))


def test_it_takes_gaps_texts_and_texts_never_met(rows):
    table, y = rows
    table.codes[300:310] = -1
    said = prototype_baseline(classes=0).fit(table.rows(slice(300)), y[:300], 1).predict(table.rows(slice(300, None)))
    assert np.isfinite(said).all()


def test_gaps_only_in_the_rows_to_predict(rows):
    table, y = rows
    whole = table.rows(np.flatnonzero(~np.isnan(table.numeric).any(axis=1)))
    model = prototype_baseline(classes=0).fit(whole, y[: len(whole)], 1)
    assert np.isfinite(model.predict(table)).all()


def test_a_table_of_texts_only(rows):
    table, y = rows
    texts = table.only([], [0])
    assert np.isfinite(prototype_baseline(classes=0).fit(texts, y, 1).predict(texts)).all()


def test_a_class_absent_from_training_has_no_chance():
    split = sample("wine").split(0)
    kept = split.train_target < 2
    model = prototype_baseline(classes=3).fit(split.train.rows(np.flatnonzero(kept)), split.train_target[kept], 1)
    assert (model.predict(split.test)[:, 2] == 0).all()


@pytest.mark.parametrize("factory", ["plain", "pipe", "duck"])
def test_the_users_own_regressor(factory, module, rows):
    table, y = rows
    arm = own_baseline(f"{module}:{factory}", classes=0)
    assert arm.fit(table, y, 1).predict(table).shape == (400,)
    assert arm.described["estimator"].partition(".")[0] in {"sklearn", module}


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("raises_in_fit", "cannot learn from this table: KeyError: 'no such thing'"),
        ("raises_in_predict", "cannot predict: ZeroDivisionError: over"),
        ("predicts_nan", "predicts something else than a number for each row"),
        ("predicts_too_few", "predicts something else than a number for each row"),
    ],
)
def test_what_the_users_estimator_raises_is_no_defect_of_ours(factory, said, module, rows):
    table, y = rows
    with pytest.raises(InputError, match=rf"the baseline {module}\.Duck {said}"):
        own_baseline(f"{module}:{factory}", classes=0).fit(table, y, 1).predict(table)


def test_an_estimator_that_cannot_take_the_table_is_one_sentence(module, rows):
    table, y = rows
    with pytest.raises(InputError, match=r"Pipeline cannot learn from this table: ValueError: could not convert"):
        own_baseline(f"{module}:words", classes=0).fit(table, y, 1)


@pytest.mark.parametrize("factory", ["classes", "hard"])
def test_the_users_own_classifier(factory, module):
    split = sample("wine").split(0)
    chances = own_baseline(f"{module}:{factory}", classes=3).fit(split.train, split.train_target, 1).predict(split.test)
    np.testing.assert_allclose(chances.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("plain", "not MODULE:FACTORY"),
        ("no_such_module:make", "cannot be imported"),
        ("{module}:absent", "has no absent"),
        ("{module}:value", "not callable"),
        ("{module}:broken", r"broken\(\) failed: RuntimeError: not today"),
        ("{module}:nothing", "returned a int, which has no fit"),
    ],
)
def test_what_is_no_baseline_is_refused(name, problem, module):
    with pytest.raises(InputError, match=problem):
        own_baseline(name.format(module=module), classes=0)
