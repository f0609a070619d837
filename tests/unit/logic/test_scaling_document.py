"""A scaling curve in words, as measured, and in its file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.resources import files

import jsonschema
import pytest
from tests.planning_world import HOUR, T0, grid, limits

from greenai.errors import InputError
from greenai.logic.scaling_document import (
    ScalingRun,
    broken_step,
    document_of,
    elastic_document,
    measured_curve,
    throughput_from_words,
)
from greenai.model.scaling import ScalingCurve

AT = datetime(2026, 11, 24, 20, tzinfo=UTC)


def runs(*times_s: tuple[int, float]) -> list[ScalingRun]:
    return [
        ScalingRun(
            workers=count,
            duration_s=time_s,
            energy_j=100.0 * count * time_s,
            low_j=1.0,
            high_j=9.0,
            quality="measured:counter",
            meter="rapl",
        )
        for count, time_s in times_s
    ]


def schema(name: str):
    return json.loads(files("greenai.schemas").joinpath(f"{name}.schema.json").read_text(encoding="utf-8"))


def test_words():
    assert throughput_from_words("1=1, 2=1.9,4=3.4") == {1: 1.0, 2: 1.9, 4: 3.4}


@pytest.mark.parametrize("words", ["1", "1=", "=1", "a=1", "1=1,,2=2", "1:1"])
def test_other_words_are_refused(words):
    with pytest.raises(InputError, match="is written WORKERS=THROUGHPUT, not"):
        throughput_from_words(words)


def test_a_number_of_workers_stands_once():
    with pytest.raises(InputError, match="names 2 workers twice"):
        throughput_from_words("1=1,2=2,2=3")


def test_measured_runs_become_medians_with_their_extremes_and_a_curve():
    document = document_of(
        ["train", "{workers}"], runs((1, 12), (2, 5), (1, 10), (2, 6), (1, 9), (2, 4)), made_at=AT, work_units=50
    )
    jsonschema.validate(document, schema("profile_scaling"))
    one, two = document["points"]
    assert (one["throughput"], one["throughput_low"], one["throughput_high"]) == (1.0, 10 / 12, 10 / 9)
    assert (two["throughput"], two["duration_s"], two["units_per_s"], two["power_w"]) == (2.0, 5, 10, 200)
    assert (document["repeats"], document["quality"], document["meter"]) == (3, "measured:counter", "rapl")
    assert measured_curve(document) == ({1: 1.0, 2: 2.0}, {1: 100.0, 2: 200.0})
    assert broken_step(document) == ""


def test_of_one_run_no_spread_is_known():
    document = document_of(["train"], runs((1, 12), (2, 5)), made_at=AT)
    jsonschema.validate(document, schema("profile_scaling"))
    assert {document["points"][1][name] for name in ("throughput_low", "throughput_high", "power_low_w", "units_per_s")} == {None}
    assert broken_step(document).startswith("the step from 1 to 2 workers adds 1.4")


def test_a_power_never_seen_is_none():
    document = document_of(["train"], runs((1, 12), (2, 8)), made_at=AT)
    document["points"][0]["power_w"] = 0.0
    assert measured_curve(document) == ({1: 1.0, 2: 1.5}, None)


@pytest.mark.parametrize("document", [None, [], {}, {"schema": "greenai.plan/1"}])
def test_another_document_is_refused(document):
    with pytest.raises(InputError, match="no scaling profile"):
        measured_curve(document)


@pytest.mark.parametrize("points", [None, [{}], [{"workers": "x", "throughput": 1, "power_w": 1}], [3]])
def test_a_damaged_profile_is_refused(points):
    with pytest.raises(InputError, match="damaged"):
        measured_curve({"schema": "greenai.scaling/1", "points": points})


def test_beside_a_plan_stand_the_curve_and_the_fixed_sizes():
    constraints = limits(HOUR, 3 * HOUR, scaling=ScalingCurve.of({1: 1, 2: 1.5}, worker_w=100))
    document = elastic_document(grid([300, 100, 150, 50], step=HOUR), constraints, made_at=T0)
    jsonschema.validate(document, schema("plan")["properties"]["elastic"])
    assert (document["reference_workers"], document["power_w"], len(document["curve"]), len(document["fixed"])) == (1, 100, 2, 6)
    assert document["fixed"][1] == {
        "manner": "one run",
        "workers": 1,
        "start_at": "2026-03-29T01:00:00Z",
        "end_at": "2026-03-29T02:00:00Z",
        "cost_g_per_kw": 50,
        "saving": pytest.approx(1 - 50 / 300),
    }
    assert elastic_document(None, constraints, made_at=T0) is None
    assert elastic_document(grid([1] * 9), limits(HOUR, HOUR), made_at=T0) is None
