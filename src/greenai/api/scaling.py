"""The scaling curve of a job: read as the user gives it, or measured by running the command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from greenai.api.measuring import energy_use
from greenai.config import Settings
from greenai.errors import GreenaiError, InputError
from greenai.logic.scaling_document import ScalingRun, document_of, measured_curve, throughput_from_words
from greenai.model.scaling import ScalingCurve
from greenai.wiring import check_command, detect_meters, local_executor, metering_of, settings_with, system_clock

WORKERS = "{workers}"
INTERRUPTED = 130

Told = Callable[[ScalingRun, int, int], None]
"""(run, how many are done, of how many)."""


def scaling_of(
    given: str | Path | ScalingCurve, *, worker_w: float | None = None, shared_w: float | None = None, hull: bool = False
) -> ScalingCurve:
    """A curve from `1=1,2=1.9,4=3.4`, or from the file that `profile_scaling` wrote, whose powers count unless given here.

    Raises:
        InputError: the file cannot be read, or the curve cannot be used; the sentence names the step.
    """
    if isinstance(given, ScalingCurve):
        return given
    power: dict[str, Any] = {"worker_w": worker_w, "shared_w": shared_w or 0.0}
    if isinstance(given, str) and ("=" in given or not Path(given).exists()):
        return ScalingCurve.of(throughput_from_words(given), hull=hull, **power)
    throughput, drawn_w = measured_curve(_json(Path(given)))
    return ScalingCurve.of(throughput, drawn_w=drawn_w if worker_w is None else None, hull=hull, **power)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="name a scaling profile") from None
    except ValueError:
        raise InputError(f"{path} is no JSON file", hint="greenai profile-scaling --out FILE writes one") from None


def profile_scaling(
    command: Sequence[str],
    workers: Sequence[int],
    *,
    repeat: int = 3,
    work_units: float | None = None,
    tell: Told = lambda run, done, total: None,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Run the command with each number of workers, `{workers}` replaced in its arguments, and meter it.

    Repeats go round all counts, so that a machine that warms up slows all alike.
    Every run must do the same work. Returns the document of
    schemas/profile_scaling.schema.json.

    Raises:
        InputError: no `{workers}` in the command, or counts that can be none.
        GreenaiError: the command ended with an error.
        KeyboardInterrupt: it was interrupted.
    """
    counts = sorted(set(workers))
    _refuse(command, counts, repeat)
    known = settings_with(settings)
    detect_meters(known)
    rounds = [count for _ in range(repeat) for count in counts]
    runs: list[ScalingRun] = []
    for done, count in enumerate(rounds, start=1):
        runs.append(_run(_with(command, count), count, known))
        tell(runs[-1], done, len(rounds))
    return document_of(command, runs, made_at=system_clock().now(), work_units=work_units)


def _refuse(command: Sequence[str], counts: Sequence[int], repeat: int) -> None:
    if not any(WORKERS in word for word in command):
        raise InputError(
            f"the command does not say where the number of workers goes: no {WORKERS} in it",
            hint=f"for example: greenai profile-scaling --workers 1,2,4 -- python train.py --workers {WORKERS}",
        )
    if not counts or counts[0] < 1 or repeat < 1:
        raise InputError("workers and repeats are counted from 1", hint="for example --workers 1,2,4 --repeat 3")
    check_command(_with(command, counts[0]))


def _with(command: Sequence[str], count: int) -> list[str]:
    return [word.replace(WORKERS, str(count)) for word in command]


def _run(command: Sequence[str], count: int, settings: Settings) -> ScalingRun:
    """One run, metered from before it starts until it has ended."""
    executor, metering = local_executor(), metering_of(settings, lambda line: None, adopts=True)
    metering.start()
    try:
        handle = executor.launch(command, "profile", {})
        metering.watch(executor.pid(handle))
        code = executor.wait(handle)
    finally:
        trace = metering.stop()
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise GreenaiError(
            f"the command ended with exit code {code} where {WORKERS} was {count}", hint="make it succeed by itself first"
        )
    used = energy_use(trace, 0.0)
    return ScalingRun(
        workers=count,
        duration_s=used.duration_s,
        energy_j=used.energy_j,
        low_j=used.low_j,
        high_j=used.high_j,
        quality=used.quality,
        meter=used.meter,
    )


def write_profile(path: Path, document: Mapping[str, Any]) -> None:
    """Keep a profile where `scaling_of` finds it.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", hint="choose another file") from None


def words_in(text: str) -> Iterator[int]:
    """`1,2,4` as numbers."""
    for part in text.split(","):
        if not part.strip().isdigit():
            raise InputError(f"workers are written like 1,2,4, not {text!r}")
        yield int(part)
