"""The packaged table of embodied emissions: every row usable, cited, and a range."""

from __future__ import annotations

import csv
from importlib import resources

import pytest

from greenai.errors import InputError
from greenai.logic.embodied import embodied_from_table, embodied_items

TABLE = (resources.files("greenai.facts") / "embodied.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("row", list(csv.DictReader(TABLE.splitlines())), ids=lambda row: row["item"])
def test_every_row_is_a_cited_range(row):
    known = embodied_from_table(TABLE, row["item"])
    assert 0 < known.total_g.low < known.total_g.value < known.total_g.high
    assert 3 <= float(row["life_years"]) <= 6
    assert 2015 <= int(row["year"]) <= 2026
    assert len(row["source"]) > 20
    assert row["source"] in known.source
    assert row["item"] == row["item"].lower(), "items are found in lower case"


def test_items_are_found_once_each():
    items = embodied_items(TABLE)
    assert len(set(items)) == len(items) >= 10


def test_a_gpu_hour():
    """An H100 for an hour: 370 kg over three years is 14 g."""
    assert embodied_from_table(TABLE, "H100-SXM").over(3600).value == pytest.approx(14.07, abs=0.01)
    assert embodied_from_table(TABLE, "vcpu", resource_share=4).over(3600).value == pytest.approx(4 * 12_000 / 35_064)


def test_an_unknown_item_names_the_nearest():
    with pytest.raises(InputError, match=r"'p4d\.24xlage'") as caught:
        embodied_from_table(TABLE, "p4d.24xlage")
    assert caught.value.hint.startswith("known are p4d.24xlarge")
    with pytest.raises(InputError) as caught:
        embodied_from_table(TABLE, "qqq")
    assert "vcpu, m5.large" in caught.value.hint
