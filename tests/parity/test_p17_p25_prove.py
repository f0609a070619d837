"""Parity with the prototype, P17 to P21, P23 to P25, P27: experiment, predict, library, report, notebook."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from tests.cli.test_schemas import check
from tests.parity.conftest import CSV, ROOT, SMALL, Cli, Write, rows_of

from greenai import api
from greenai.scheduler import should_run

for needed in ("lightgbm", "sklearn", "optuna", "matplotlib"):
    pytest.importorskip(needed)


def test_p17_an_experiment_of_pairs(cli: Cli, table):
    done = cli("experiment", "--runs", "6", *SMALL, *CSV, "--plots", "artifacts/", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    check(document, "experiment")
    rows = rows_of()
    assert [row["pair_id"] for row in rows] == ["1", "1", "2", "2", "3", "3"]
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert {first["phase"], second["phase"]} == {"baseline", "optimized"}
        assert first["seed"] == second["seed"]
        assert (first["position"], second["position"]) == ("1", "2")
    assert Path("artifacts/energy_co2_bars.png").read_bytes().startswith(b"\x89PNG")
    assert {"mean", "median", "low", "high"} <= set(document["energy_j"]["difference"])
    assert cli("evidence", "verify", "artifacts/evidence.csv").code == 0


def test_p17_no_runs_are_refused_in_words(cli: Cli, table):
    done = cli("experiment", "--runs", "0", *SMALL, *CSV)
    assert done.code == 2
    assert "0 runs compare nothing" in done.err
    assert not Path("artifacts/evidence.csv").exists()


def test_p17_one_pair_is_run_and_reported_and_nothing_concluded(cli: Cli, table):
    done = cli("experiment", "--runs", "1", *SMALL, *CSV, "--plots", "artifacts/", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    check(document, "experiment")
    assert len(rows_of()) == 2
    assert document["energy_j"]["conclusion"] == "none"
    assert document["energy_j"]["difference"]["low"] is None
    said = cli("experiment", "--runs", "2", *SMALL, *CSV)
    assert said.out.startswith("No conclusion on energy: one pair is too few for an interval; about 2 pairs would tell")
    assert cli("report", "--out", "made").code == 0


def test_p18_the_same_seed_gives_the_same_error_and_the_flags_are_in_the_row(cli: Cli, table):
    words = ("run", "--mode", "optimized", *SMALL, *CSV, "--n-jobs", "1", "--seed", "7", "--feature-select")
    assert cli(*words).code == 0
    assert cli(*words).code == 0
    first, second = rows_of()
    assert first["quality_metric_value"] == second["quality_metric_value"]
    assert (first["n_jobs"], first["seed"], first["feature_select"]) == ("1", "7", "true")


def test_p19_a_missing_target_is_refused_with_the_columns_and_gaps_are_no_trouble(cli: Cli, table, write_table: Write):
    write_table("x.csv", 200, target=None)
    done = cli("run", "--mode", "baseline", "--data-csv", "x.csv", *CSV)
    assert done.code == 2
    assert "there is no column GreenScore to predict" in done.err
    assert "example_id, a, b, town" in done.err
    write_table("y.csv", 200)
    assert cli("run", "--mode", "baseline", "--data-csv", "y.csv", *CSV).code == 0
    assert rows_of()[0]["dataset"] == "y.csv"


@pytest.mark.parametrize(("id_column", "first"), [("example_id", "0000"), ("Id", "0000"), (None, "ROW000000")])
def test_p20_predict_keeps_ids_and_reports_energy(cli: Cli, write_table: Write, id_column: str | None, first: str):
    write_table("t.csv", 300, id_column=id_column)
    write_table("s.csv", 70, target=None, id_column=id_column, seed=2)
    done = cli("predict", "--mode", "baseline", "--train-csv", "t.csv", "--test-csv", "s.csv", "--out", "sub/sub.csv")
    assert done.code == 0, done.err
    assert "energy" in done.out
    with Path("sub/sub.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["Id", "GreenScore"]
    assert len(rows) == 70
    assert rows[0][0] == first
    assert all(abs(float(value)) < 50 for _, value in rows)


def test_p20_another_target_names_the_column_and_json_keeps_to_its_schema(cli: Cli, write_table: Write):
    write_table("t.csv", 300, target="price")
    write_table("s.csv", 30, target=None)
    done = cli(
        *("predict", "--mode", "optimized", "--train-csv", "t.csv", "--test-csv", "s.csv"),
        *("--target-col", "price", "--out", "sub.csv", "--json"),
    )
    assert done.code == 0, done.err
    check(json.loads(done.out), "predict")
    assert Path("sub.csv").read_text(encoding="utf-8").startswith("Id,price\n")


def test_p21_an_absent_target_is_an_error_and_writes_nothing(cli: Cli, write_table: Write):
    write_table("t.csv", 100)
    write_table("s.csv", 10, target=None)
    words = ("predict", "--mode", "optimized", "--train-csv", "t.csv", "--test-csv", "s.csv", "--out", "sub.csv")
    done = cli(*words, "--target-col", "foo")
    assert done.code == 2
    assert "there is no column foo to predict" in done.err
    Path("s.csv").write_text("example_id,a\n1,2\n", encoding="utf-8")
    done = cli(*words)
    assert done.code == 2
    assert "lacks" in done.err
    assert not Path("sub.csv").exists()


def test_p23_the_two_old_doors(grid, monkeypatch):
    from greenai.pipeline import train_and_eval

    answer, decision = should_run(threshold_gco2_per_kwh=200)
    assert answer is (decision["carbon_intensity"] < 200)
    assert {"timestamp_utc", "region", "carbon_intensity", "threshold"} <= set(decision)
    done = json.loads(json.dumps(train_and_eval("baseline")))
    assert 0 < done["mae"] < 1
    assert done["energy"]["energy_j"] > 0
    evidence = api.evidence_show(done["run_id"])
    assert evidence["exit_code"] == 0
    assert evidence["it_kwh"] * 3.6e6 == pytest.approx(done["energy"]["energy_j"])


@pytest.fixture
def ledger(cli: Cli, table) -> Cli:
    """A ledger with one training and one experiment."""
    assert cli("run", "--mode", "optimized", *SMALL, *CSV, "--horizon-hours", "0").code == 0
    assert cli("experiment", "--runs", "6", *SMALL, *CSV).code == 0
    return cli


def test_p24_the_artifacts_are_generated_and_the_totals_add_up(ledger: Cli):
    done = ledger("report", "--out", "artifacts", "--json")
    assert done.code == 0, done.err
    check(json.loads(done.out), "report")
    for name in ("FOOTPRINT.md", "data_card.md", "model_card.md", "impact_math.csv", "energy_co2_bars.png", "report.html"):
        assert Path("artifacts", name).stat().st_size > 0, name
    rows = [row for row in rows_of() if row["pair_id"]]
    each = {row["pair_id"] + row["phase"]: float(row["kWh"]) / int(row["repeats"]) for row in rows}
    saved = sum(each[f"{pair}baseline"] - each[f"{pair}optimized"] for pair in "123") / 3
    for impact in rows_of("artifacts/impact_math.csv"):
        if not impact["statement"].startswith("nothing is concluded"):
            assert float(impact["annual_savings_kwh"]) == pytest.approx(int(impact["annual_runs"]) * saved, rel=1e-3)


def test_p25_edited_and_deleted_rows_are_found(ledger: Cli):
    assert ledger("evidence", "verify", "artifacts/evidence.csv").code == 0
    path = Path("artifacts/evidence.csv")
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:2], *lines[3:]]) + "\n", encoding="utf-8")
    done = ledger("evidence", "verify", "artifacts/evidence.csv")
    assert done.code == 5
    assert "is missing" in done.out + done.err
    path.write_text("\n".join(lines).replace(",ok,", ",failed,", 1) + "\n", encoding="utf-8")
    assert ledger("evidence", "verify", "artifacts/evidence.csv").code == 5


@pytest.mark.slow
def test_p27_the_notebook_runs_top_to_bottom(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.read(ROOT / "notebooks" / "GreenAI_Optimizer_Kaggle_Demo.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are stored stripped"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for name in ("submission_baseline.csv", "submission_optimized.csv", "metrics_before_after.csv"):
        assert (tmp_path / name).stat().st_size > 0, name
    pictures = [out for cell in notebook.cells for out in cell.get("outputs", ()) if "image/png" in out.get("data", {})]
    assert pictures


def test_the_example_table_is_the_packaged_climatology():
    facts = ROOT / "src" / "greenai" / "facts"
    with (facts / "climatology.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["zone"] == "GB"]
    with (facts / "climatology_sources.csv").open(encoding="utf-8") as file:
        mean = next(float(row["mean_g_per_kwh"]) for row in csv.DictReader(file) if row["zone"] == "GB")
    for given in rows_of(str(ROOT / "examples" / "metaData.csv")):
        some = [
            (5 if row["weekend"] == "0" else 2, float(row["ratio_mean"])) for row in rows if row["hour_utc"] == given["UTC_hour"]
        ]
        expected = mean * sum(weight * ratio for weight, ratio in some) / sum(weight for weight, _ in some)
        assert float(given["carbon_intensity_gco2_per_kwh"]) == pytest.approx(expected, abs=0.06)
