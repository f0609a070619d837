"""LightGBM: `train` is `lightgbm.train`, which can be paused after any round and goes on with the rounds that are left.

::

    booster = greenai.integrations.lightgbm.train(params, dataset, 500)

Exact without sampling. With bagging, `feature_fraction`, goss or dart a resumed training draws other random
numbers: refused, unless `exact=False` says that an equivalent training will do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenai import pause
from greenai.integrations import _checkpoint
from greenai.integrations._framework import need

_FILE = "lightgbm.txt"
_SHARES = (
    *(
        "bagging_fraction",
        "sub_row",
        "subsample",
        "bagging",
        "pos_bagging_fraction",
        "pos_sub_row",
        "pos_subsample",
        "pos_bagging",
    ),
    *("neg_bagging_fraction", "neg_sub_row", "neg_subsample", "neg_bagging"),
    *("feature_fraction", "sub_feature", "colsample_bytree", "feature_fraction_bynode", "sub_feature_bynode", "colsample_bynode"),
)
_METHODS = ("boosting", "boosting_type", "boost", "data_sample_strategy")
_STOPS = ("early_stopping_round", "early_stopping_rounds", "early_stopping", "n_iter_no_change")


def train(params: Mapping[str, Any], train_set: Any, num_boost_round: int = 100, *, exact: bool = True, **options: Any) -> Any:
    """Train `num_boost_round` rounds in all, over however many processes.

    Args:
        params: as for `lightgbm.train`.
        train_set: the Dataset, from the same data at each resume.
        num_boost_round: rounds in all.
        exact: refuse what would not resume bit for bit.
        **options: further arguments of `lightgbm.train`.

    Raises:
        InputError: the training would not resume exactly, or not at all (early stopping counts from the resume).
        Paused: a pause was asked for; the rounds done are saved.
        ImportError: LightGBM is not installed.
    """
    lightgbm = need("lightgbm", extra="train")
    _refuse_traps(params, options, exact)
    saved = _checkpoint.place(_FILE)
    done = 0
    if saved is not None:
        options["init_model"] = lightgbm.Booster(model_file=str(saved))
        done = options["init_model"].current_iteration()
    options["callbacks"] = [*(options.get("callbacks") or ()), _after_round(num_boost_round)]
    return lightgbm.train(dict(params), train_set, num_boost_round - done, **options)


def _after_round(rounds: int) -> Any:
    def after(env: Any) -> None:
        done = env.model.current_iteration()
        pause.progress(done / rounds)
        if done < rounds:
            # All iterations: LightGBM would otherwise leave out those after its best one.
            pause.point(lambda: _checkpoint.write(_FILE, lambda file: env.model.save_model(str(file), num_iteration=-1)))

    return after


def _refuse_traps(params: Mapping[str, Any], options: Mapping[str, Any], exact: bool) -> None:
    sampled = [name for name in _SHARES if float(params.get(name, 1)) < 1]
    sampled += [str(params[name]) for name in _METHODS if params.get(name) in {"dart", "goss", "rf", "random_forest"}]
    _checkpoint.refuse_if(
        exact and bool(sampled),
        f"with {', '.join(sampled)} a resumed LightGBM training draws other random numbers than an uninterrupted one",
        remedy="leave it out, or accept an equivalent training with exact=False",
    )
    stops = any(getattr(one, "first_metric_only", None) is not None for one in options.get("callbacks") or ())
    _checkpoint.refuse_if(
        stops or any(params.get(name) for name in _STOPS),
        "early stopping forgets at a resume how long nothing has improved",
        remedy="fix the number of rounds to be paused",
    )
