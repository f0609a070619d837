"""The verifier printed in the reference works on a real ledger, and catches what it says it catches."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenai.adapters.ledger import FileLedger
from greenai.logic.evidence_rows import COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "evidence-format.md").read_text(encoding="utf-8")
AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.fixture
def home(tmp_path):
    ledger = FileLedger(tmp_path)
    for number in range(4):
        ledger.append("note", {"number": number / 7, "text": 'ü ,"sha256":"x"', "sha256": "0" * 64}, AT)
    return tmp_path


def outsider(home):
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    return subprocess.run([sys.executable, "-I", "-c", script, str(home)], capture_output=True, text=True, check=False)


def test_an_honest_ledger_holds(home):
    done = outsider(home)
    assert (done.returncode, done.stdout) == (0, "4 rows hold\n"), done.stderr


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda lines: [lines[0], lines[1].replace(b"1428", b"1429"), *lines[2:]], "line 2: changed"),
        (lambda lines: [lines[0], *lines[2:]], "line 2: does not follow the row before it"),
        (lambda lines: lines[:-1], "rows are missing at the end"),
        (lambda lines: [b"{}\n", *lines], "line 1: no hash"),
    ],
)
def test_a_spoiled_ledger_does_not(home, spoil, said):
    ledger = home / "ledger.jsonl"
    ledger.write_bytes(b"".join(spoil(ledger.read_bytes().splitlines(keepends=True))))
    done = outsider(home)
    assert done.returncode == 1
    assert said in done.stderr


def test_the_page_names_every_column():
    (first, rest) = re.findall(r"`([\w, \n]*run_id, phase[\w, \n]*)`.*?Then: `([\w, \n]+)`", PAGE, re.DOTALL)[0]
    assert re.split(r",\s+", first + ", " + rest) == list(COLUMNS)
