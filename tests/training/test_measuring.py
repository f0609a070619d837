"""Measured calls: added up, shared out, and told by CPU time where the meter cannot."""

from __future__ import annotations

import pytest
from tests.training.known_joules import Use

from greenai.training.measuring import Tally, default_measure, mean_energy_j, repeated, repeats_for, told_apart


def use(energy_j, *, cpu_s=1.0, floor_j=0.0):
    return Use(duration_s=1, cpu_s=cpu_s, energy_j=energy_j, low_j=energy_j, high_j=energy_j, noise_floor_j=floor_j)


def test_repeated_calls_share_what_they_used(machine):
    calls = []

    def work():
        calls.append(1)
        machine.use(3.0)
        return "result"

    machine.noise_floor_j = 2.0
    result, one = repeated(machine.measure, 4)(work)
    assert (result, len(calls)) == ("result", 4)
    assert (one.energy_j, one.noise_floor_j) == (3.0, 0.5)


def test_once_is_not_repeated(machine):
    assert repeated(machine.measure, 1) == machine.measure


@pytest.mark.parametrize(
    ("energy_j", "floor_j", "times"), [(10, 0, 1), (10, 2, 1), (10, 4, 2), (0.001, 4, 200), (0, 1, 200), (0, 0, 1)]
)
def test_repeats_lift_a_measurement_to_five_floors(energy_j, floor_j, times):
    assert repeats_for(energy_j, floor_j) == times


def test_a_tally_adds_calls_and_the_time_between(monkeypatch):
    clock_s = iter([100.0, 103.0])
    monkeypatch.setattr("time.process_time", lambda: next(clock_s))
    tally = Tally(lambda work: (work(), use(10.0, cpu_s=0.5)))
    for _ in range(3):
        tally(lambda: None)
    assert (tally.spent.energy_j, tally.spent.calls) == (30.0, 3)
    assert tally.total_j() == pytest.approx(30.0 + (3.0 - 1.5) * 20.0), "1.5 s between the calls at 20 J per CPU-second"


def test_below_the_floor_cpu_time_speaks():
    large = [use(100.0, cpu_s=10.0, floor_j=1.0)]
    small = [use(0.7, cpu_s=0.02, floor_j=1.0), use(0.1, cpu_s=0.04, floor_j=1.0)]
    assert not told_apart(small)
    assert mean_energy_j(small, like=large) == pytest.approx(0.3)
    assert mean_energy_j(small) == pytest.approx(0.4)
    assert mean_energy_j([use(50.0, cpu_s=0.1, floor_j=1.0)], like=large) == 50.0


def test_the_usual_meter_is_the_machines():
    result, one = default_measure()(lambda: sum(range(1000)))
    assert result == 499500
    assert one.low_j <= one.energy_j <= one.high_j
    assert one.quality
