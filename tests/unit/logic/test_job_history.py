"""Jobs that were run: reading them, and moving each within its slack beside a plain loop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from tests.forecasting_world import HOUR, START, grid, series

from greenai.errors import InputError
from greenai.logic import job_history as jh
from greenai.logic.backtesting import POLICIES, Ground
from greenai.logic.backtesting_matrix import Period, forecast_matrix

BERLIN = ZoneInfo("Europe/Berlin")
SACCT = """JobID|Submit|Start|End|State|ConsumedEnergyRaw|ConsumedEnergy
1|2022-01-10T08:00:00|2022-01-10T09:30:00|2022-01-10T11:30:00|COMPLETED|7200000|7.20M
2|2022-01-10T08:00:00|2022-01-10T09:30:00|2022-01-10T10:30:00|COMPLETED||
2.batch|2022-01-10T08:00:00|2022-01-10T09:30:00|2022-01-10T10:30:00|COMPLETED||3.60M
2.0|2022-01-10T08:00:00|2022-01-10T09:30:00|2022-01-10T10:30:00|COMPLETED||1.80M
3|2022-01-10T08:00:00|2022-07-10T09:30:00|2022-07-10T10:30:00|COMPLETED|0|0
4|2022-01-10T08:00:00|Unknown|Unknown|CANCELLED||
5|2022-01-10T08:00:00|2022-01-10T09:30:00|2022-01-10T09:30:00|FAILED||
"""


def at(day, hour, minute=0, month=1):
    return datetime(2022, month, day, hour, minute, tzinfo=UTC)


def test_sacct_output_is_read_in_local_time():
    history = jh.job_history(SACCT, BERLIN)
    assert [(job.start_at, job.energy_kwh) for job in history.jobs] == [
        (at(10, 8, 30), 2.0),
        (at(10, 8, 30), 1.0),
        (at(10, 7, 30, month=7), None),
    ]
    assert [job.weight_kwh for job in history.jobs] == [2.0, 1.0, 1.0]
    assert history.left_out == {"never started": 1, "took no time": 1}


AWKWARD = """JobID|Start|End|ConsumedEnergyRaw|ConsumedEnergy|
1|2022-01-10T09:30:00|Unknown|||
2|None|2022-01-10T09:30:00|||
3|2022-01-10T09:30:00|2022-01-10T10:30:00|18446744073709551614|16777216.00T|

4|10/01/2022 09:30|10/01/2022 10:30|||
5|2022-10-30T02:50:00|2022-10-30T02:10:00|7200000||
6|1641801600|1641805200|||
7_3|2022-03-27T01:30:00|2022-03-27T03:30:00||7.2M|
"""


def test_what_slurm_writes_for_nothing_is_nothing():
    """Running, never started, no energy value, another date format, the hour had twice, epoch seconds, the hour skipped."""
    history = jh.job_history(AWKWARD, BERLIN)
    assert [(job.start_at, job.end_at - job.start_at, job.energy_kwh) for job in history.jobs] == [
        (at(10, 8, 30), HOUR, None),
        (at(30, 0, 50, month=10), timedelta(minutes=20), 2.0),
        (at(10, 8), HOUR, None),
        (at(27, 0, 30, month=3), HOUR, 2.0),
    ]
    assert history.left_out == {jh.STILL_RUNNING: 1, jh.NEVER_STARTED: 1, jh.UNREADABLE: 1}


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("names", [("start", "end"), ("Started_At", "ended_at"), ("start_time", "End_Time")])
def test_any_usual_table_is_read(mark, names):
    text = f"{mark.join(names)}{mark}energy_kwh\n\n2022-01-10 08:00Z{mark}2022-01-10 10:00Z{mark}3\n"
    assert [job.energy_kwh for job in jh.job_history(text, BERLIN).jobs] == [3.0]


def test_csv_is_read_with_power_or_energy():
    text = (
        "Submit,Start,End,power_w,energy_kwh\n"
        ",2022-01-10T08:00Z,2022-01-10T10:00Z,500,\n"
        ",2022-01-10T08:00Z,2022-01-10T10:00Z,500,3\n"
        ",2022-01-10T08:00Z,2022-01-10T10:00Z,,\n"
        ",2022-01-10T08:00Z,2022-01-10T10:00Z,,0\n"
    )
    history = jh.job_history(text, BERLIN)
    assert [job.energy_kwh for job in history.jobs] == [1.0, 3.0, None]
    assert history.left_out == {"used no energy": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no job history"),
        ("a,b\n1,2\n", "no column start and end"),
        ("start\n2022-01-10T08:00Z\n", "no column end"),
        ("start,end\n", "with a row below"),
        ("start,end,power_w\n2022-01-10T08:00Z,2022-01-10T10:00Z,much\n", "power_w of the job of 2022-01-10T08:00Z is 'much'"),
        ("start,end,energy_kwh\n2022-01-10T08:00Z,2022-01-10T10:00Z,-1\n", "energy_kwh of the job of 2022-01-10T08:00Z is '-1'"),
    ],
)
def test_what_is_no_history_is_refused(text, said):
    with pytest.raises(InputError, match=said):
        jh.job_history(text, BERLIN)


def test_evidence_is_a_job():
    document = {"started_at": "2022-01-10T08:00:00Z", "ended_at": "2022-01-10T09:00:00Z", "it_kwh": 0.25}
    assert jh.of_evidence(document) == jh.PastJob(start_at=at(10, 8), end_at=at(10, 9), energy_kwh=0.25)
    assert jh.of_evidence(document | {"ended_at": None}) == jh.STILL_RUNNING


def made(count=60, seed=3):
    rng = np.random.default_rng(seed)
    starts = [START + timedelta(hours=72, minutes=int(rng.integers(0, 60 * 24 * 20))) for _ in range(count)]
    lengths = [timedelta(minutes=int(rng.choice([20, 60, 150, 240]))) for _ in range(count)]
    energies = [None if number % 4 else float(number + 1) for number in range(count)]
    return jh.collected(
        jh.PastJob(start_at=start, end_at=start + length, energy_kwh=energy)
        for start, length, energy in zip(starts, lengths, energies, strict=True)
    )


def played(history, slack, policy, forecaster="seasonal-naive"):
    whole = series(grid(30 * 24))
    jobs, kept = jh.placed(history, whole, least=timedelta(days=2), slack=slack, reach=48)
    first, last = int(jobs.arrival.min()), int(jobs.arrival.max())
    span = int(jobs.length.max()) + slack
    period = Period(whole=whole, begin=first, end=last + span + 1, leads=span)
    ground = Ground(
        zone="GB",
        actual=period.actual,
        seen=forecast_matrix(period, forecaster, plugin=pytest.fail),
        before=whole.values[:first],
        arrivals=last - first + 1,
        forecaster=forecaster,
    )
    chosen = jh.Chosen(first=first, policy=policy, play=POLICIES[policy], slack=slack)
    return jh.job_row(jobs, whole, ground, chosen), jobs, kept, whole


def test_the_row_is_that_of_a_plain_loop():
    history, slack = made(), 10
    row, jobs, kept, whole = played(history, slack, "once")
    now = chosen = best = 0.0
    tight = 0
    for number, job in enumerate(kept.jobs):
        costs = []
        for shift in range(slack + 1):
            grams = whole.integral_g_per_kw(job.start_at + shift * HOUR, job.end_at + shift * HOUR)
            costs.append(grams / ((job.end_at - job.start_at) / HOUR) * job.weight_kwh)
        slot = (job.start_at - START) // HOUR
        length = int(jobs.length[number])
        # Seasonal naive: now as measured, then the last day's same hours.
        said = np.array([whole.values[slot + ahead - 24 * (ahead > 0)] for ahead in range(length + slack)])
        shift = int(np.array([said[begin : begin + length].sum() for begin in range(slack + 1)]).argmin())
        now, chosen, best, tight = now + costs[0], chosen + costs[shift], best + min(costs), tight + (shift == slack)
    assert row["run_now_g_per_kwh"] * row["energy_kwh"] == pytest.approx(now)
    assert row["policy_g_per_kwh"] * row["energy_kwh"] == pytest.approx(chosen)
    assert row["oracle_g_per_kwh"] * row["energy_kwh"] == pytest.approx(best)
    assert row["saved_g"] == pytest.approx(now - chosen)
    assert row["fraction_of_oracle"] == pytest.approx((now - chosen) / (now - best))
    assert (row["tight_deadlines"], row["deadline_misses"], row["arrivals"]) == (tight, 0, 60)
    assert row["saving_low"] < row["saving"] < row["saving_high"]


def test_run_now_saves_nothing_and_no_slack_leaves_nothing_to_save():
    row = played(made(), 10, "run-now")[0]
    assert (row["saving"], row["mean_delay_h"]) == (0, 0)
    row = played(made(), 0, "run-now")[0]
    assert (row["saving"], row["fraction_of_oracle"]) == (0, None)


def test_jobs_that_cannot_be_played_are_counted():
    def job(start, hours):
        return jh.PastJob(start_at=START + start * HOUR, end_at=START + (start + hours) * HOUR)

    history = jh.collected([job(100, 2), job(10, 2), job(100, 50), job(710, 5), "took no time"])
    kept = played(history, 10, "rolling")[2]
    assert len(kept.jobs) == 1
    assert kept.left_out == {
        "took no time": 1,
        "the series knows too little before them": 1,
        "longer than can be forecast": 1,
        "the series ends before they would be due": 1,
    }
    with pytest.raises(InputError, match=r"1: the series knows too little"):
        played(jh.collected([job(10, 2)]), 10, "rolling")
    with pytest.raises(InputError, match="it is empty"):
        played(jh.collected([]), 10, "rolling")


def test_a_policy_is_told_where_the_jobs_begin():
    history, told = made(), []

    def play(ground, scenario, arrivals):
        told.append(set(np.flatnonzero(ground.wanted).tolist()))
        assert len(ground.wanted) == arrivals
        return POLICIES["run-now"](ground, scenario, arrivals)

    whole = series(grid(24 * 40))
    jobs, _kept = jh.placed(history, whole, least=timedelta(days=2), slack=6, reach=72)
    first = int(jobs.arrival.min())
    period = Period(whole=whole, begin=first, end=len(whole), leads=72)
    seen = forecast_matrix(period, "seasonal-naive", plugin=pytest.fail)
    ground = Ground(zone="GB", actual=period.actual, seen=seen, before=whole.values[:first], arrivals=len(seen), forecaster="-")
    jh.delays(jobs, ground, jh.Chosen(first=first, policy="run-now", play=play, slack=6))
    assert set().union(*told) == set((jobs.arrival - first).tolist())
    assert len(told) == len(set(jobs.length.tolist()))
