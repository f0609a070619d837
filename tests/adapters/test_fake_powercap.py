"""The fake powercap tree that users get: what it shows is what was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from greenai.testing.powercap import FakePowercap, FakeZone, server, zones_of


def count_uj(tree, name):
    return int(tree.counter(name).read_text())


def test_a_step_moves_each_counter_by_its_power(tmp_path):
    tree = FakePowercap(tmp_path / "tree", server())
    tree.step(10.0)
    assert count_uj(tree, "package-0") == 500_000_000
    assert count_uj(tree, "package-1/dram") == 40_000_000
    assert tree.energy_j("package-0/core") == 350.0
    tree.set_power_w("package-0", 0.0)
    tree.step(10.0)
    assert count_uj(tree, "package-0") == 500_000_000


def test_the_tree_is_nested_and_flat_as_the_kernels(tmp_path):
    FakePowercap(tmp_path, server())
    assert (tmp_path / "intel-rapl:0/intel-rapl:0:1/name").read_text() == "dram\n"
    assert (tmp_path / "intel-rapl:0:1/name").read_text() == "dram\n"
    assert (tmp_path / "devices/intel-rapl/intel-rapl:1/max_energy_range_uj").read_text() == "262143328850\n"


def test_counters_begin_where_they_are_told_and_wrap(tmp_path):
    tree = FakePowercap(tmp_path, [FakeZone("package-0", 50.0, range_uj=1_000_000_000, start_uj=999_000_000)])
    assert count_uj(tree, "package-0") == 999_000_000
    tree.step(1.0)
    assert count_uj(tree, "package-0") == 49_000_000


def test_zones_of_one_name_are_told_apart(tmp_path):
    tree = FakePowercap(tmp_path, [FakeZone("dram", 1.0), FakeZone("dram", 2.0), FakeZone("dram", 3.0)])
    tree.step(1.0)
    assert [count_uj(tree, name) for name in ("dram", "dram#2", "dram#3")] == [1_000_000, 2_000_000, 3_000_000]


def test_a_file_that_was_taken_away_stays_away(tmp_path):
    tree = FakePowercap(tmp_path, [FakeZone("package-0", 1.0)])
    tree.counter("package-0").unlink()
    tree.step(1.0)
    assert not tree.counter("package-0").exists()


def test_a_denied_zone_is_closed(tmp_path):
    tree = FakePowercap(tmp_path, [FakeZone("package-0", 1.0, denied=True)])
    assert tree.counter("package-0").stat().st_mode & 0o777 == 0


def test_a_running_tree_follows_the_clock(tmp_path):
    with FakePowercap(tmp_path, [FakeZone("package-0", 50.0)]).running() as tree:
        began_s, before_uj = time.monotonic(), count_uj(tree, "package-0")
        while count_uj(tree, "package-0") == before_uj:
            time.sleep(0.001)
        time.sleep(0.05)
        used_j = (count_uj(tree, "package-0") - before_uj) / 1e6
        assert 0 < used_j <= 50 * (time.monotonic() - began_s) + 0.2
    stopped = count_uj(tree, "package-0")
    time.sleep(0.01)
    assert count_uj(tree, "package-0") == stopped


def test_zones_are_written_as_words():
    assert zones_of(["package-0=50", "package-0/dram=5.5", "psys=80"]) == [
        FakeZone("package-0", 50.0, [FakeZone("dram", 5.5)]),
        FakeZone("psys", 80.0, []),
    ]
    with pytest.raises(ValueError, match="could not convert"):
        zones_of(["package-0"])


@pytest.mark.parametrize(
    ("words", "zone"),
    [([], "intel-rapl:1"), (["package-0=50"], "intel-rapl:0"), (["--period", "0.001", "package-0=50"], "intel-rapl:0")],
)
def test_it_can_be_started_from_the_shell(tmp_path, words, zone):
    command = [sys.executable, "-m", "greenai.testing.powercap", str(tmp_path / "tree"), *words]
    with subprocess.Popen(command) as process:
        counter = tmp_path / "tree" / zone / "energy_uj"
        while process.poll() is None and not (counter.exists() and int(counter.read_text() or 0)):
            time.sleep(0.01)
        assert process.poll() is None
        process.terminate()


def test_a_zone_without_watts_is_refused_with_an_example(tmp_path):
    command = [sys.executable, "-m", "greenai.testing.powercap", str(tmp_path / "tree"), "package-0"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "200"})
    assert run.returncode == 2
    assert "NAME=WATTS, for example package-0=50" in run.stderr
