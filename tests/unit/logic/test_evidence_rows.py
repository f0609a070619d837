"""Rows of evidence.csv and entries of the decision log."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.evidence_world import DIRTY_THEN_CLEAN, HOUR, START, facts, priced, reading, trace

from greenai.logic.evidence_rows import COLUMNS, PROTOTYPE_COLUMNS, changed_cells, decimal, decision_entry, evidence_row
from greenai.logic.evidencing import evidence_document, facts_document
from greenai.model.energy import EnergyTrace

DECISION = {"action": "wait", "at_once_g_per_kwh": 300.0, "expected_g_per_kwh": 100.0, "source": {"provider": "list"}}
SHIFTED = facts(started_at=START + 5 * HOUR, ended_at=START + 6 * HOUR, decision=DECISION, threshold_g_per_kwh=150.0)
HEADER = (
    "run_id,phase,task,dataset,hardware,region,timestamp_utc,"
    "kWh,kgCO2e,water_L,runtime_s,quality_metric_name,quality_metric_value,notes"
)


def document(given=SHIFTED, *, power_w=(100.0,) * 12, read=None):
    run = trace(start_at=START + 5 * HOUR, power_w=power_w)
    return {**evidence_document(given, run, read or priced(DIRTY_THEN_CLEAN)), "sha256": "a" * 64}


def test_the_prototype_s_columns_come_first():
    row = evidence_row(document())
    assert tuple(row) == COLUMNS
    assert ",".join(COLUMNS[:14]) == HEADER
    assert COLUMNS[:14] == PROTOTYPE_COLUMNS


def test_a_row():
    labels = {
        "phase": "optimized",
        "task": "regression",
        "dataset": "csv",
        "quality_metric_name": "MAE",
        "quality_metric_value": "0.44",
    }
    row = evidence_row(document(replace(SHIFTED, labels=labels, machine={"hardware": "EPYC", "os": "Linux"})))
    assert row["phase"] == "optimized"
    assert row["hardware"] == "EPYC"
    assert row["kWh"] == "0.12000000"
    assert row["it_kWh"] == "0.10000000"
    assert row["kgCO2e"] == "0.01200000"
    assert row["runtime_s"] == "3600.000000"
    assert row["quality_metric_value"] == "0.44"
    assert row["deferred_seconds"] == "18000.00000000"
    assert row["forced_run"] == "false"
    assert row["verdict"] == "claimable"
    assert row["evidence_sha256"] == "a" * 64


@pytest.mark.parametrize("watts", [1e-7, 1e-3, 0.5, 100.0, 1e6])
def test_kg_is_kwh_times_intensity_whatever_the_size(watts):
    row = evidence_row(document(power_w=(watts,) * 12))
    assert float(row["kgCO2e"]) == pytest.approx(float(row["kWh"]) * float(row["ci_g_per_kwh"]) / 1000, rel=1e-4)
    assert float(row["kgCO2e"]) > 0


def test_what_is_unknown_is_empty():
    bare = evidence_document(facts(started_at=None, ended_at=None), EnergyTrace(meters=()), reading(None, step="none"))
    row = evidence_row({**bare, "sha256": "a" * 64})
    for column in ("timestamp_utc", "kWh", "kgCO2e", "runtime_s", "ci_g_per_kwh", "ci_source", "kWh_low", "saving_kg", "sci_g"):
        assert row[column] == "", column


@pytest.mark.parametrize(("exit_code", "status"), [(0, "ok"), (1, "failed"), (None, "interrupted")])
def test_how_a_run_ended_and_what_a_training_adds(exit_code, status):
    row = evidence_row(document(replace(SHIFTED, exit_code=exit_code, labels={"pair_id": "3", "seed": "7"})))
    assert (row["status"], row["pair_id"], row["seed"], row["n_jobs"]) == (status, "3", "7", "")


def test_a_row_is_one_line():
    row = evidence_row(document(replace(SHIFTED, labels={"task": "a\nb\r\n  c"}, machine={"a": "x", "b": "y"})))
    assert row["task"] == "a b c"
    assert row["hardware"] == "x; y"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0.0, "0.00000000"),
        (9.404e-6, "0.00000940400"),
        (1e-12, "0.00000000000100000"),
        (-2.5e-9, "-0.00000000250000"),
        (123456.789, "123456.78900000"),
    ],
)
def test_decimals(value, text):
    assert decimal(value) == text


def test_changes_are_named():
    known = document()
    row = evidence_row(known)
    assert changed_cells({**row, "my own": "x"}, known) == []
    assert changed_cells({**row, "kgCO2e": "0.01"}, known) == ["kgCO2e is '0.01', the evidence says '0.01200000'"]
    del row["verdict"]
    assert changed_cells(row, known) == ["verdict is None, the evidence says 'claimable'"]


def test_a_decision_entry_has_the_prototype_s_keys():
    entry = decision_entry(document())
    assert list(entry)[:5] == ["timestamp", "region", "naive_run", "green_run", "savings"]
    assert entry["naive_run"] == {"carbon_intensity": 300.0}
    assert entry["green_run"] == {"carbon_intensity": 100.0, "deferred_seconds": 18000.0, "horizon_hours": 6.0}
    assert entry["savings"] == {"carbon_intensity": 200.0, "percent": pytest.approx(200 / 3)}
    assert (entry["threshold"], entry["action"], entry["forced_run"]) == (150.0, "wait", False)
    assert entry["source"] == {"provider": "list"}
    assert entry == decision_entry(facts_document(SHIFTED)), "the facts alone give the same"


def test_a_run_at_its_limit_above_the_threshold_is_forced():
    assert decision_entry(document(replace(SHIFTED, threshold_g_per_kwh=100.0)))["forced_run"] is True
    assert decision_entry(document(replace(SHIFTED, threshold_g_per_kwh=None)))["forced_run"] is False


def test_a_run_without_a_decision():
    entry = decision_entry(facts_document(facts(decision=None, latest_start_at=None)))
    assert entry["savings"] == {}
    assert entry["action"] == "run"
    assert entry["green_run"] == {"carbon_intensity": None, "deferred_seconds": 0.0, "horizon_hours": 0.0}


def test_no_share_of_nothing():
    clean = replace(SHIFTED, decision={**DECISION, "at_once_g_per_kwh": 0.0, "expected_g_per_kwh": 0.0})
    assert decision_entry(document(clean))["savings"] == {"carbon_intensity": 0.0}
