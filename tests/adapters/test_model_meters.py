"""The modelled and the assumed meter over made-up machines."""

from __future__ import annotations

import time

import pytest

from greenai.adapters.meters import assumed, modelled
from greenai.adapters.meters.modelled import MEMORY, UNKNOWN, Processor, coefficients_of, named_coefficients, processor_of
from greenai.errors import MeterUnavailable
from greenai.model.energy import MeterEnvironment

CPUINFO = """processor	: 0
vendor_id	: GenuineIntel
cpu family	: 6
model		: 85
model name	: Intel(R) Xeon(R) CPU @ 2.20GHz
stepping	: 7
flags		: fpu vme hypervisor

processor	: 1
vendor_id	: Other
"""


@pytest.fixture
def machine(tmp_path):
    """A /proc and /sys of four Cascade Lake vCPUs with 16 GB."""
    proc, cgroup = tmp_path / "proc", tmp_path / "sys" / "fs" / "cgroup"
    (proc / "self").mkdir(parents=True)
    (cgroup / "job").mkdir(parents=True)
    (proc / "cpuinfo").write_text(CPUINFO)
    (proc / "stat").write_text("cpu  0 0 0 0 0 0 0 0 0 0\n" + "".join(f"cpu{n} 0 0\n" for n in range(4)) + "processes 1\n")
    (proc / "meminfo").write_text("MemTotal:       15625000 kB\nMemFree: 1 kB\n")
    (proc / "self" / "cgroup").write_text("0::/job\n")
    return tmp_path


def meters(machine, **changes):
    environment = MeterEnvironment(proc_root=str(machine / "proc"), sys_root=str(machine / "sys"), **changes)
    return {meter.info.component: meter for meter in modelled.detect(environment).meters}


def burn(machine, seconds):
    ticks = round(seconds * 100)
    (machine / "proc" / "stat").write_text(f"cpu  {ticks} 0 0 0 0 0 0 0 0 0\ncpu0 0\n")


def reading(meter):
    (only,) = meter.read()
    return only.energy_j, only.monotonic_s


def test_the_processor_draws_its_idle_power_all_the_time_and_the_rest_by_busy_seconds(machine):
    meter = meters(machine)["cpu"]
    before_j, before_s = reading(meter)
    burn(machine, 10.0)
    after_j, after_s = reading(meter)
    assert after_j - before_j == pytest.approx(4 * 0.690 * (after_s - before_s) + 10 * (4.063 - 0.690))
    assert (meter.info.quality, meter.info.low_ratio, meter.info.high_ratio) == ("modelled", 0.6, 1.6)
    assert meter.info.idle_w == pytest.approx(4 * 0.690)
    assert "Cascade Lake" in meter.info.detail


def test_memory_draws_by_its_size_and_the_job_keeps_what_its_cgroup_allows(machine):
    info = meters(machine)["dram"].info
    assert info.idle_w == pytest.approx(16.0 * 0.392)
    assert info.idle_share == 1.0
    (machine / "sys/fs/cgroup/job/memory.max").write_text("4000000000\n")
    assert meters(machine)["dram"].info.idle_share == pytest.approx(0.25)


@pytest.mark.parametrize(("text", "share"), [("max\n", 1.0), ("99999999999999\n", 1.0), ("1600000000\n", 0.1)])
def test_limits_of_groups_above_hold_too(machine, text, share):
    (machine / "sys/fs/cgroup/memory.max").write_text(text)
    assert meters(machine)["dram"].info.idle_share == pytest.approx(share)


def test_limits_of_version_one_hold(machine):
    (machine / "proc/self/cgroup").write_text("7:memory:/a\n0::/\n")
    (machine / "sys/fs/cgroup/memory/a").mkdir(parents=True)
    (machine / "sys/fs/cgroup/memory/a/memory.limit_in_bytes").write_text("8000000000\n")
    assert meters(machine)["dram"].info.idle_share == pytest.approx(0.5)


def test_without_cgroups_there_is_no_limit(machine):
    (machine / "proc/self/cgroup").unlink()
    assert meters(machine)["dram"].info.idle_share == 1.0


def test_an_idle_power_the_user_knows_replaces_the_models(machine):
    meter = meters(machine, idle_w=30.0)["cpu"]
    before_j, before_s = reading(meter)
    time.sleep(0.01)
    after_j, after_s = reading(meter)
    assert after_j - before_j == pytest.approx(30 * (after_s - before_s))
    assert meter.info.idle_w == 30.0


@pytest.mark.parametrize("missing", ["cpuinfo", "stat", "meminfo"])
def test_a_proc_that_does_not_describe_the_machine_is_said(machine, missing):
    (machine / "proc" / missing).unlink()
    detection = modelled.detect(MeterEnvironment(proc_root=str(machine / "proc"), sys_root=str(machine / "sys")))
    assert detection.meters == ()
    assert {item.component for item in detection.rejected} == {"cpu", "dram"}
    assert missing in detection.rejected[0].reason


def test_memory_of_unknown_size_is_said(machine):
    (machine / "proc/meminfo").write_text("MemFree: 1 kB\n")
    assert meters(machine) == {}


@pytest.mark.parametrize("text", [None, "nothing\n"])
def test_a_meter_whose_proc_fails_later_says_so(machine, text):
    meter = meters(machine)["cpu"]
    stat = machine / "proc/stat"
    stat.unlink() if text is None else stat.write_text(text)
    with pytest.raises(MeterUnavailable, match="modelled:cpu"):
        meter.read()


@pytest.mark.parametrize(
    ("processor", "architecture"),
    [
        (Processor(vendor="GenuineIntel", family="6", model="85", stepping="4"), "Skylake"),
        (Processor(vendor="GenuineIntel", family="6", model="85", stepping="7"), "Cascade Lake"),
        (Processor(vendor="GenuineIntel", family="6", model="85", stepping="11"), "Cascade Lake"),
        (Processor(vendor="GenuineIntel", family="6", model="143", virtual=True), "Sapphire Rapids"),
        (Processor(vendor="GenuineIntel", name="Intel Core Processor (Haswell, no TSX)", family="6", model="60"), "Haswell"),
        (Processor(vendor="GenuineIntel", family="6", model="999"), UNKNOWN),
        (Processor(vendor="AuthenticAMD", name="AMD EPYC 7763 64-Core Processor", family="25", model="1"), "EPYC 3rd gen"),
        (Processor(vendor="AuthenticAMD", name="AMD EPYC 7R32", virtual=True), "EPYC 2nd gen"),
        (Processor(vendor="AuthenticAMD", name="AMD EPYC 7601 32-Core Processor", virtual=True), "EPYC 1st gen"),
        (Processor(vendor="AuthenticAMD", name="AMD EPYC 9R14", virtual=True), "EPYC 4th gen"),
        (Processor(vendor="AuthenticAMD", name="AMD EPYC-Milan Processor", virtual=True), "EPYC 3rd gen"),
        (Processor(vendor="AuthenticAMD", name="AMD EPYC 9755 128-Core Processor", family="26", model="2"), "EPYC 5th gen"),
        (Processor(vendor="AuthenticAMD", name="AMD EPYC", family="23", model="1", virtual=True), "EPYC, generation hidden"),
        (Processor(vendor="AuthenticAMD", name="AMD EPYC", family="23", model="1"), "EPYC 1st gen"),
        (Processor(vendor="AuthenticAMD", name="AMD Ryzen 9 5950X", family="25", model="33"), UNKNOWN),
        (Processor(vendor="0x41", model="0xd0c"), "Neoverse N1"),
        (Processor(vendor="0x41", model="0xd4f"), "Neoverse V2"),
        (Processor(), UNKNOWN),
    ],
)
def test_processors_are_known_by_name_then_by_number(processor, architecture):
    assert coefficients_of(processor).architecture == architecture


def test_every_coefficient_is_cited_and_makes_sense():
    rows = [named_coefficients(row["architecture"]) for row in modelled._table()]
    assert len(rows) > 20
    for row in rows:
        assert 0 < row.min_w <= row.max_w < 10
        assert row.source


def test_memory_is_the_figure_of_cloud_carbon_footprint():
    assert named_coefficients(MEMORY).max_w == 0.392


def test_cpuinfo_of_x86_and_arm():
    assert processor_of(CPUINFO) == Processor(
        vendor="GenuineIntel", family="6", model="85", stepping="7", name="Intel(R) Xeon(R) CPU @ 2.20GHz", virtual=True
    )
    arm = "processor\t: 0\nBogoMIPS\t: 243\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"
    assert processor_of(arm) == Processor(vendor="0x41", model="0xd40")


# ---- assumed ----


@pytest.mark.parametrize(("stated", "power_w", "said"), [(None, 100.0, "nobody described"), (250.0, 250.0, "stated by the user")])
def test_the_assumed_meter_draws_one_power(stated, power_w, said):
    (meter,) = assumed.detect(MeterEnvironment(assumed_w=stated, idle_w=5.0)).meters
    before_j, before_s = reading(meter)
    time.sleep(0.01)
    after_j, after_s = reading(meter)
    assert (after_j - before_j) / (after_s - before_s) == pytest.approx(power_w)
    assert (meter.info.component, meter.info.quality, meter.info.idle_w) == ("node", "assumed", 5.0)
    assert (meter.info.low_ratio, meter.info.high_ratio) == pytest.approx((1 / 3, 3))
    assert said in meter.info.detail
