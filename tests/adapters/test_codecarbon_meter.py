"""CodeCarbon as a meter, over a stand-in with its public face; the real one is compared in bench/metering.py."""

from __future__ import annotations

import logging
import sys

import pytest

from greenai.adapters.meters.codecarbon import PARAMETERS, detect
from greenai.errors import MeterUnavailable
from greenai.model.energy import MeterEnvironment

CHOSEN = MeterEnvironment(chosen=("codecarbon",))

STAND_IN = """
import logging
from types import SimpleNamespace

__version__ = "9.9"
made = []
hardware = []
behaviour = SimpleNamespace(silent=False, broken=False)


class OfflineEmissionsTracker:
    def __init__(self, **parameters):
        if behaviour.broken:
            raise AttributeError("final_emissions_data")
        self.parameters = parameters
        self.calls = []
        self.kwh = 0.0
        self.level = logging.getLogger("codecarbon").level
        made.append(self)
        if hardware is not None:
            self._hardware = hardware

    def start(self):
        self.calls.append("start")

    def stop(self):
        self.calls.append("stop")

    def flush(self):
        self.calls.append("flush")
        self.kwh += 1e-6
        if not behaviour.silent:
            total = SimpleNamespace(cpu_energy=self.kwh, ram_energy=2 * self.kwh, gpu_energy=3 * self.kwh)
            for handler in self.parameters["output_handlers"]:
                handler.out(total, total)
"""

BASE = "class BaseOutput:\n    def out(self, total, delta): ...\n"


@pytest.fixture
def codecarbon(tmp_path, monkeypatch):
    """A package that looks like CodeCarbon."""
    package = tmp_path / "codecarbon" / "output_methods"
    package.mkdir(parents=True)
    package.with_name("__init__.py").write_text(STAND_IN)
    (package / "__init__.py").touch()
    (package / "base_output.py").write_text(BASE)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "codecarbon"]:
        monkeypatch.delitem(sys.modules, name)
    import codecarbon

    yield codecarbon
    for name in [name for name in sys.modules if name.split(".")[0] == "codecarbon"]:
        del sys.modules[name]


def part(name, mode=None):
    return type(name, (), {"_mode": mode} if mode else {})()


def test_it_is_taken_only_when_chosen():
    (refused,) = detect(MeterEnvironment()).rejected
    assert refused.reason == "only when chosen: --meter codecarbon"


def test_a_missing_codecarbon_is_said_with_the_remedy(monkeypatch):
    monkeypatch.setattr("greenai.adapters.meters.codecarbon.find_spec", lambda _name: None)
    (refused,) = detect(CHOSEN).rejected
    assert refused.remedy == "pip install 'greenai[codecarbon]'"


def test_its_energies_are_read_in_joules_by_one_tracker(codecarbon):
    codecarbon.hardware[:] = [part("CPU", "intel_rapl"), part("RAM"), part("GPU")]
    meters = detect(CHOSEN).meters
    assert [meter.read()[0].energy_j for meter in meters] == [0.0, 0.0, 0.0]
    warm, counting = codecarbon.made
    assert warm.calls == ["start", "stop"], "its first start takes seconds, so another tracker takes it"
    meters[0]._source._asked_s -= 1
    assert [meter.read()[0].energy_j for meter in meters] == pytest.approx([3.6, 7.2, 10.8])
    assert counting.calls == ["start", "flush"], "the meters of one read share one measurement"


def test_its_method_is_its_grade(codecarbon):
    codecarbon.hardware[:] = [part("CPU", "intel_rapl"), part("RAM"), part("GPU")]
    infos = {meter.info.component: meter.info for meter in detect(CHOSEN).meters}
    assert {component: info.quality for component, info in infos.items()} == {
        "cpu": "measured:counter",
        "dram": "assumed",
        "gpu": "measured:counter",
    }
    assert infos["cpu"].detail == "CodeCarbon 9.9, method intel_rapl"
    assert infos["dram"].high_ratio == 3.0


def test_a_load_model_is_no_measurement(codecarbon):
    codecarbon.hardware[:] = [part("CPU", "cpu_load")]
    (meter,) = detect(CHOSEN).meters
    assert (meter.info.name, meter.info.quality) == ("codecarbon:cpu", "assumed")


def test_a_version_that_hides_its_method_is_unknown(codecarbon):
    codecarbon.hardware = None
    assert [meter.info.detail for meter in detect(CHOSEN).meters] == ["CodeCarbon 9.9, method unknown"] * 2


def test_nothing_is_left_to_its_configuration(codecarbon):
    detect(CHOSEN)
    given = {name: value for name, value in codecarbon.made[0].parameters.items() if name != "output_handlers"}
    assert given == dict(PARAMETERS)
    assert given["force_carbon_intensity_g_co2e_kwh"] == 0.0, "its kilograms are zero, nobody can mix them in"
    assert (given["pue"], given["wue"], given["output_methods"]) == (1.0, 0.0, [])


def test_it_is_silenced_before_its_first_tracker(codecarbon):
    logging.getLogger("codecarbon").setLevel(logging.INFO)
    detect(CHOSEN)
    assert [tracker.level for tracker in codecarbon.made] == [logging.CRITICAL]


def test_a_tracker_that_does_not_start_is_said(codecarbon):
    codecarbon.behaviour.broken = True
    (refused,) = detect(CHOSEN).rejected
    assert refused.reason == "CodeCarbon does not start: final_emissions_data"


def test_a_flush_that_swallowed_its_error_is_no_reading(codecarbon):
    codecarbon.hardware[:] = [part("CPU", "intel_rapl")]
    (meter,) = detect(CHOSEN).meters
    meter.read()
    codecarbon.behaviour.silent = True
    meter._source._asked_s -= 1
    with pytest.raises(MeterUnavailable, match="gave no figures"):
        meter.read()
