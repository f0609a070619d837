"""The verbs of the ledger: list, show, settle, verify."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from greenai.config import Settings
from greenai.engine.run import shown
from greenai.engine.settle import SettleReport, histories, settle_all
from greenai.engine.verify import VerifyReport
from greenai.errors import InputError
from greenai.wiring import open_doors, open_ledger, settings_with, verify_ledger


def evidence_list(*, settings: Settings | None = None) -> list[dict[str, Any]]:
    """The evidence of every run, oldest first; a settlement stands in for what it settles.

    Raises:
        StoreError: the ledger cannot be read.
    """
    runs = histories(open_ledger(settings_with(settings)).records()).values()
    return [shown(run.evidence) for run in runs if run.evidence is not None]


def evidence_show(selector: str = "last", *, settings: Settings | None = None) -> dict[str, Any]:
    """The evidence of one run: "last", a run id, or the beginning of one.

    Raises:
        InputError: no run, or more than one, fits.
        StoreError: the ledger cannot be read.
    """
    documents = evidence_list(settings=settings)
    if not documents:
        raise InputError("there is no evidence yet", hint="greenai run -- COMMAND makes some")
    if selector == "last":
        return documents[-1]
    found = [document for document in documents if document["run_id"].startswith(selector)]
    exact = [document for document in found if document["run_id"] == selector]
    if len(exact or found) != 1:
        how_many = "no run begins" if not found else f"{len(found)} runs begin"
        raise InputError(f"{how_many} with {selector!r}", hint="greenai evidence list shows the run ids")
    return (exact or found)[0]


def settle(*, settings: Settings | None = None) -> SettleReport:
    """Give dead runs their evidence, and provisional evidence its measured intensities.

    Raises:
        StoreError: the ledger cannot be read or written.
    """
    return settle_all(open_doors(settings_with(settings)))


def verify(csv_paths: Sequence[str | Path] = (), *, settings: Settings | None = None) -> VerifyReport:
    """Check the chain and recompute every number from samples and archived responses.

    Raises:
        StoreError: the ledger cannot be read at all.
    """
    return verify_ledger(settings_with(settings), [Path(path) for path in csv_paths])
