"""carbon_aware_decision.json: a JSON list, one entry a run, replaced as a whole and at once.

A file that is no JSON list is kept as .bak-N: the history in it may be mended, it
is never written over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from greenai.adapters.exporters._files import check_place, content, free_name, locked, replace_durably


def check_writable(path: Path) -> None:
    """Raise InputError unless an entry can be added; what the file holds is left as it is."""
    check_place(path.resolve())


def append_entry(path: Path, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Add an entry; returns warnings. Raises StoreError, the file then as it was."""
    path = path.resolve()
    with locked(path) as descriptor:
        body = content(descriptor)
        entries = _entries(body)
        warnings: tuple[str, ...] = ()
        if entries is None:
            aside = free_name(path, "bak")
            replace_durably(aside, body)
            warnings = (f"{path} was no JSON list: it is kept as {aside.name} and a new one begun",)
        text = json.dumps([*(entries or ()), dict(entry)], indent=2, ensure_ascii=False)
        replace_durably(path, text.encode("utf-8", "backslashreplace") + b"\n")
    return warnings


def _entries(body: bytes) -> list[Any] | None:
    """What the file lists; None when it is no list."""
    if not body.strip():
        return []
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None
