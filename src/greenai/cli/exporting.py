"""Evidence as files for other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from greenai.errors import InputError
from greenai.logic.evidence_rows import COLUMNS, evidence_row


def exported(documents: Iterable[Mapping[str, Any]], form: str) -> str:
    """Evidence documents as "csv" (the columns of evidence.csv), "json" (one array) or "jsonl" (one object a line)."""
    if form == "json":
        return json.dumps(list(documents), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if form == "jsonl":
        return "".join(json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n" for document in documents)
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    rows.writeheader()
    rows.writerows(evidence_row(document) for document in documents)
    return text.getvalue()


def write_file(out: str, text: str) -> None:
    """Write a file whole or not at all; raises InputError where that is not possible."""
    path = Path(out)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{out} cannot be written: {error.strerror}", hint="choose another file for --out") from None
