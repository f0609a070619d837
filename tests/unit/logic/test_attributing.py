"""The job's part of the machine's energy, by hand, and how far its interval reaches."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from greenai.logic.attributing import components, job_energy_j
from greenai.model.energy import EnergyInterval, EnergyTrace, MeterInfo

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
RAPL = MeterInfo(name="rapl:cpu", component="cpu", quality="measured:counter", low_ratio=0.95, high_ratio=1.05)
MODEL = MeterInfo(name="model", component="cpu", quality="modelled", low_ratio=0.6, high_ratio=1.6, idle_w=20.0)
GPU = MeterInfo(name="nvml:0", component="gpu", quality="measured:counter", low_ratio=0.95, high_ratio=1.05, edge_s=0.1)


def interval(joules=100.0, *, job_s=1.0, busy_s=1.0, seconds=1.0, meter="rapl:cpu", at_s=0.0, **changes):
    given = {
        "start_at": START + timedelta(seconds=at_s),
        "end_at": START + timedelta(seconds=at_s + seconds),
        "duration_s": seconds,
        "machine_j": {} if joules is None else {meter: joules},
        "job_cpu_s": job_s,
        "busy_cpu_s": busy_s,
    }
    return EnergyInterval(**{**given, **changes})


def only(meter, *intervals, **changes):
    (part,) = components(EnergyTrace(meters=(meter,), intervals=intervals, **changes))
    return part


def test_a_job_alone_has_all_the_energy_and_the_meters_grade():
    part = only(RAPL, interval(), interval(50.0))
    assert (part.machine_j, part.job_j, part.idle_j) == (150.0, 150.0, None)
    assert (part.low_j, part.high_j) == pytest.approx((0.95 * 150, 1.05 * 150))
    assert part.quality == "measured:counter"
    assert (part.component, part.meter) == ("cpu", "rapl:cpu")


def test_half_the_busy_time_is_half_the_energy_and_only_attributed():
    part = only(RAPL, interval(job_s=1.0, busy_s=2.0))
    assert part.job_j == pytest.approx(50.0)
    assert part.quality == "attributed"


def test_without_idle_power_known_the_interval_reaches_from_a_cheap_share_to_the_whole_machine():
    part = only(RAPL, interval(job_s=1.0, busy_s=2.0))
    assert part.low_j == pytest.approx(0.95 * 100 * 0.7 / 1.7)
    assert part.high_j == pytest.approx(1.05 * 100)


def test_a_sleeping_job_used_nothing_or_everything():
    part = only(RAPL, interval(job_s=0.0, busy_s=1.5))
    assert (part.job_j, part.low_j) == (0.0, 0.0)
    assert part.high_j == pytest.approx(105.0)
    assert part.quality == "attributed"


def test_a_machine_with_no_busy_time_gives_nothing():
    assert only(RAPL, interval(job_s=0.0, busy_s=0.0)).job_j == 0.0


def test_time_the_coarser_clock_missed_is_the_jobs():
    assert only(RAPL, interval(job_s=0.004, busy_s=0.0)).job_j == 100.0


def test_a_job_with_few_cores_can_have_caused_only_their_part_of_the_idle_power():
    part = only(RAPL, interval(job_s=0.0), cores_share=0.25)
    assert part.high_j == pytest.approx(105 * 0.25)


def test_known_idle_power_is_kept_by_cores_and_the_rest_shared_by_time():
    part = only(MODEL, interval(100.0, meter="model", job_s=1.0, busy_s=4.0), cores_share=0.5)
    assert part.idle_j == 20.0
    assert part.job_j == pytest.approx(80 * 0.25 + 20 * 0.5)
    low_share, high_share = 0.7 * 0.25 / (0.7 * 0.25 + 0.75), 1.3 * 0.25 / (1.3 * 0.25 + 0.75)
    assert part.low_j == pytest.approx(0.6 * (80 * low_share + 10))
    assert part.high_j == pytest.approx(1.6 * (80 * high_share + 10))
    assert part.quality == "modelled"


def test_idle_energy_is_never_more_than_all_energy():
    part = only(MODEL, interval(5.0, meter="model", job_s=0.0))
    assert part.idle_j == 5.0
    assert part.job_j == 5.0


def test_memory_is_kept_by_its_own_limit():
    memory = replace(MODEL, name="ram", component="dram", idle_w=10.0, idle_share=0.125)
    part = only(memory, interval(10.0, meter="ram"), cores_share=1.0)
    assert part.job_j == pytest.approx(1.25)


def test_a_gpu_is_shared_by_its_own_use_not_by_cpu_time():
    part = only(GPU, interval(300.0, meter="nvml:0", job_s=0.0, gpu_share={"nvml:0": 0.5}))
    assert part.job_j == pytest.approx(150.0)
    assert part.quality == "attributed"


def test_a_gpu_nobody_else_uses_is_the_jobs_and_counts_late_at_both_ends():
    part = only(GPU, interval(600.0, meter="nvml:0", seconds=2.0))
    assert part.quality == "measured:counter"
    edge_j = 2 * 0.1 * 300
    assert (part.low_j, part.high_j) == pytest.approx((0.95 * 600 - edge_j, 1.05 * 600 + edge_j))


def test_the_traces_share_of_a_gpu_holds_where_an_interval_says_nothing():
    first, second = interval(100.0, meter="nvml:0"), interval(100.0, meter="nvml:0", gpu_share={"nvml:0": 1.0})
    assert only(GPU, first, second, gpu_share={"nvml:0": 0.25}).job_j == pytest.approx(125.0)


def test_a_late_counter_never_makes_the_low_end_negative():
    part = only(GPU, interval(30.0, meter="nvml:0", seconds=0.1))
    assert part.low_j == 0.0


def test_what_was_counted_unread_is_spread_over_the_time_it_was_used_in():
    trace = EnergyTrace(meters=(RAPL,), intervals=(interval(None), interval(None, seconds=2.0), interval(80.0)))
    assert job_energy_j(trace).tolist() == pytest.approx([20.0, 40.0, 20.0])
    assert components(trace)[0].quality == "measured:counter"


def test_after_the_last_reading_the_mean_power_fills_in_and_says_so():
    part = only(RAPL, interval(100.0), interval(None))
    assert part.job_j == pytest.approx(200.0)
    assert part.low_j == pytest.approx(0.95 * 100)
    assert part.high_j == pytest.approx(1.05 * 300)
    assert part.quality == "modelled"


def test_a_short_missing_end_does_not_cost_the_grade():
    part = only(RAPL, interval(100.0, seconds=100.0), interval(None, seconds=1.0))
    assert part.job_j == pytest.approx(101.0)
    assert part.quality == "measured:counter"


def test_a_meter_never_read_has_measured_nothing():
    part = only(RAPL, interval(None))
    assert (part.machine_j, part.job_j) == (0.0, 0.0)
    assert part.quality == "assumed"


def test_an_interval_with_a_gap_may_hide_as_much_again():
    part = only(RAPL, interval(100.0), interval(100.0, gap="rapl:cpu: set back"))
    assert part.job_j == pytest.approx(200.0)
    assert part.high_j == pytest.approx(1.05 * 300)


def test_instants_are_no_trouble():
    trace = EnergyTrace(meters=(GPU,), intervals=(interval(None, seconds=0.0), interval(0.0, seconds=0.0, meter="nvml:0")))
    assert job_energy_j(trace).tolist() == [0.0, 0.0]
    assert components(trace)[0].job_j == 0.0


def test_meters_add_up_per_interval_and_stand_apart_in_the_components():
    both = interval(machine_j={"rapl:cpu": 60.0, "nvml:0": 40.0}, job_s=1.0, busy_s=2.0)
    trace = EnergyTrace(meters=(RAPL, GPU), intervals=(both, both))
    assert job_energy_j(trace).tolist() == pytest.approx([70.0, 70.0])
    assert [part.job_j for part in components(trace)] == pytest.approx([60.0, 80.0])


def test_a_trace_without_intervals_has_no_energy():
    trace = EnergyTrace(meters=(RAPL,))
    assert job_energy_j(trace).shape == (0,)
    assert components(trace)[0].machine_j == 0.0
    assert components(EnergyTrace(meters=())) == ()


def test_joules_are_float64():
    assert job_energy_j(EnergyTrace(meters=(RAPL,), intervals=(interval(1, job_s=1, busy_s=1),))).dtype == np.float64


ASSUMED = MeterInfo(name="assumed", component="node", quality="assumed", low_ratio=1 / 3, high_ratio=3.0)


def test_an_assumed_power_is_the_jobs_by_its_cores_however_busy_it_is():
    asleep = only(ASSUMED, interval(100.0, meter="assumed", job_s=0.0, busy_s=1.0))
    assert asleep.job_j == pytest.approx(100.0)
    assert (asleep.low_j, asleep.high_j) == pytest.approx((100 / 3, 300.0))
    half = only(ASSUMED, interval(100.0, meter="assumed"), cores_share=0.5)
    assert half.job_j == pytest.approx(50.0)
