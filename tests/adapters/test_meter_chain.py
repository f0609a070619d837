"""Which meters are taken, and what is said of the others."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from greenai.adapters.meters.chain import MeterChain
from greenai.errors import InputError, MeterUnavailable
from greenai.logic.metering import sample
from greenai.model.energy import Detection, MeterEnvironment, MeterInfo, RejectedMeter

NOWHERE = MeterEnvironment()


class Fixed:
    def __init__(self, name, component, quality="measured:counter", failure=None):
        self.info = MeterInfo(name=name, component=component, quality=quality, low_ratio=1, high_ratio=1)
        self.failure = failure

    def read(self):
        if self.failure:
            raise self.failure
        return sample(self.info, 1.0, taken_at=datetime.now(UTC), monotonic_s=0.0)


def finds(*meters, rejected=()):
    return lambda _environment: Detection(meters=meters, rejected=rejected)


RAPL = finds(Fixed("rapl:cpu", "cpu"), Fixed("rapl:dram", "dram"))
MODEL = finds(Fixed("model:cpu", "cpu", "modelled"), Fixed("model:dram", "dram", "modelled"))
ASSUMED = finds(Fixed("assumed", "node", "assumed"))
GPUS = finds(Fixed("nvml:0", "gpu"), Fixed("nvml:1", "gpu"))


def chosen(detectors, environment=NOWHERE, choice=None):
    chain = MeterChain.detect(detectors, environment, choice)
    return [info.name for info in chain.infos], {item.name: item.reason for item in chain.rejected}


def test_the_best_of_each_component_and_a_reason_for_the_rest():
    names, reasons = chosen({"assumed": ASSUMED, "modelled": MODEL, "nvml": GPUS, "rapl": RAPL})
    assert names == ["nvml:0", "nvml:1", "rapl:cpu", "rapl:dram"]
    assert reasons == {
        "model:cpu": "rapl gives cpu",
        "model:dram": "rapl gives dram",
        "assumed": "rapl gives cpu, rapl gives dram",
    }


def test_a_model_of_memory_stands_beside_a_counted_processor():
    names, _ = chosen({"rapl": finds(Fixed("rapl:cpu", "cpu")), "modelled": MODEL})
    assert names == ["rapl:cpu", "model:dram"]


def test_a_node_meter_excludes_processor_and_memory_but_no_gpu():
    names, reasons = chosen({"rapl": finds(Fixed("rapl:node", "node")), "modelled": MODEL, "nvml": GPUS})
    assert names == ["rapl:node", "nvml:0", "nvml:1"]
    assert set(reasons) == {"model:cpu", "model:dram"}


def test_nothing_is_counted_twice_by_a_worse_node_meter():
    names, _ = chosen({"modelled": MODEL, "assumed": ASSUMED})
    assert names == ["model:cpu", "model:dram"]


def test_a_power_the_user_states_goes_before_a_model_but_not_before_a_counter():
    stated = MeterEnvironment(assumed_w=200.0)
    assert chosen({"modelled": MODEL, "assumed": ASSUMED}, stated)[0] == ["assumed"]
    assert chosen({"rapl": RAPL, "assumed": ASSUMED}, stated)[0] == ["rapl:cpu", "rapl:dram"]


def test_between_equals_the_first_detector_wins():
    names, reasons = chosen({"one": finds(Fixed("one", "cpu")), "two": finds(Fixed("two", "cpu"))})
    assert (names, reasons) == (["one"], {"two": "one gives cpu"})


def test_a_choice_takes_those_meters_and_no_other():
    names, reasons = chosen({"rapl": RAPL, "modelled": MODEL, "nvml": GPUS}, choice="modelled")
    assert names == ["model:cpu", "model:dram"]
    assert reasons == dict.fromkeys(["rapl", "nvml"], "not chosen: the meter was set to modelled")


def test_several_can_be_chosen():
    assert chosen({"rapl": RAPL, "modelled": MODEL, "nvml": GPUS}, choice="modelled, nvml")[0] == [
        "nvml:0",
        "nvml:1",
        "model:cpu",
        "model:dram",
    ]


def test_the_detectors_are_told_what_was_chosen():
    seen = []

    def detect(environment):
        seen.append(environment.chosen)
        return Detection(meters=(Fixed("m", "cpu"),))

    MeterChain.detect({"m": detect}, NOWHERE, "m")
    MeterChain.detect({"m": detect}, NOWHERE, "auto")
    assert seen == [("m",), ()]


def test_a_meter_nobody_knows_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="no meter 'rapi'") as error:
        chosen({"rapl": RAPL, "nvml": GPUS}, choice="rapi")
    assert error.value.hint == "meters: auto, nvml, rapl"


def test_a_chosen_meter_that_measures_nothing_is_refused_with_its_reason_and_remedy():
    refused = RejectedMeter(name="rapl:cpu", component="cpu", reason="permission denied", remedy="sudo chmod")
    with pytest.raises(InputError, match="rapl measures nothing here: permission denied") as error:
        chosen({"rapl": finds(rejected=(refused, refused))}, choice="rapl")
    assert error.value.hint == "sudo chmod"


def test_a_chosen_meter_that_found_nothing_at_all_is_refused():
    with pytest.raises(InputError, match="it found nothing") as error:
        chosen({"rapl": finds()}, choice="rapl")
    assert error.value.hint == "leave the choice to --meter auto"


def test_a_detector_that_breaks_costs_only_itself():
    def broken(_environment):
        raise ZeroDivisionError("division by zero")

    names, reasons = chosen({"other": broken, "rapl": RAPL})
    assert names == ["rapl:cpu", "rapl:dram"]
    assert "division by zero" in reasons["other"]


def test_a_meter_that_cannot_be_read_makes_room_for_the_next():
    dead = Fixed("dead", "cpu", failure=MeterUnavailable("no more"))
    names, reasons = chosen({"dead": finds(dead), "modelled": MODEL})
    assert names == ["model:cpu", "model:dram"]
    assert reasons == {"dead": "no more"}


def test_what_detectors_reject_is_kept():
    refused = RejectedMeter(name="rapl:cpu", component="cpu", reason="no zones", remedy="modprobe")
    chain = MeterChain.detect({"rapl": finds(rejected=(refused,)), "modelled": MODEL}, NOWHERE)
    assert refused in chain.rejected
