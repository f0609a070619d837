"""Every meter keeps the contract that plug-in authors inherit."""

from __future__ import annotations

import pytest

from greenai.adapters.meters import assumed, modelled, nvml, rapl
from greenai.model.energy import MeterEnvironment
from greenai.testing import MeterContract
from greenai.testing.nvml import build_fake_nvml, compiler
from greenai.testing.powercap import FakePowercap, server


class TestRapl(MeterContract):
    @pytest.fixture(autouse=True)
    def tree(self, tmp_path):
        self.powercap = FakePowercap(tmp_path, server())

    def meter(self):
        return rapl.detect(MeterEnvironment(powercap_root=str(self.powercap.root))).meters[0]

    def broken_meter(self):
        meter = self.meter()
        self.powercap.counter("package-0").unlink()
        return meter

    def pass_time(self):
        self.powercap.step(1.0)


class TestModelled(MeterContract):
    @pytest.fixture(autouse=True)
    def proc(self, tmp_path):
        self.root = tmp_path
        (tmp_path / "cpuinfo").write_text("vendor_id\t: GenuineIntel\n")
        (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\n")
        self.ticks = 0
        self.pass_time()

    def meter(self):
        return modelled.detect(MeterEnvironment(proc_root=str(self.root))).meters[0]

    def broken_meter(self):
        meter = self.meter()
        (self.root / "stat").unlink()
        return meter

    def pass_time(self):
        self.ticks += 50
        (self.root / "stat").write_text(f"cpu  {self.ticks} 0 0 0 0 0 0\ncpu0 0\n")


class TestMemoryModel(MeterContract):
    def meter(self):
        return modelled.detect(MeterEnvironment()).meters[1]


class TestAssumed(MeterContract):
    def meter(self):
        return assumed.detect(MeterEnvironment()).meters[0]


@pytest.mark.skipif(compiler() is None, reason="no C compiler: the fake NVML cannot be built")
class TestNvml(MeterContract):
    @pytest.fixture(autouse=True)
    def library(self, tmp_path, monkeypatch):
        pynvml = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
        pynvml._nvmlGetFunctionPointer_cache.clear()
        self.environment = MeterEnvironment(nvml_library=str(build_fake_nvml(tmp_path)))
        self.monkeypatch = monkeypatch

    def meter(self):
        return nvml.detect(self.environment).meters[0]

    def broken_meter(self):
        meter = self.meter()
        self.monkeypatch.setenv("FAKE_NVML_NO_COUNTER", "1")
        return meter
