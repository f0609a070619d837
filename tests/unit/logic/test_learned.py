"""Lengths and powers out of past runs: what counts, how near it is, and laws of the quantile."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence_world import HOUR, START, facts, priced, trace
from tests.queue_world import NOON, lived, submission

from greenai.logic.evidencing import evidence_document
from greenai.logic.learned import (
    NEWEST,
    QUANTILE_SHARE,
    bound_of,
    degree_of,
    is_row_of,
    job_of_entry,
    jobs_of,
    kin_of,
    learned,
    leg_from_row,
    leg_of,
    leg_row,
    missing_share,
    power_source,
    script_of,
    source_of,
)
from greenai.model.learned import PastJob, PastLeg
from greenai.model.plan import Window
from greenai.model.queue import Ended, Entry, Paused, Queued, Running

KIN = kin_of(("python", "train.py", "--lr", "0.1"), {"model": "small"})


def document_of(known):
    return evidence_document(known, trace(), priced([200.0] * 8))


def leg(number: int = 1, worked_s: float = 100.0, **changes) -> PastLeg:
    given = {
        "run_id": f"run-{number}",
        "kin": KIN,
        "ended_at": START + number * HOUR,
        "worked": timedelta(seconds=worked_s),
        "exit_code": 0,
        "energy_kwh": 100.0 * worked_s / 3.6e6,
    }
    return PastLeg(**{**given, **changes})


# What is compared


@pytest.mark.parametrize(
    ("command", "script"),
    [
        ("python train.py --lr 3", "python train.py"),
        ("/venv/bin/python3.11 -u train.py data.py", "python train.py"),
        ("python -m pkg.train config.py", "python -m pkg.train"),
        ("python -u -m pkg.train", "python -m pkg.train"),
        ("python train.py -m 3", "python train.py"),
        ("python -m", ""),
        ("torchrun --nproc 4 /jobs/train.py --x", "torchrun /jobs/train.py"),
        ("bash run.sh 3", "bash run.sh"),
        ("./simulate --n 3", "./simulate"),
        ("/bin/bash -c true", ""),
        ("python -c pass", ""),
        ("make train", ""),
        ("docker run x", ""),
        ("", ""),
        ("7", ""),
    ],
)
def test_what_runs(command, script):
    assert script_of(command.split()) == script


@pytest.mark.parametrize(
    ("command", "labels", "degree"),
    [
        ("python train.py --lr 0.1", {"model": "small"}, "this command"),
        ("python train.py --lr 0.1", {"model": "small", "job_id": "3", "leg": "2", "name": "x", "phase": "run"}, "this command"),
        ("python train.py --lr 0.1", {"model": "small", "slurm_node": "n1"}, "this command"),
        ("python train.py --lr 0.1", {}, "this command under other labels"),
        ("python3 train.py --lr 0.2", {}, "this script with other arguments"),
        ("python other.py --lr 0.1", {"model": "small"}, None),
        ("python -c pass", {}, None),
    ],
)
def test_how_near(command, labels, degree):
    other = kin_of(command.split(), labels)
    assert degree_of(KIN, other) == degree
    assert is_row_of(KIN, leg_row(leg(kin=other))) is (degree is not None)


def test_commands_without_a_script_are_not_near_each_other():
    assert degree_of(kin_of(("make", "a"), {}), kin_of(("make", "b"), {})) is None


def test_a_secret_does_not_tell_runs_apart():
    assert kin_of(("train", "--token", "one"), {}) == kin_of(("train", "--token", "two"), {})


# Evidence


def test_the_leg_of_an_evidence_document():
    told = document_of(facts(labels={"job_id": "12", "model": "small"}, command=("python", "train.py", "--lr", "0.1")))
    found = leg_of(told)
    assert found is not None
    assert (found.job_id, found.exit_code, found.kin) == ("12", 0, KIN)
    assert found.worked == timedelta(hours=1)
    assert found.energy_kwh == told["it_kwh"] > 0


def test_what_stood_still_is_not_work():
    frozen = (Window(start_at=START + HOUR / 4, end_at=START + HOUR / 2),)
    found = leg_of(document_of(facts(frozen=frozen)))
    assert found is not None
    assert (found.worked, found.stood) == (HOUR * 0.75, HOUR / 4)


def test_what_never_ended_has_no_length():
    assert leg_of(document_of(facts(ended_at=None))) is None
    assert leg_of({"run_id": "x"}) is None


def test_energy_that_nobody_measured():
    found = leg_of({**document_of(facts()), "it_kwh": None})
    assert found is not None
    assert found.energy_kwh is None


legs = st.builds(
    leg,
    number=st.integers(1, 10**4),
    worked_s=st.floats(0, 1e6).map(lambda seconds: round(seconds, 6)),
    exit_code=st.none() | st.integers(0, 255),
    energy_kwh=st.none() | st.floats(0, 1e3),
    job_id=st.text(max_size=5),
    stood=st.timedeltas(timedelta(0), timedelta(days=1)),
)


@given(legs)
def test_rows_round_trip(one):
    assert leg_from_row(leg_row(one)) == one


# Jobs


def test_the_legs_of_a_paused_job_are_one_run():
    job, other = {"job_id": "12"}, leg(4, 50)
    paused = [leg(1, 100, exit_code=75, **job), leg(2, 30, exit_code=75, **job), other, leg(5, 20, **job)]
    jobs, left_out = jobs_of(paused)
    assert [found.worked.total_seconds() for found in jobs] == [150, 50]
    assert jobs[0].run_ids == ("run-1", "run-2", "run-5")
    assert [found.mean_w for found in jobs] == [pytest.approx(100), pytest.approx(100)]
    assert left_out == {}


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        ([1], "did not complete"),
        ([None], "did not complete"),
        ([143], "did not complete"),
        ([75], "paused and not ended yet"),
        ([75, 1], "did not complete"),
        ([1, 0], "tried more than once"),
        ([75, None, 0], "tried more than once"),
        ([0, 0], "tried more than once"),
    ],
)
def test_what_does_not_show_how_long_the_work_takes(codes, reason):
    jobs, left_out = jobs_of([leg(number, exit_code=code, job_id="12") for number, code in enumerate(codes)])
    assert jobs == ()
    assert left_out == {reason: 1}


@pytest.mark.parametrize("changes", [{"energy_kwh": None}, {"stood": timedelta(seconds=9)}, {"worked": timedelta(0)}])
def test_a_power_that_is_not_known_of_all_is_none(changes):
    jobs, _ = jobs_of([leg(1, exit_code=75, job_id="12", energy_kwh=0.0, worked=timedelta(0)), leg(2, job_id="12", **changes)])
    assert jobs[0].mean_w is None


def ended(*, outcome: str = "completed", fails: bool = False) -> Entry:
    entry = Entry(submission=submission("7"), duration=HOUR, duration_source="given", changed_at=NOON)
    entry = lived(entry, (Running(run_id="a", started_at=NOON), NOON))
    if fails:
        entry = lived(entry, (Queued(), NOON + HOUR), (Running(run_id="b", started_at=NOON + HOUR), NOON + HOUR))
    else:
        entry = lived(entry, (Paused(since_at=NOON + HOUR), NOON + HOUR), (Running(run_id="b", started_at=NOON + 3 * HOUR), NOON))
    return lived(entry, (Ended(outcome=outcome, ended_at=NOON + 5 * HOUR, exit_code=0), NOON + 5 * HOUR))


def test_a_job_as_the_queue_knows_it():
    found = job_of_entry(ended())
    assert found is not None
    assert (found.worked, found.run_ids, found.mean_w) == (3 * HOUR, ("a", "b"), None)


def test_what_the_queue_saw_fail_does_not_count():
    assert job_of_entry(ended(outcome="failed")) is None
    assert job_of_entry(ended(fails=True)) is None
    assert job_of_entry(lived(Entry(submission=submission("7"), duration=HOUR, duration_source="", changed_at=NOON))) is None


# Learning


def test_the_nearest_kin_that_has_runs_that_count():
    near = [leg(1, 100, exit_code=1)]
    labels = [leg(2, 200, kin=kin_of(("python", "train.py", "--lr", "0.1"), {}))]
    script = [leg(3, 300, kin=kin_of(("python", "train.py"), {}))]
    strange = [leg(4, 400, kin=kin_of(("python", "other.py"), {}))]
    assert learned(KIN, strange) is None
    for degree, runs, shortest_s in [
        ("this script with other arguments", [*strange, *script], 300),
        ("this command under other labels", [*near, *labels, *script], 200),
        ("this command", [*near, leg(5, 50), *labels, *script], 50),
    ]:
        found = learned(KIN, runs)
        assert found is not None
        assert (found.degree, found.runs, found.shortest.total_seconds()) == (degree, 1, shortest_s)


def test_what_is_learned_of_ten_runs():
    found = learned(KIN, [leg(number, 100 + number) for number in (5, 3, 9, 1, 2, 8, 7, 6, 4, 10)])
    assert found is not None
    assert found.source == "0.9 quantile of 10 runs of this command"
    spans = (found.shortest, found.typical, found.duration, found.longest)
    assert [span.total_seconds() for span in spans] == [101, 105.5, 110, 110]
    assert (found.power_w, found.low_w, found.high_w, found.power_runs) == (*[pytest.approx(100)] * 3, 10)
    assert power_source(found) == "median of 10 runs of this command"


def test_only_the_newest_runs_count():
    old = [leg(number, 1000) for number in range(NEWEST)]
    found = learned(KIN, [*old, *(leg(NEWEST + number, 10) for number in range(NEWEST))])
    assert found is not None
    assert (found.runs, found.longest.total_seconds()) == (NEWEST, 10)


def test_jobs_from_elsewhere_count_once():
    elsewhere = [
        PastJob(kin=KIN, run_ids=("run-1",), ended_at=START, worked=HOUR),
        PastJob(kin=KIN, run_ids=("run-9",), ended_at=START, worked=2 * HOUR),
        PastJob(kin=kin_of(("x",), {}), run_ids=("run-8",), ended_at=START, worked=9 * HOUR),
    ]
    found = learned(KIN, [leg(1, 3600)], elsewhere)
    assert found is not None
    assert (found.runs, found.longest, found.power_runs) == (2, 2 * HOUR, 1)
    alone = learned(KIN, [leg(1, exit_code=1)], elsewhere[1:])
    assert alone is not None
    assert (alone.power_w, alone.low_w, alone.high_w) == (None, None, None)
    assert alone.left_out == {"did not complete": 1}


def test_a_length_is_never_nothing():
    found = learned(KIN, [leg(1, 0.0)])
    assert found is not None
    assert found.duration == timedelta(seconds=1)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "1 run of this command, and 40 % more"),
        (3, "the longest of 3 runs of this command, and 15 % more"),
        (9, "0.9 quantile of 9 runs of this command"),
    ],
)
def test_what_a_length_rests_on(number, words):
    assert source_of(number, "this command") == words


lengths = st.lists(st.floats(1, 1e6), min_size=1, max_size=60).map(sorted)
shares = st.floats(0, 0.999)


@given(lengths, shares, shares)
def test_a_higher_quantile_is_never_shorter(seen, one, other):
    low, high = sorted((one, other))
    assert bound_of(seen, low) <= bound_of(seen, high) * (1 + 1e-12)


@given(lengths, shares)
def test_no_more_runs_are_longer_than_the_share_leaves(seen, share):
    """Of the runs seen at most (1 - share) (n + 1) are longer; of too few to tell none is."""
    longer = sum(length > bound_of(seen, share) for length in seen)
    assert longer <= (1 - share) * (len(seen) + 1) + 1e-6
    if missing_share(len(seen), share) > 0:
        assert bound_of(seen, share) >= seen[-1]


@given(lengths, st.floats(0.01, 100))
def test_the_unit_does_not_matter(seen, factor):
    assert bound_of([length * factor for length in seen]) == pytest.approx(bound_of(seen) * factor)


@pytest.mark.parametrize("number", [1, 2, 5, 9, 10, 20, 50])
def test_the_next_run_is_covered(number):
    """Nine in ten of the next runs are within the bound, from nine runs on whatever their distribution."""
    draw = np.random.default_rng(number)
    times = np.exp(draw.normal(0, 0.15, size=(20_000, number + 1)))
    covered = np.mean([bound_of(sorted(row[:-1])) >= row[-1] for row in times[:4000]])
    assert covered >= QUANTILE_SHARE - 0.015


def test_more_runs_come_closer_to_the_true_quantile():
    draw = np.random.default_rng(1)
    true = math.exp(0.5 * 1.2815515655446004)

    def error(number: int) -> float:
        return float(np.mean([abs(bound_of(sorted(np.exp(draw.normal(0, 0.5, number)))) - true) for _ in range(400)]))

    errors = [error(number) for number in (10, 40, 160, 640)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.06 * true
