"""NVML over the fake library: counters, sampled power, visible devices, sharing. No nvidia-smi anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from greenai.adapters.meters.nvml import detect
from greenai.errors import InputError, MeterUnavailable
from greenai.model.energy import MeterEnvironment
from greenai.testing.nvml import build_fake_nvml, compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler: the fake NVML cannot be built")
pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build_fake_nvml(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(autouse=True)
def world(monkeypatch):
    """No FAKE_NVML_* of another test, and the bindings as they were."""
    for name in [name for name in os.environ if name.startswith("FAKE_NVML_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    pynvml._nvmlGetFunctionPointer_cache.clear()
    yield
    pynvml._nvmlGetFunctionPointer_cache.clear()


@pytest.fixture
def detected(library):
    return lambda visible=None, **changes: detect(MeterEnvironment(nvml_library=str(library), visible_devices=visible, **changes))


def joules(meter):
    (only,) = meter.read()
    return only.energy_j, only.monotonic_s


def power_w(meter, seconds=0.05):
    before_j, before_s = joules(meter)
    time.sleep(seconds)
    after_j, after_s = joules(meter)
    return (after_j - before_j) / (after_s - before_s)


def names(detection):
    return [meter.info.name for meter in detection.meters]


def test_the_energy_counter_is_taken(detected):
    (meter,) = detected().meters
    assert power_w(meter) == pytest.approx(300, rel=0.01)
    info = meter.info
    assert (info.name, info.component, info.quality, info.edge_s) == ("nvml:0", "gpu", "measured:counter", 0.1)
    assert (info.low_ratio, info.high_ratio) == (0.95, 1.05)
    assert info.detail == "Fake GPU, GPU-00000000-fake: energy counter"


@pytest.mark.parametrize(
    ("missing", "how"),
    [
        ({"FAKE_NVML_NO_COUNTER": "1"}, "instantaneous power, integrated"),
        ({"FAKE_NVML_NO_COUNTER": "1", "FAKE_NVML_NO_INSTANT": "1"}, "board power, integrated"),
    ],
)
def test_without_a_counter_power_is_integrated(detected, monkeypatch, missing, how):
    for name, value in missing.items():
        monkeypatch.setenv(name, value)
    (meter,) = detected().meters
    assert power_w(meter) == pytest.approx(300, rel=0.01)
    assert meter.info.quality == "measured:sampled"
    assert (meter.info.low_ratio, meter.info.high_ratio) == (0.75, 1.25)
    assert meter.info.detail.endswith(how)


def test_integration_is_by_the_trapezoid_rule(detected, monkeypatch):
    monkeypatch.setenv("FAKE_NVML_NO_COUNTER", "1")
    monkeypatch.setenv("FAKE_NVML_WATTS", "100")
    (meter,) = detected().meters
    before_j, before_s = joules(meter)
    monkeypatch.setenv("FAKE_NVML_WATTS", "300")
    time.sleep(0.02)
    after_j, after_s = joules(meter)
    assert after_j - before_j == pytest.approx(200 * (after_s - before_s))


def test_a_gpu_that_tells_nothing_is_refused(detected, monkeypatch):
    for name in ("NO_COUNTER", "NO_INSTANT", "NO_POWER"):
        monkeypatch.setenv(f"FAKE_NVML_{name}", "1")
    detection = detected()
    assert detection.meters == ()
    assert "tells neither energy nor power" in detection.rejected[0].reason


def test_a_counter_set_back_is_a_gap_and_then_it_counts_on(detected, monkeypatch):
    monkeypatch.setenv("FAKE_NVML_WATTS", "1000000")
    (meter,) = detected().meters
    start_j, _ = joules(meter)
    monkeypatch.setenv("FAKE_NVML_RESET_MJ", str((time.monotonic() + 0.0) * 1e9))
    with pytest.raises(MeterUnavailable, match="driver was reloaded"):
        meter.read()
    time.sleep(0.01)
    assert joules(meter)[0] > start_j


def test_a_gpu_that_falls_silent_says_so(detected, monkeypatch):
    (meter,) = detected().meters
    monkeypatch.setenv("FAKE_NVML_NO_COUNTER", "1")
    with pytest.raises(MeterUnavailable, match="GPU"):
        meter.read()


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, ["nvml:0", "nvml:1", "nvml:2", "nvml:3"]),
        ("1,3", ["nvml:1", "nvml:3"]),
        (" 2 , 0", ["nvml:0", "nvml:2"]),
        ("GPU-20000000-fake", ["nvml:2"]),
        ("GPU-3", ["nvml:3"]),
        ("GPU-1,0", ["nvml:0", "nvml:1"]),
        ("0,9,1", ["nvml:0"]),
        ("0,GPU-,1", ["nvml:0"]),
        ("0,nonsense,1", ["nvml:0"]),
    ],
)
def test_visible_devices_are_those_of_cuda(detected, monkeypatch, visible, found):
    monkeypatch.setenv("FAKE_NVML_COUNT", "4")
    assert names(detected(visible)) == found


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles"])
def test_hidden_gpus_are_not_looked_for(detected, visible):
    detection = detected(visible)
    assert names(detection) == []
    assert detection.rejected[0].reason == "CUDA_VISIBLE_DEVICES hides every GPU"


@pytest.mark.parametrize(("visible", "reason"), [("9", "that CUDA_VISIBLE_DEVICES names"), (None, "NVML lists no GPU")])
def test_no_gpu_is_said(detected, monkeypatch, visible, reason):
    monkeypatch.setenv("FAKE_NVML_COUNT", "0")
    assert reason in detected(visible).rejected[0].reason


def test_each_gpu_has_its_own_watts(detected, monkeypatch):
    monkeypatch.setenv("FAKE_NVML_COUNT", "2")
    monkeypatch.setenv("FAKE_NVML_WATTS_1", "50")
    first, second = detected().meters
    assert power_w(first) == pytest.approx(300, rel=0.01)
    assert power_w(second) == pytest.approx(50, rel=0.01)


def test_a_mig_slice_is_its_parents_and_only_attributed(detected, monkeypatch):
    monkeypatch.setenv("FAKE_NVML_COUNT", "2")
    monkeypatch.setenv("FAKE_NVML_SLICES", "2")
    (meter,) = detected("MIG-10000000-a").meters
    assert (meter.info.name, meter.info.quality) == ("nvml:1", "attributed")
    assert "2 of 7 MIG slices" in meter.info.detail
    assert meter.share(frozenset()) == pytest.approx(2 / 7)


def test_two_slices_of_one_gpu_are_counted_once_with_both_shares(detected, monkeypatch):
    monkeypatch.setenv("FAKE_NVML_SLICES", "4")
    (meter,) = detected("MIG-00000000-a,MIG-00000000-b").meters
    assert meter.share(frozenset()) == 1.0


# ---- whose ----


@pytest.fixture
def neighbour():
    """A living process that is not the job's."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.communicate(b"\n")


def share(detected, monkeypatch, processes, pids):
    monkeypatch.setenv("FAKE_NVML_PROCESSES", processes)
    (meter,) = detected().meters
    return meter.share(frozenset(pids))


def test_a_gpu_without_processes_is_the_jobs(detected, monkeypatch):
    assert share(detected, monkeypatch, "", {1}) == 1.0


def test_a_gpu_with_only_the_jobs_processes_is_the_jobs(detected, monkeypatch):
    assert share(detected, monkeypatch, "11:50,12:5", {11, 12}) == 1.0


def test_others_take_their_share_of_the_sm_time(detected, monkeypatch, neighbour):
    assert share(detected, monkeypatch, f"11:60,{neighbour}:20", {11}) == pytest.approx(0.75)


def test_a_job_that_does_not_compute_there_has_nothing(detected, monkeypatch, neighbour):
    assert share(detected, monkeypatch, f"{neighbour}:20", {11}) == 0.0


@pytest.mark.parametrize("without", ["0", "1"])
def test_where_sm_time_is_not_told_heads_are_counted(detected, monkeypatch, neighbour, without):
    monkeypatch.setenv("FAKE_NVML_NO_USE", without)
    assert share(detected, monkeypatch, f"11:0,{neighbour}:0", {11}) == 0.5


def test_processes_of_other_containers_cannot_be_told_from_ours(detected, monkeypatch):
    assert share(detected, monkeypatch, "999999999:90", {11}) == 1.0


# ---- not there ----


def test_no_library_is_said_without_importing_the_bindings(tmp_path):
    code = (
        "import sys; from greenai.adapters.meters.nvml import detect; from greenai.model.energy import MeterEnvironment;"
        f"d = detect(MeterEnvironment(nvml_library={str(tmp_path / 'none.so')!r}));"
        "assert 'no NVIDIA driver library' in d.rejected[0].reason; assert 'pynvml' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_bindings_are_said_with_the_remedy(detected, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    (refused,) = detected().rejected
    assert refused.remedy == "pip install 'greenai[gpu]'"


def test_a_driver_that_does_not_answer_is_said(detected, monkeypatch):
    monkeypatch.setenv("FAKE_NVML_BROKEN", "1")
    assert "NVML does not answer" in detected().rejected[0].reason


def test_the_system_library_needs_no_path(library, tmp_path):
    """As users have it: found by the loader, with an empty PATH."""
    code = (
        "from greenai.adapters.meters.nvml import detect; from greenai.model.energy import MeterEnvironment;"
        "print([meter.info.name for meter in detect(MeterEnvironment()).meters])"
    )
    environment = os.environ | {"LD_LIBRARY_PATH": str(library.parent), "PATH": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['nvml:0']"


# ---- the fake itself ----


def test_the_fake_counts_in_steps_where_asked_to(detected, monkeypatch):
    monkeypatch.setenv("FAKE_NVML_PERIOD_S", "3600")
    (meter,) = detected().meters
    before_j, _ = joules(meter)
    time.sleep(0.01)
    assert joules(meter)[0] - before_j in {0.0, 300 * 3600.0}


def test_the_fake_can_be_built_from_the_shell(tmp_path):
    subprocess.run([sys.executable, "-m", "greenai.testing.nvml", str(tmp_path)], check=True)
    assert (tmp_path / "libnvidia-ml.so.1").exists()


def test_without_a_compiler_the_fake_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="needs a C compiler"):
        build_fake_nvml(tmp_path)


def test_a_compiler_that_refuses_is_quoted(tmp_path):
    with pytest.raises(InputError, match="refuses the fake NVML"):
        build_fake_nvml(tmp_path / "nowhere")
