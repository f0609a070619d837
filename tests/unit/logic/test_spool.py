"""The samples file: exact both ways, torn ends dropped, damage named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from greenai.errors import EvidenceDamaged, InputError
from greenai.logic.spool import header_line, interval_line, note_line, trace_of
from greenai.model.energy import EnergyInterval, EnergyTrace, MeterInfo, RejectedMeter

START = datetime(2026, 11, 24, 9, 0, 0, 123456, tzinfo=UTC)
TRACE = EnergyTrace(
    meters=(
        MeterInfo(name="rapl:cpu", component="cpu", quality="measured:counter", low_ratio=0.95, high_ratio=1.05, detail="ü"),
        MeterInfo(
            name="ram",
            component="dram",
            quality="modelled",
            low_ratio=0.6,
            high_ratio=1.6,
            edge_s=0.1,
            idle_w=9.4,
            idle_share=0.5,
        ),
    ),
    rejected=(RejectedMeter(name="nvml", component="gpu", reason="no driver", remedy="buy one"),),
    intervals=(
        EnergyInterval(
            start_at=START,
            end_at=START + timedelta(seconds=1),
            duration_s=1.0000000000000002,
            machine_j={"rapl:cpu": 0.1 + 0.2, "ram": 5e-324},
            job_cpu_s=1 / 3,
            busy_cpu_s=1.5,
        ),
        EnergyInterval(
            start_at=START + timedelta(seconds=1),
            end_at=START + timedelta(seconds=2),
            duration_s=1.0,
            machine_j={},
            job_cpu_s=0.0,
            busy_cpu_s=0.0,
            gap="suspended for 5 s",
            gpu_share={"nvml:0": 0.25},
        ),
    ),
    cores_share=0.75,
    gpu_share={"nvml:1": 0.5},
    notes=("a note",),
)


def body(trace=TRACE):
    return header_line(trace) + b"".join(interval_line(interval) for interval in trace.intervals)


def test_what_is_written_is_read_bit_by_bit():
    assert trace_of(body()) == TRACE


def test_a_line_is_one_line_of_json_and_leaves_out_what_is_empty():
    line = interval_line(TRACE.intervals[0])
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert set(json.loads(line)) == {"start_at", "end_at", "duration_s", "machine_j", "job_cpu_s", "busy_cpu_s"}


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_torn_last_line_is_dropped(cut):
    assert trace_of(body()[:-cut]).intervals == TRACE.intervals[:1]


def test_zeros_where_the_disk_was_extended_are_a_torn_line():
    assert trace_of(body() + b"\0" * 512) == TRACE


@pytest.mark.parametrize("nothing", [b"", b'{"format":"greenai sam'])
def test_nothing_written_is_a_trace_without_meters(nothing):
    assert trace_of(nothing) == EnergyTrace(meters=())


def test_notes_that_came_later_follow_those_of_the_header():
    late = body() + note_line("the disk was full")
    assert trace_of(late).notes == ("a note", "the disk was full")
    assert trace_of(late).intervals == TRACE.intervals


@pytest.mark.parametrize("energy_j", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_not_written(energy_j):
    bad = EnergyInterval(start_at=START, end_at=START, duration_s=0.0, machine_j={"m": energy_j}, job_cpu_s=0.0, busy_cpu_s=0.0)
    with pytest.raises(InputError, match="not finite"):
        interval_line(bad)


def spoiled(number, **changes):
    """The body with keys of one line replaced; None takes a key away."""
    lines = body().split(b"\n")
    document = json.loads(lines[number])
    document.update(changes)
    lines[number] = json.dumps({key: value for key, value in document.items() if value is not None}).encode()
    return b"\n".join(lines)


def spoiled_meter(**changes):
    document = json.loads(header_line(TRACE))
    document["meters"][0].update(changes)
    return json.dumps(document).encode() + b"\n"


DAMAGE = {
    "no json": b"{]\n",
    "no object": b"[1]\n",
    "an empty line": body() + b"\n",
    "no header": interval_line(TRACE.intervals[0]),
    "another format": spoiled(0, format="other"),
    "no meters": spoiled(0, meters=None),
    "meters no list": spoiled(0, meters={}),
    "rejected of numbers": spoiled(0, rejected=[{"name": 1, "component": "cpu", "reason": "r"}]),
    "rejected without reason": spoiled(0, rejected=[{"name": "n", "component": "cpu"}]),
    "a header with more": spoiled(0, more=1),
    "a share no number": spoiled(0, cores_share=True),
    "a meter without a name": spoiled_meter(name=None),
    "a meter with more": spoiled_meter(more=1),
    "a meter of nothing": spoiled_meter(component="fan"),
    "a meter of no grade": spoiled_meter(quality="good"),
    "a meter with a word for a number": spoiled_meter(low_ratio="0.9"),
    "a time without a zone": spoiled(1, start_at="2026-11-24T09:00:00"),
    "a time no text": spoiled(1, end_at=5),
    "no duration": spoiled(1, duration_s=None),
    "a number too large": body().replace(b'"job_cpu_s":0.0', b'"job_cpu_s":1e999'),
    "joules no object": spoiled(1, machine_j=[1]),
    "joules of an unknown meter": spoiled(1, machine_j={"other": 1.0}),
    "a gap no text": spoiled(1, gap=1),
    "an interval with more": spoiled(1, more=1),
    "a note with more": body() + b'{"note":"n","more":1}\n',
    "a second header": header_line(TRACE) + header_line(TRACE),
    "depth": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_named_by_its_line(damage):
    with pytest.raises(EvidenceDamaged, match=r"line \d+ of the samples"):
        trace_of(damage)


def test_the_line_is_counted_from_one():
    with pytest.raises(EvidenceDamaged, match="line 2 of the samples does not read: 'duration_s' is missing"):
        trace_of(spoiled(1, duration_s=None))


def test_whole_numbers_are_numbers():
    assert trace_of(spoiled(1, duration_s=1)).intervals[0].duration_s == 1.0
