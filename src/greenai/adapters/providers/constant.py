"""One intensity for all times, as the user states it: a contract, a local plant, an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import isfinite

import numpy as np

from greenai.errors import InputError
from greenai.model.intensity import Access, Payload, Provider, Query, Request, slots_over, source_of
from greenai.model.series import IntensitySeries

HOUR = timedelta(hours=1)


def covers(_zone: str) -> bool:
    """Whatever the user says it is for."""
    return True


def requests(_query: Query, access: Access) -> Sequence[Request]:
    """The number itself, as a data: URL."""
    if not access.base_url:
        raise InputError("no constant intensity is given", hint="set constant_g_per_kwh, for example 250")
    return (Request(url=access.base_url),)


def parse(payloads: Sequence[Payload], query: Query) -> IntensitySeries:
    """The number over the whole span, kind "modelled": nobody measured it hour by hour.

    Raises:
        InputError: it is not a number from 0 on.
    """
    text = payloads[0].body.decode("utf-8", errors="replace").strip()
    try:
        g_per_kwh = float(text)
    except ValueError:
        g_per_kwh = -1.0
    if not isfinite(g_per_kwh) or g_per_kwh < 0:
        raise InputError(f"{text[:40]!r} is not an intensity in g/kWh", hint="give a number from 0 on, for example 250")
    hours = slots_over(query, HOUR)
    return IntensitySeries(
        start_at=hours[0],
        step=HOUR,
        values=np.full(len(hours), g_per_kwh),
        zone=query.zone,
        kind="modelled",
        source=source_of("constant", payloads),
    )


provider = Provider(
    name="constant", title="One number for all times, given by the user", live=True, covers=covers, requests=requests, parse=parse
)
