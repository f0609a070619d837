"""A run laid over slots: conservation, shares by time, and the mean over all starts against brute force."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.evidence_world import HOUR, SLOT, START, series, trace

from greenai.logic.spreading import (
    constant_kwh,
    grams,
    mean_g_over_starts,
    mean_waiting_g_per_kw,
    reaches,
    slot_kwh,
    spans_of,
)

WAVE = 200 + 100 * np.sin(np.arange(48))


def test_an_interval_across_an_edge_is_split_by_time():
    run = spans_of(trace(start_at=START + timedelta(minutes=20), power_w=(360.0,), step_s=1800))
    energy = slot_kwh(run, series([1, 2, 3]), run.first_at)
    assert energy == pytest.approx([0.06, 0.12, 0])


def test_an_interval_over_many_slots_gives_each_its_share():
    run = spans_of(trace(start_at=START + timedelta(minutes=15), power_w=(1000.0,), step_s=3600))
    assert slot_kwh(run, series([1, 2, 3, 4]), run.first_at) == pytest.approx([0.25, 0.5, 0.25, 0])


def test_an_interval_that_ends_at_an_edge_stays_in_its_slot():
    run = spans_of(trace(power_w=(1000.0,), step_s=1800))
    assert list(slot_kwh(run, series([1, 2]), run.first_at)) == [0.5, 0.0]


def test_an_instant_counts_in_the_slot_it_lies_in_even_at_the_end():
    whole = trace(power_w=(1000.0, 1000.0), step_s=1800)
    last = replace(whole.intervals[1], start_at=START + HOUR, end_at=START + HOUR)
    run = spans_of(replace(whole, intervals=(whole.intervals[0], last)))
    assert list(slot_kwh(run, series([1, 2]), run.first_at)) == [0.5, 0.5]


def test_a_clock_set_back_makes_an_instant():
    whole = trace(power_w=(1000.0,))
    back = replace(whole.intervals[0], end_at=START - HOUR)
    run = spans_of(replace(whole, intervals=(back,)))
    assert run.length_s == 0
    assert slot_kwh(run, series([1, 2]), run.first_at)[0] == pytest.approx(1000 * 300 / 3.6e6)


@pytest.mark.parametrize(
    ("start_at", "known"),
    [(START, True), (START + 23 * HOUR, True), (START + 23 * HOUR + timedelta(microseconds=1), False), (START - SLOT, False)],
)
def test_reaches(start_at, known):
    run = spans_of(trace())
    assert reaches(series(WAVE), run, start_at) is known


def test_a_constant_load_by_slot():
    load = constant_kwh(2000.0, series([1, 2, 3]), START + timedelta(minutes=15), START + timedelta(minutes=75))
    assert load == pytest.approx([0.5, 1.0, 0.5])


def brute_mean(run, known, first_at, last_at, count):
    starts = first_at + (last_at - first_at) * ((np.arange(count - 1) + 0.5) / (count - 1))
    return np.mean([grams(slot_kwh(run, known, start_at), known) for start_at in starts])


@pytest.mark.parametrize("slack", [timedelta(minutes=7), HOUR, 5 * HOUR + timedelta(minutes=13)])
def test_the_mean_over_starts_is_that_of_brute_force(slack):
    run = spans_of(trace(start_at=START + 3 * HOUR, power_w=(50.0, 400.0, 0.0, 120.0, 900.0), step_s=700.0))
    known = series(WAVE)
    first_at = START + timedelta(minutes=11)
    assert mean_g_over_starts(run, known, first_at, first_at + slack) == pytest.approx(
        brute_mean(run, known, first_at, first_at + slack, 2001), rel=1e-4
    )


def test_the_mean_over_starts_counts_instants():
    whole = trace(power_w=(100.0, 100.0))
    instant = replace(whole.intervals[1], end_at=whole.intervals[1].start_at)
    run = spans_of(replace(whole, intervals=(whole.intervals[0], instant)))
    known = series(WAVE)
    assert mean_g_over_starts(run, known, START, START + HOUR) == pytest.approx(
        brute_mean(run, known, START, START + HOUR, 2001), rel=1e-3
    )


def test_without_slack_the_mean_is_the_only_start():
    run = spans_of(trace())
    known = series(WAVE)
    assert mean_g_over_starts(run, known, START, START) == grams(slot_kwh(run, known, START), known)
    assert mean_waiting_g_per_kw(known, START, START) == 0


def test_the_mean_wait_is_that_of_brute_force():
    known = series(WAVE)
    first_at, slack = START + timedelta(minutes=11), timedelta(hours=4, minutes=20)
    ends = [first_at + slack * ((number + 0.5) / 2000) for number in range(2000)]
    brute = np.mean([known.integral_g_per_kw(first_at, end_at) for end_at in ends])
    assert mean_waiting_g_per_kw(known, first_at, first_at + slack) == pytest.approx(brute, rel=1e-5)
