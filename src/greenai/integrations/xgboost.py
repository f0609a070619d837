"""XGBoost: `train` is `xgboost.train`, which can be paused after any round and goes on with the rounds that are left.

::

    booster = greenai.integrations.xgboost.train(params, dtrain, 500)

Exact without sampling. With `subsample`, `colsample_*` or dart a resumed training draws other random numbers (also
with seed_per_iteration): refused, unless `exact=False` says that an equivalent training will do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenai import pause
from greenai.integrations import _checkpoint
from greenai.integrations._framework import callback, need

_FILE = "xgboost.ubj"
_SHARES = ("subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode")


def train(params: Mapping[str, Any], dtrain: Any, num_boost_round: int = 10, *, exact: bool = True, **options: Any) -> Any:
    """Train `num_boost_round` rounds in all, over however many processes.

    Args:
        params: as for `xgboost.train`.
        dtrain: the DMatrix; the same at each resume.
        num_boost_round: rounds in all.
        exact: refuse what would not resume bit for bit.
        **options: further arguments of `xgboost.train`. After a resume `evals_result` holds the later rounds only.

    Raises:
        InputError: the training would not resume exactly, or not at all (early stopping counts from the resume).
        Paused: a pause was asked for; the rounds done are saved.
        ImportError: XGBoost is not installed.
    """
    xgboost = need("xgboost", extra="xgboost")
    _refuse_sampling(params, exact)
    _refuse_early_stopping(xgboost, options)
    saved = _checkpoint.place(_FILE)
    if saved is not None:
        options["xgb_model"] = xgboost.Booster(dict(params), model_file=str(saved))
    done = 0 if saved is None else options["xgb_model"].num_boosted_rounds()
    base = xgboost.callback.TrainingCallback
    mine = callback(_Events, base, name="GreenaiCallback")(num_boost_round)
    options["callbacks"] = [*(options.get("callbacks") or ()), mine]
    return xgboost.train(dict(params), dtrain, num_boost_round - done, **options)


class _Events:
    """Pauses an XGBoost training when greenai asks for it."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self._rounds = rounds

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """After a round.

        Raises:
            Paused: a pause was asked for.
        """
        done = model.num_boosted_rounds()
        pause.progress(done / self._rounds)
        if done < self._rounds:
            pause.point(lambda: _checkpoint.write(_FILE, model.save_model))
        return False


def _refuse_sampling(params: Mapping[str, Any], exact: bool) -> None:
    sampled = [name for name in _SHARES if float(params.get(name, 1)) < 1]
    sampled += ["dart"] if params.get("booster") == "dart" else []
    _checkpoint.refuse_if(
        exact and bool(sampled),
        f"with {', '.join(sampled)} a resumed XGBoost training draws other random numbers than an uninterrupted one",
        remedy="leave it out, or accept an equivalent training with exact=False",
    )


def _refuse_early_stopping(xgboost: Any, options: Mapping[str, Any]) -> None:
    stops = any(isinstance(one, xgboost.callback.EarlyStopping) for one in options.get("callbacks") or ())
    _checkpoint.refuse_if(
        stops or bool(options.get("early_stopping_rounds")),
        "early stopping forgets at a resume how long nothing has improved",
        remedy="fix the number of rounds to be paused",
    )
