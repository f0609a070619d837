"""XGBoost, LightGBM and scikit-learn resume to the bit where they are said to, and are refused where they would not."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from tests.integrations.harness import Runner, different

from greenai import Paused
from greenai.errors import InputError
from greenai.integrations.sklearn import fit_in_chunks

BOOSTERS = {
    "xgboost": ("subsample=0.5", "colsample_bytree=0.5", "colsample_bylevel=0.5", "colsample_bynode=0.5", "booster=dart"),
    "lightgbm": ("feature_fraction=0.5", "bagging_fraction=0.5", "data_sample_strategy=goss", "boosting=dart"),
}
ALSO = {"bagging_fraction=0.5": ("bagging_freq=1",), "booster=dart": ("rate_drop=0.5",), "boosting=dart": ("drop_rate=0.5",)}
"""Without these the sampling would not take place in so few rounds."""
SAMPLED = [(name, word) for name, words in BOOSTERS.items() for word in words]
ESTIMATORS = {"forest": True, "trees": True, "bagging": True, "boosting": True, "hist": True, "sgd": False, "mlp": False}
"""Whether the chunks are also equal to a plain fit."""


def runner_of(name, tmp_path, module=None):
    if find_spec(name) is None:
        pytest.skip(f"NOT TESTED: {name} is not installed")
    return Runner(f"with_{name}.py", module or name, tmp_path)


def last_line(leg):
    """What a program that was refused said last; not a step was done."""
    assert (leg.code, leg.steps) == (1, []), leg.said
    return leg.said.rstrip().splitlines()[-1]


@pytest.mark.parametrize("name", BOOSTERS)
def test_a_booster_resumes_to_the_bit(name, tmp_path):
    runner = runner_of(name, tmp_path)
    runner.check_exact(pauses=(3, 11))
    assert runner.progress() == 1.0


@pytest.mark.parametrize(("name", "word"), SAMPLED)
def test_sampling_is_refused_before_a_round_is_spent(name, word, tmp_path):
    said = last_line(runner_of(name, tmp_path).leg(word))
    assert "draws other random numbers" in said
    assert "exact=False" in said


@pytest.mark.parametrize(("name", "word"), SAMPLED)
def test_an_equivalent_training_goes_on_when_asked_for(name, word, tmp_path):
    runner = runner_of(name, tmp_path)
    words = (word, *ALSO.get(word, ()), "equivalent")
    whole = runner.whole(*words)
    legs = runner.paused(*words, pauses=(3,))
    assert [step for leg in legs for step in leg.steps] == whole.steps
    assert different(whole, legs[-1]) == ["predicted"], "if it is exact now, say so in the docs"


@pytest.mark.parametrize(("name", "word"), [("xgboost", "stops"), ("lightgbm", "early_stopping_round=3")])
def test_early_stopping_is_refused(name, word, tmp_path):
    assert "early stopping forgets" in last_line(runner_of(name, tmp_path).leg(word))


@pytest.mark.parametrize(("name", "like_plain"), ESTIMATORS.items())
def test_estimators_resume_to_the_bit(name, like_plain, tmp_path):
    runner = runner_of("sklearn", tmp_path, "sklearn.ensemble")
    runner.check_exact(name, pauses=(1, 3), beside=(name, "plain") if like_plain else None)
    assert runner.progress() == 1.0


@pytest.fixture
def can_be_paused(monkeypatch, tmp_path):
    monkeypatch.setenv("GREENAI_PAUSE_FILE", str(tmp_path / "pause"))
    monkeypatch.setenv("GREENAI_CHECKPOINT_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda sk: sk.linear_model.LogisticRegression(), "LogisticRegression cannot be fitted in chunks"),
        (lambda sk: sk.ensemble.RandomForestClassifier(), "without an integer random_state"),
        (lambda sk: sk.ensemble.HistGradientBoostingClassifier(random_state=1), "early stopping forgets"),
        (lambda sk: sk.ensemble.GradientBoostingClassifier(random_state=1, n_iter_no_change=3), "early stopping forgets"),
    ],
)
@pytest.mark.usefixtures("can_be_paused")
def test_what_cannot_be_resumed_is_refused(make, sentence):
    with pytest.raises(InputError, match=sentence):
        fit_in_chunks(make(pytest.importorskip("sklearn")), [[0.0], [1.0]], [0, 1])


@pytest.mark.usefixtures("can_be_paused")
def test_a_checkpoint_of_other_data_is_not_gone_on_with(tmp_path):
    ensemble = pytest.importorskip("sklearn.ensemble", reason="NOT TESTED: scikit-learn is not installed")
    forest = ensemble.RandomForestClassifier(4, random_state=1)
    (tmp_path / "pause").touch()
    with pytest.raises(Paused):
        fit_in_chunks(forest, [[0.0], [1.0]], [0, 1], step=2)
    assert not hasattr(forest, "estimators_")
    (tmp_path / "pause").unlink()
    with pytest.raises(InputError, match="other data or settings"):
        fit_in_chunks(forest, [[0.0], [2.0]], [0, 1], step=2)
    assert len(fit_in_chunks(forest, [[0.0], [1.0]], [0, 1], step=2).estimators_) == 4
