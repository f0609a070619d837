"""Two forecasts of one thing: mixed by what each has been worth at each lead, learned on the past alone.

All in logarithms. With y what came, o our own forecast, s the service's and
d = s - o, the best weight of the service at a lead is <d, y - o> / <d, d>: the
regression of our error on the difference. A prior of 120 hours at one half keeps
it honest while little is known; a source that lies loses its weight within days.
Formula, and how the constants were chosen: docs/explanation/forecasting.md.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from greenai.logic.forecasting_profile import DAY
from greenai.model.series import FloatArray

ANCHOR_H = 6.0
PRIOR_H = 120.0
PRIOR_WEIGHT = 0.5
SMOOTHED_LEADS = 7
REFIT_H = DAY


def anchored(service_log: FloatArray, measured_log: FloatArray) -> FloatArray:
    """The service's forecast corrected by its error of the current hour, decaying over 6 h; shapes (n, m), (n,)."""
    bias = measured_log - service_log[:, 0]
    out: FloatArray = service_log + bias[:, None] * np.exp(-np.arange(service_log.shape[1]) / ANCHOR_H)
    return out


def fair_share(own_log: FloatArray, service_log: FloatArray, came_log: FloatArray) -> FloatArray:
    """The service's share at each lead, shape (m,), by the inverse square of mean square errors: a liar begins near 0."""
    known = ~np.isnan(own_log + service_log + came_log)
    square = [np.where(known, said - came_log, 0.0) ** 2 for said in (own_log, service_log)]
    own, service = (part.sum(axis=0) + 1e-12 for part in square)
    share: FloatArray = own**2 / (own**2 + service**2)
    return share


def lead_weights(
    own_log: FloatArray, service_log: FloatArray, came_log: FloatArray, prior: FloatArray | float = PRIOR_WEIGHT
) -> FloatArray:
    """Weight of the service at each lead, shape (m,), from past forecasts and what came, each (n, m); unknown is NaN."""
    apart, miss = service_log - own_log, came_log - own_log
    known = ~np.isnan(apart + miss)
    apart, miss = np.where(known, apart, 0.0), np.where(known, miss, 0.0)
    square = (apart**2).sum(axis=0)
    strength = np.maximum(PRIOR_H * square / np.maximum(known.sum(axis=0), 1), 1e-12)
    weight = ((apart * miss).sum(axis=0) + prior * strength) / (square + strength)
    half = SMOOTHED_LEADS // 2
    smooth = np.convolve(np.pad(weight, half, mode="edge"), np.full(SMOOTHED_LEADS, 1 / SMOOTHED_LEADS), mode="valid")
    out: FloatArray = np.clip(smooth, 0.0, 1.0)
    return out


def blended(own_log: FloatArray, service_log: FloatArray, weight: FloatArray) -> FloatArray:
    """The weighted mean of logarithms; where the service says nothing (NaN), our own."""
    return np.where(np.isnan(service_log), own_log, own_log + weight * (service_log - own_log))


def rolling_blend(own_log: FloatArray, service_log: FloatArray, came_log: FloatArray) -> FloatArray:
    """Each hour's blend, (n, m), by weights renewed daily from what had come by then; lead 0 is the current hour.

    `came_log` (n, m) is what came at each lead; of it only what lies at or before
    the hour of a renewal is used.
    """
    n, m = own_log.shape
    out = np.empty_like(own_log)
    ahead = np.arange(m)
    for now, until in pairwise([*range(0, n, REFIT_H), n]):
        not_yet = np.arange(now)[:, None] + ahead > now
        came = np.where(not_yet, np.nan, came_log[:now])
        weight = lead_weights(own_log[:now], service_log[:now], came)
        out[now:until] = blended(own_log[now:until], service_log[now:until], weight)
    return out
