"""RAPL over a fake powercap tree: what counts, what is counted once, what is refused and why."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from greenai.adapters.meters.rapl import detect
from greenai.errors import MeterUnavailable
from greenai.model.energy import MeterEnvironment
from greenai.testing.powercap import AMD_RANGE_UJ, DRAM_RANGE_UJ, INTEL_RANGE_UJ, FakePowercap, FakeZone, server


@pytest.fixture
def root():
    """A directory others may enter: pytest's own are closed to all but their owner."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def detected(root, **environment):
    return detect(MeterEnvironment(powercap_root=str(root), **environment))


def by_component(root):
    return {meter.info.component: meter for meter in detected(root).meters}


def joules(meter):
    (only,) = meter.read()
    return only.energy_j


def used_j(meters, tree, seconds=10.0):
    """What each meter counts while so much time passes."""
    before = {component: joules(meter) for component, meter in meters.items()}
    tree.step(seconds)
    return {component: joules(meter) - before[component] for component, meter in meters.items()}


def test_packages_and_the_memory_beside_them_count_and_what_lies_inside_does_not(root):
    tree = FakePowercap(root, server())
    meters = by_component(root)
    assert used_j(meters, tree) == pytest.approx({"cpu": 800.0, "dram": 90.0})
    info = meters["cpu"].info
    assert (info.name, info.quality, info.low_ratio, info.high_ratio) == ("rapl:cpu", "measured:counter", 0.95, 1.05)
    assert info.detail == "package-0 (intel-rapl:0), package-1 (intel-rapl:1)"
    assert meters["dram"].info.detail == "package-0/dram (intel-rapl:0:1), package-1/dram (intel-rapl:1:1)"
    assert detected(root).rejected == ()


def test_the_nested_tree_of_sys_devices_reads_the_same(root):
    tree = FakePowercap(root, server())
    assert used_j(by_component(root / "devices"), tree) == pytest.approx({"cpu": 800.0, "dram": 90.0})


def test_a_copy_that_is_both_flat_and_nested_counts_once(root):
    tree = FakePowercap(root, [FakeZone("package-0", 50.0, [FakeZone("dram", 5.0)])])
    (root / "intel-rapl").symlink_to("devices/intel-rapl")
    assert used_j(by_component(root), tree) == pytest.approx({"cpu": 500.0, "dram": 50.0})


def test_memory_zones_on_top_count_beside_the_packages(root):
    zones = [FakeZone("package-0", 50.0), FakeZone("dram", 5.0), FakeZone("package-1", 30.0), FakeZone("dram", 4.0)]
    tree = FakePowercap(root, zones)
    meters = by_component(root)
    assert used_j(meters, tree) == pytest.approx({"cpu": 800.0, "dram": 90.0})
    assert meters["dram"].info.detail == "dram 1 (intel-rapl:1), dram 2 (intel-rapl:3)"


def test_psys_contains_the_packages_and_is_left_out_beside_them(root):
    tree = FakePowercap(root, [FakeZone("package-0", 50.0), FakeZone("psys", 80.0)])
    assert used_j(by_component(root), tree) == pytest.approx({"cpu": 500.0})
    assert ("node", "psys contains the packages, which are read by themselves") in [
        (item.component, item.reason) for item in detected(root).rejected
    ]


def test_psys_alone_is_the_node(root):
    tree = FakePowercap(root, [FakeZone("psys", 80.0)])
    assert used_j(by_component(root), tree) == pytest.approx({"node": 800.0})


def test_one_package_shown_by_two_drivers_counts_once(root):
    zones = [
        FakeZone("package-0", 50.0, [FakeZone("dram", 5.0)]),
        FakeZone("package-0", 50.0, [FakeZone("dram", 5.0)], system="intel-rapl-mmio"),
    ]
    tree = FakePowercap(root, zones)
    meters = by_component(root)
    assert used_j(meters, tree) == pytest.approx({"cpu": 500.0, "dram": 50.0})
    assert meters["cpu"].info.detail == "package-0 (intel-rapl:0)"


def test_where_only_the_second_driver_can_be_read_it_is(root):
    tree = FakePowercap(root, [FakeZone("package-0", 50.0), FakeZone("package-0", 50.0, system="intel-rapl-mmio")])
    tree.counter("package-0").write_text("not now")
    assert by_component(root)["cpu"].info.detail == "package-0 (intel-rapl-mmio:0)"


def test_two_zones_of_one_name_count_once(root):
    tree = FakePowercap(root, [FakeZone("package-0", 50.0), FakeZone("package-0", 50.0)])
    assert used_j(by_component(root), tree) == pytest.approx({"cpu": 500.0})


def test_dies_that_mirror_one_counter_count_once(root):
    zones = [FakeZone(f"package-0-die-{die}", 68.0, start_uj=123_456_789) for die in (0, 1)]
    tree = FakePowercap(root, zones)
    assert used_j(by_component(root), tree) == pytest.approx({"cpu": 680.0})


def test_dies_with_counters_of_their_own_all_count(root):
    zones = [FakeZone(f"package-0-die-{die}", 68.0, start_uj=123_456_789 * (die + 1)) for die in (0, 1)]
    tree = FakePowercap(root, zones)
    assert used_j(by_component(root), tree) == pytest.approx({"cpu": 1360.0})


def test_dies_at_zero_are_not_taken_for_mirrors(root):
    tree = FakePowercap(root, [FakeZone(f"package-0-die-{die}", 68.0) for die in (0, 1)])
    assert used_j(by_component(root), tree) == pytest.approx({"cpu": 1360.0})


@pytest.mark.parametrize("range_uj", [INTEL_RANGE_UJ, AMD_RANGE_UJ, DRAM_RANGE_UJ])
def test_a_counter_that_wraps_loses_nothing(root, range_uj):
    tree = FakePowercap(root, [FakeZone("package-0", 50.0, range_uj=range_uj, start_uj=range_uj - 100_000_000)])
    meters = by_component(root)
    assert sum(used_j(meters, tree, 1.0)["cpu"] for _ in range(5)) == pytest.approx(250.0)


@pytest.mark.parametrize("spoil", ["0\n", "none\n", None])
def test_a_step_back_of_a_counter_of_unknown_size_is_a_gap_and_then_it_counts_on(root, spoil):
    tree = FakePowercap(root, [FakeZone("package-0", 50.0, range_uj=INTEL_RANGE_UJ, start_uj=INTEL_RANGE_UJ - 100_000_000)])
    size = tree.counter("package-0").with_name("max_energy_range_uj")
    size.unlink() if spoil is None else size.write_text(spoil)
    meter = by_component(root)["cpu"]
    start_j = joules(meter)
    tree.step(1.0)
    assert joules(meter) - start_j == pytest.approx(50.0)
    tree.step(1.2)
    with pytest.raises(MeterUnavailable, match="package-0: the counter was set back from"):
        meter.read()
    tree.step(1.0)
    assert joules(meter) - start_j == pytest.approx(50.0 + 10.0 + 50.0), "what it showed after the reset counts"


def test_a_zone_that_vanishes_is_said_and_its_energy_comes_when_it_is_back(root):
    tree = FakePowercap(root, [FakeZone("package-0", 50.0), FakeZone("package-1", 30.0)])
    meter = by_component(root)["cpu"]
    start_j = joules(meter)
    gone = tree.counter("package-1")
    gone.rename(gone.with_name("away"))
    tree.step(1.0)
    with pytest.raises(MeterUnavailable, match="No such file"):
        meter.read()
    gone.with_name("away").rename(gone)
    tree.step(1.0)
    assert joules(meter) - start_j == pytest.approx(160.0)


def test_a_counter_that_is_no_number_is_said(root):
    tree = FakePowercap(root, [FakeZone("package-0", 50.0)])
    meter = by_component(root)["cpu"]
    tree.counter("package-0").write_text("many\n")
    with pytest.raises(MeterUnavailable, match="holds no number"):
        meter.read()
    assert [item.reason.rpartition("/")[2] for item in detected(root).rejected] == [
        "energy_uj holds no number",
        "this processor has no such RAPL zone",
    ]


@pytest.fixture
def nobody():
    """Without root's right to read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_denied_counter_is_refused_with_the_exact_remedy(root, nobody):
    os.seteuid(os.getuid())
    FakePowercap(root, [FakeZone("package-0", 50.0, denied=True), FakeZone("dram", 5.0)])
    if not os.getuid():
        os.seteuid(65534)
    detection = detected(root)
    assert [meter.info.component for meter in detection.meters] == ["dram"]
    (refused,) = detection.rejected
    assert refused.component == "cpu"
    assert refused.reason.startswith("permission denied: ")
    assert f"sudo chmod a+r {root}/intel-rapl*/energy_uj" in refused.remedy
    assert "/etc/udev/rules.d/70-rapl.rules" in refused.remedy


def test_the_remedy_works(root, nobody):
    os.seteuid(os.getuid())
    FakePowercap(root, [FakeZone("package-0", 50.0, [FakeZone("dram", 5.0, denied=True)], denied=True)])
    assert os.system(f"chmod a+r {root}/intel-rapl*/energy_uj") == 0
    if not os.getuid():
        os.seteuid(65534)
    assert [meter.info.component for meter in detected(root).meters] == ["cpu", "dram"]


def test_one_denied_package_of_two_is_no_measurement(root, nobody):
    os.seteuid(os.getuid())
    FakePowercap(root, [FakeZone("package-0", 50.0), FakeZone("package-1", 30.0, denied=True)])
    if not os.getuid():
        os.seteuid(65534)
    assert detected(root).meters == ()


def test_a_root_that_may_not_be_entered_is_said(root, nobody):
    os.seteuid(os.getuid())
    closed = root / "closed"
    closed.mkdir(mode=0o700)
    closed.chmod(0)
    if not os.getuid():
        os.seteuid(65534)
    assert {item.remedy for item in detected(closed).rejected} == {f"sudo chmod a+rx {closed}"}


@pytest.mark.parametrize("make", [True, False])
def test_no_zones_at_all_is_said_for_each_component(root, make):
    empty = root / "powercap"
    if make:
        empty.mkdir()
        (empty / "dtpm").mkdir()
    rejected = detected(empty).rejected
    assert [(item.component, item.reason) for item in rejected] == [
        ("cpu", f"no RAPL zones under {empty}"),
        ("dram", f"no RAPL zones under {empty}"),
    ]
    assert "GREENAI_POWERCAP_ROOT" in rejected[0].remedy


def test_a_hosts_export_without_names_is_packages(root):
    tree = FakePowercap(root, [FakeZone("package-0", 50.0, [FakeZone("core", 20.0)])])
    tree.counter("package-0").with_name("name").unlink()
    tree.counter("package-0/core").with_name("name").unlink()
    meters = by_component(root)
    assert used_j(meters, tree) == pytest.approx({"cpu": 500.0})


def test_the_users_idle_power_is_the_processors(root):
    FakePowercap(root, server())
    assert [meter.info.idle_w for meter in detected(root, idle_w=12.0).meters] == [12.0, None]


def test_reading_opens_each_file_anew(root):
    tree = FakePowercap(root, [FakeZone("package-0", 50.0)])
    meter = by_component(root)["cpu"]
    start_j = joules(meter)
    file = tree.counter("package-0")
    other = file.with_name("other")
    other.write_text("7000000\n")
    other.replace(file)
    assert joules(meter) - start_j == pytest.approx(7.0)
