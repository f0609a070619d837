"""A series as a file that the csv provider reads back: start_utc and one column named for its scope."""

from __future__ import annotations

from pathlib import Path

from greenai.adapters.exporters._files import locked, replace_durably
from greenai.errors import InputError
from greenai.model.series import IntensitySeries, Scope
from greenai.model.units import iso_utc

COLUMNS: dict[Scope, str] = {"unstated": "g_per_kwh", "lifecycle": "lifecycle_g_per_kwh", "direct": "direct_g_per_kwh"}


def check_free(path: Path) -> None:
    """Refuse a file that is there already, or a directory that is not; raises InputError."""
    if path.exists():
        raise InputError(f"{path} is there already", hint="choose another name, or remove it first")
    if not path.parent.is_dir():
        raise InputError(f"there is no directory {path.parent}", hint="make it first, or choose another path")


def write(path: Path, series: IntensitySeries) -> None:
    """The whole file at once; raises StoreError. A number is written as short as it reads back the same."""
    column = COLUMNS[series.scope]
    lines = [f"start_utc,{column}"]
    lines += [f"{iso_utc(series.start_at + series.step * place)},{value!r}" for place, value in enumerate(series.values.tolist())]
    with locked(path):
        replace_durably(path, ("\n".join(lines) + "\n").encode())
