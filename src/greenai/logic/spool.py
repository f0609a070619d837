"""The codec of a run's samples: JSON lines, one header, then one line per interval.

Lines are written as they happen, so the file may end anywhere: a last line
without its newline was being written when the machine stopped, and is dropped.
Anything else that does not read as it was written is damage. Floats are written
by repr and come back bit by bit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from math import isfinite
from typing import Any, Final, TypeVar, get_args

from greenai.errors import EvidenceDamaged, InputError
from greenai.model.energy import Component, EnergyInterval, EnergyTrace, MeterInfo, Quality, RejectedMeter
from greenai.model.units import iso_utc, parse_iso_utc

T = TypeVar("T")

FORMAT: Final = "greenai samples 1"
"""What the first line calls itself."""

_COMPONENTS: Final = frozenset(get_args(Component))
_QUALITIES: Final = frozenset(get_args(Quality))


def header_line(trace: EnergyTrace) -> bytes:
    """The first line: everything of the trace but its intervals."""
    document = {
        "format": FORMAT,
        "meters": [asdict(meter) for meter in trace.meters],
        "rejected": [asdict(meter) for meter in trace.rejected],
        "cores_share": trace.cores_share,
        "gpu_share": dict(trace.gpu_share),
        "notes": list(trace.notes),
    }
    return _line(document)


def interval_line(interval: EnergyInterval) -> bytes:
    """The line of one interval; what is empty is left out."""
    document: dict[str, Any] = {
        "start_at": iso_utc(interval.start_at),
        "end_at": iso_utc(interval.end_at),
        "duration_s": interval.duration_s,
        "machine_j": dict(interval.machine_j),
        "job_cpu_s": interval.job_cpu_s,
        "busy_cpu_s": interval.busy_cpu_s,
    }
    if interval.gap:
        document["gap"] = interval.gap
    if interval.gpu_share:
        document["gpu_share"] = dict(interval.gpu_share)
    return _line(document)


def note_line(note: str) -> bytes:
    """A line for a note that came up after the header was written."""
    return _line({"note": note})


def trace_of(body: bytes) -> EnergyTrace:
    """The trace that was written, a torn last line dropped; nothing written is a trace without meters.

    Raises EvidenceDamaged, which names the line.
    """
    *lines, _torn = body.split(b"\n")
    if not lines:
        return EnergyTrace(meters=())
    trace = _read(_header, lines[0], 1)
    intervals = []
    notes = list(trace.notes)
    for number, line in enumerate(lines[1:], start=2):
        entry = _read(_entry, line, number)
        if isinstance(entry, str):
            notes.append(entry)
            continue
        _check_meters(entry, trace, number)
        intervals.append(entry)
    return replace(trace, intervals=tuple(intervals), notes=tuple(notes))


def _line(document: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        raise InputError("samples hold a number that is not finite") from None
    return text.encode() + b"\n"


def _read(parse: Callable[[dict[str, Any]], T], line: bytes, number: int) -> T:
    """The line parsed; whatever is wrong with it is said in one way."""
    try:
        return parse(_object(json.loads(line)))
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        detail = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise EvidenceDamaged(f"line {number} of the samples does not read: {detail}") from None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not an object")
    return value


def _header(document: dict[str, Any]) -> EnergyTrace:
    if document.pop("format") != FORMAT:
        raise ValueError(f"it is not {FORMAT!r}")
    trace = EnergyTrace(
        meters=tuple(_meter(_object(item)) for item in _list(document.pop("meters"))),
        rejected=tuple(_rejected(_object(item)) for item in _list(document.pop("rejected"))),
        cores_share=_number(document.pop("cores_share")),
        gpu_share=_numbers(document.pop("gpu_share")),
        notes=tuple(_text(note) for note in _list(document.pop("notes"))),
    )
    _check_nothing_left(document)
    return trace


def _meter(document: dict[str, Any]) -> MeterInfo:
    for name in ("name", "detail"):
        _text(document[name])
    for name in ("low_ratio", "high_ratio", "edge_s"):
        document[name] = _number(document[name])
    for name in ("idle_w", "idle_share"):
        document[name] = None if document[name] is None else _number(document[name])
    if document["component"] not in _COMPONENTS or document["quality"] not in _QUALITIES:
        raise ValueError(f"meter {document['name']} has an unknown component or quality")
    return MeterInfo(**document)


def _rejected(document: dict[str, Any]) -> RejectedMeter:
    for value in document.values():
        _text(value)
    return RejectedMeter(**document)


def _entry(document: dict[str, Any]) -> EnergyInterval | str:
    """An interval, or the text of a note."""
    if "note" in document:
        note = _text(document.pop("note"))
        _check_nothing_left(document)
        return note
    interval = EnergyInterval(
        start_at=parse_iso_utc(document.pop("start_at")),
        end_at=parse_iso_utc(document.pop("end_at")),
        duration_s=_number(document.pop("duration_s")),
        machine_j=_numbers(document.pop("machine_j")),
        job_cpu_s=_number(document.pop("job_cpu_s")),
        busy_cpu_s=_number(document.pop("busy_cpu_s")),
        gap=_text(document.pop("gap", "")),
        gpu_share=_numbers(document.pop("gpu_share", {})),
    )
    _check_nothing_left(document)
    return interval


def _check_meters(interval: EnergyInterval, trace: EnergyTrace, number: int) -> None:
    unknown = set(interval.machine_j) - {meter.name for meter in trace.meters}
    if unknown:
        raise EvidenceDamaged(f"line {number} of the samples names a meter the header does not: {', '.join(sorted(unknown))}")


def _check_nothing_left(document: Mapping[str, Any]) -> None:
    if document:
        raise ValueError(f"unknown {', '.join(sorted(document))}")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)


def _numbers(value: Any) -> dict[str, float]:
    return {name: _number(number) for name, number in _object(value).items()}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value
