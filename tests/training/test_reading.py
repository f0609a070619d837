"""A user's file: what is read, what is left out and said, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from greenai.errors import InputError
from greenai.training.reading import chunks, columns_of, read_frame, table_of, target_of
from greenai.training.workload import load

pandas = pytest.importorskip("pandas")


@pytest.fixture
def written(mixed, tmp_path):
    path = tmp_path / "data.csv"
    mixed.to_csv(path, index=False)
    return path


def test_a_wrong_target_is_refused_with_the_columns(written):
    with pytest.raises(InputError, match="no column GreenScore") as refused:
        load(written)
    assert "first, second, colour" in str(refused.value.hint)


def test_a_target_almost_right_is_guessed_at(written):
    with pytest.raises(InputError) as refused:
        load(written, "frist")
    assert "did you mean first?" in str(refused.value.hint)


def test_what_cannot_be_learned_from_is_left_out_and_said(written):
    workload = load(written, "y")
    assert workload.columns.numeric == ("first", "second")
    assert workload.columns.text == ("colour", "kind")
    said = " ".join(workload.notes)
    assert "column Id is left out: it only numbers the rows" in said
    assert "column prose is left out: text of 400 different values" in said
    assert "column same is left out: it says the same in every row" in said


def test_missing_cells_stay_missing(mixed):
    columns, _ = columns_of(mixed, "y")
    table = table_of(mixed, columns)
    assert np.isnan(table.numeric[::10, 1]).all()
    assert (table.codes[::17, 0] == -1).all()
    assert np.isfinite(table.numeric[:, 0]).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e200, -1e30])
def test_what_no_estimator_can_square_counts_as_missing(value, mixed):
    mixed.loc[3, "first"] = value
    assert np.isnan(table_of(mixed, columns_of(mixed, "y")[0]).numeric[3, 0])


def test_rows_without_a_target_are_left_out_and_said(mixed, tmp_path):
    mixed.loc[:4, "y"] = np.nan
    mixed.loc[5, "y"] = np.inf
    mixed.to_csv(tmp_path / "gaps.csv")
    workload = load(tmp_path / "gaps.csv", "y")
    assert workload.rows == 394
    assert "6 rows without a usable y were left out" in workload.notes
    assert any(note.startswith("column Unnamed: 0") for note in workload.notes)


@pytest.mark.parametrize("name", ["example_id", "ID", "row", "customer-id", "uuid"])
def test_ids_are_known_by_name_when_they_are_unique(name, mixed):
    frame = mixed.assign(**{name: np.random.default_rng(1).permutation(len(mixed))})
    assert name not in columns_of(frame, "y")[0].names


def test_a_repeating_id_is_a_feature(mixed):
    frame = mixed.assign(store_id=np.arange(len(mixed)) % 10)
    assert "store_id" in columns_of(frame, "y")[0].numeric


def test_a_running_number_is_no_feature_by_any_name(mixed):
    frame = mixed.assign(when=np.arange(len(mixed)) + 100)
    assert "when" not in columns_of(frame, "y")[0].names


def test_dates_are_left_out(mixed):
    frame = mixed.assign(day=pandas.date_range("2026-01-01", periods=len(mixed), freq="7h"))
    assert any("dates and spans" in note for note in columns_of(frame, "y")[1])


def test_parquet_gives_the_same_as_csv(mixed, written, tmp_path):
    pytest.importorskip("pyarrow")
    mixed.to_parquet(tmp_path / "data.parquet")
    from_csv, from_parquet = load(written, "y"), load(tmp_path / "data.parquet", "y")
    assert from_csv.columns == from_parquet.columns
    np.testing.assert_array_equal(from_csv.whole[0].numeric, from_parquet.whole[0].numeric)
    np.testing.assert_array_equal(from_csv.whole[0].codes, from_parquet.whole[0].codes)


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([0.5, 1.5, 2.5, 3.5], "regression", ()),
        (["b", "a", "b", "a"], "classification", ("a", "b")),
        ([True, False, True, False], "classification", ("False", "True")),
        ([0, 1, 1, 0], "classification", ("0", "1")),
        ([0, 1, 2, 0], "regression", ()),
    ],
)
def test_the_task_follows_from_the_target(values, task, classes):
    frame = pandas.DataFrame({"x": np.arange(40.0), "t": values * 10})
    _, target, _ = target_of(frame, "t")
    assert (target.task, target.classes) == (task, classes)


def test_a_named_task_wins():
    frame = pandas.DataFrame({"x": np.arange(40.0), "t": [0, 1, 2, 0] * 10})
    _, target, _ = target_of(frame, "t", task="classification")
    assert target.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("column", "task", "problem"),
    [
        (["x"] * 40, "auto", "same value in every row"),
        ([None] * 30 + [1.0] * 10, "auto", "10 rows have a t, too few"),
        ([f"word {place}" for place in range(60)], "auto", "60 different values, too many for classes"),
        (["one", "two"] * 20, "regression", "not all numbers: 40 of 40 cells are text, the first is 'one'"),
        ([*map(str, range(60)), "n/a?"], "auto", r"too many for classes \(1 of 61 cells are text, the first is 'n/a\?'\)"),
    ],
)
def test_targets_nothing_can_be_learned_from(column, task, problem):
    frame = pandas.DataFrame({"x": np.arange(float(len(column))), "t": column})
    with pytest.raises(InputError, match=problem):
        target_of(frame, "t", task=task)


def test_a_file_of_only_a_target_is_refused(tmp_path):
    pandas.DataFrame({"y": np.arange(40.0)}).to_csv(tmp_path / "y.csv", index=False)
    with pytest.raises(InputError, match="only the target"):
        load(tmp_path / "y.csv", "y")


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        ("a.csv", None, "cannot be read: No such file"),
        ("a.txt", b"x,y\n1,2\n", "neither CSV nor Parquet"),
        ("a.csv", b"", "not usable"),
        ("a.csv", b"x;y\n1,5;2\n", "separated by ';', not by commas"),
        ("a.csv", b"x\ty\n1\t2\n", "separated by a tab, not by commas"),
        ("a.tsv", b"x,y\n1,2\n", "separated by a comma, not by a tab"),
        ("a.csv", b"x,y\n1,2\n1,2,3,4\n", "not usable"),
        ("a.csv", b"x,y\n\xff\xfe,2\n", "not UTF-8"),
        ("a.parquet", b"not parquet", "not usable"),
    ],
)
def test_files_that_are_not_tables(name, body, problem, tmp_path):
    path = tmp_path / name
    if body is not None:
        path.write_bytes(body)
    with pytest.raises(InputError, match=problem):
        read_frame(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_chunks_are_bounded_and_lose_nothing(suffix, mixed, tmp_path):
    path = tmp_path / f"data.{suffix}"
    mixed.to_csv(path, index=False) if suffix == "csv" else mixed.to_parquet(path)
    parts = list(chunks(path, rows=150))
    assert [len(part) for part in parts] == [150, 150, 100]
    columns, _ = columns_of(mixed, "y")
    joined = np.vstack([table_of(part, columns).numeric for part in parts])
    np.testing.assert_allclose(joined, table_of(mixed, columns).numeric)


def test_another_table_must_have_the_same_columns(mixed):
    columns, _ = columns_of(mixed, "y")
    with pytest.raises(InputError, match="lacks first"):
        table_of(mixed.drop(columns="first"), columns)
    with pytest.raises(InputError, match="first is not all numbers"):
        table_of(mixed.assign(first="much"), columns)


def test_a_text_never_met_is_missing(mixed):
    columns, _ = columns_of(mixed, "y")
    table = table_of(mixed.assign(colour="mauve"), columns)
    assert (table.codes[:, 0] == -1).all()


def test_the_hash_is_the_files(written):
    import hashlib

    assert load(written, "y").sha256 == hashlib.sha256(written.read_bytes()).hexdigest()
