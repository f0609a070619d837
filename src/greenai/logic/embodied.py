"""Embodied emissions out of the packaged table: a range for each item, with its source.

The table (facts/embodied.csv) has the making of whole things; a run is charged its
share of their service life, see `Embodied.over`.
"""

from __future__ import annotations

import csv
from difflib import get_close_matches

from greenai.errors import InputError
from greenai.model.footprint import Embodied, Estimate

HOURS_PER_YEAR = 8766.0
"""365.25 days."""

GRAMS_PER_KG = 1000.0


def embodied_items(table: str) -> tuple[str, ...]:
    """The items of the table, in its order."""
    return tuple(row["item"] for row in csv.DictReader(table.splitlines()))


def embodied_from_table(table: str, item: str, *, resource_share: float = 1.0) -> Embodied:
    """The embodied emissions of `resource_share` of an item: 8 vcpu, or a quarter of a p4d.24xlarge.

    Raises InputError for an item that is not in the table, with the nearest that are.
    """
    for row in csv.DictReader(table.splitlines()):
        if row["item"] == item.lower():
            value, low, high = (float(row[column]) * GRAMS_PER_KG for column in ("total_kg", "low_kg", "high_kg"))
            return Embodied(
                total_g=Estimate(value=value, low=low, high=high),
                life_h=float(row["life_years"]) * HOURS_PER_YEAR,
                resource_share=resource_share,
                source=f"{row['item']}, {row['year']}: {row['source']}",
            )
    known = embodied_items(table)
    near = get_close_matches(item.lower(), known, n=3)
    raise InputError(
        f"no embodied emissions are known of {item!r}",
        hint=f"known are {', '.join(near or known)}; or state them in kg with the setting embodied_kg",
    )
