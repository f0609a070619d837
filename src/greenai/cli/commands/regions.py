"""`greenai regions`: the cloud regions, their grids and buildings."""

from __future__ import annotations

from typing import Any

import click

from greenai.cli.command import Command, Session, pass_session

HELP = """Which cloud regions are there, and on what grid?

\b
  greenai regions --cloud aws --near 52.5,13.4 --allow EU

Nothing is asked over the network: greenai plan --places compares them as the
grids are now.
"""


@click.command(cls=Command, help=HELP)
@click.option("--cloud", metavar="NAME", help="Of this cloud only: aws, azure, gcp, ovh.")
@click.option("--near", metavar="LAT,LON", help="The nearest first, with distance and least latency.")
@click.option("--within-km", metavar="KM", type=click.FloatRange(min=0), help="None farther from there.")
@click.option("--allow", metavar="WHERE,...", help="Only there: EU, EEA, countries like DE, names like aws:eu-*.")
@pass_session
def regions(session: Session, /, cloud: str | None, **asked: Any) -> None:
    """List them."""
    from greenai import api

    found = api.regions(cloud, **asked, settings=session.settings())
    if session.json:
        session.screen.document([region.document() for region in found])
        return
    if not found:
        session.screen.answer("No region keeps these limits")
        return
    from greenai.cli import words
    from greenai.cli.screen import table

    rows = [
        (
            one.site.name,
            one.site.title,
            one.site.place.zone,
            f"{one.distance_km:.0f}" if one.distance_km is not None else "",
            f"{one.least_round_trip_ms:.0f}" if one.least_round_trip_ms is not None else "",
            words.intensity(one.g_per_kwh),
            f"{one.site.place.pue:g}" if one.site.place.pue_stated else words.UNKNOWN,
            words.UNKNOWN if one.site.place.wue_l_per_kwh is None else f"{one.site.place.wue_l_per_kwh:g}",
            one.site.place.pue_source if one.site.place.pue_stated else "",
            one.source,
        )
        for one in found
    ]
    head = ("region", "city", "zone", "km", "ms", "g/kWh", "PUE", "L/kWh", "who states the PUE", "first source")
    session.screen.detail(table(head, rows, right=range(3, 8)))
    session.screen.detail(
        "", "g/kWh: the country's yearly mean, flat. km and ms: from --near; ms is light in fibre, no network is faster."
    )
