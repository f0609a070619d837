"""Splits: the same for the same seed, whole over a round of folds, honest about what the search has seen."""

from __future__ import annotations

import numpy as np
import pytest

from greenai.errors import InputError
from greenai.training.samples import JUDGE_ROWS, sample
from greenai.training.table import frame, numbers
from greenai.training.workload import FOLDS, of_table, to_search_and_confirm


def fixed(rows, *, task="regression"):
    rng = np.random.default_rng(0)
    target = np.arange(rows) % 3 if task == "classification" else rng.normal(size=rows)
    classes = ("a", "b", "c") if task == "classification" else ()
    table = numbers(rng.normal(size=(rows, 2)), ("a", "b"))
    return of_table(table, target.astype(float), name="fixed", task=task, target="y", classes=classes)


@pytest.mark.parametrize("workload", [fixed(101), sample("tab-100")], ids=["fixed", "generated"])
def test_a_seed_is_a_split(workload):
    first, again, other = workload.split(7), workload.split(7), workload.split(8)
    np.testing.assert_array_equal(first.train.numeric, again.train.numeric)
    np.testing.assert_array_equal(first.judge_target, again.judge_target)
    assert first.train.numeric.shape != other.train.numeric.shape or (first.train.numeric != other.train.numeric).any()


def test_a_round_of_folds_judges_every_row_once():
    workload = fixed(103)
    judged = np.concatenate([workload.split(10 + fold).judge_rows for fold in range(FOLDS)])
    assert sorted(judged) == list(range(103))


def test_train_and_test_share_no_row():
    workload = fixed(60)
    split = workload.split(3)
    everything = {tuple(row) for row in workload.whole[0].numeric}
    train, test = ({tuple(row) for row in part.numeric} for part in (split.train, split.test))
    assert not train & test
    assert train | test == everything


def test_classes_keep_their_shares():
    split = fixed(60, task="classification").split(2)
    assert np.bincount(split.judge_target.astype(int)).tolist() == [4, 4, 4]


def test_generated_data_is_judged_on_rows_nobody_trained_on():
    split = sample("tab-100").split(0)
    assert (len(split.train), len(split.test), len(split.judge)) == (80, 20, JUDGE_ROWS)
    assert split.judge_rows is None


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="not -1"):
        fixed(40).split(-1)


def test_a_metric_of_another_task_is_refused():
    with pytest.raises(InputError, match="'log_loss' is no metric of regression"):
        sample("tab-100", metric="log_loss")


def test_the_confirmation_is_judged_on_rows_the_search_never_saw():
    workload = fixed(2000)
    search, confirm, said = to_search_and_confirm(workload)
    seen = {tuple(row) for fold in range(FOLDS) for part in _parts(search.split(fold)) for row in part.numeric}
    judged = [tuple(row) for fold in range(FOLDS) for row in confirm.split(fold).judge.numeric]
    assert len(seen) == 1400
    assert len(judged) == len(set(judged)) == 600
    assert not seen & set(judged)
    assert "never saw" in said


def _parts(split):
    return split.train, split.test


@pytest.mark.parametrize("workload", [fixed(100), sample("tab-100")], ids=["few", "generated"])
def test_few_or_fresh_rows_are_not_held_out(workload):
    search, confirm, said = to_search_and_confirm(workload)
    assert search is confirm is workload
    assert "fresh" in said


@pytest.mark.parametrize("name", ["tab", "tab-", "tab-10", "tab-99999999", "nothing-100", "iris", ""])
def test_samples_nobody_packed(name):
    with pytest.raises(InputError, match="no sample named") as refused:
        sample(name)
    assert "diabetes" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("name", "rows", "task"),
    [("diabetes", 442, "regression"), ("wine", 178, "classification"), ("seedlin-200", 200, "regression")],
)
def test_samples(name, rows, task):
    workload = sample(name)
    assert (workload.rows, workload.task, workload.name) == (rows, task, name)
    assert len(workload.sha256) == 64


def test_seedlin_is_the_prototypes_fallback():
    datasets = pytest.importorskip("sklearn.datasets")
    features, target = datasets.make_regression(n_samples=150 + JUDGE_ROWS, n_features=12, noise=5.0, random_state=42)
    split = sample("seedlin-150").split(42)
    np.testing.assert_array_equal(split.train.numeric, features[:120])
    np.testing.assert_array_equal(split.train_target, target[:120])


def test_a_frame_shows_texts_as_text(mixed, tmp_path):
    from greenai.training.reading import columns_of, table_of

    columns, _ = columns_of(mixed, "y")
    shown = frame(table_of(mixed, columns))
    assert list(shown.columns) == ["first", "second", "colour", "kind"]
    assert shown["colour"].isna().tolist() == mixed["colour"].isna().tolist()
    assert shown["colour"].dropna().tolist() == mixed["colour"].dropna().tolist()
