"""A training with XGBoost; argv: parameters as name=value, and "equivalent"."""

import sys

import numpy as np
import xgboost as xgb
from tests.integrations import marks

from greenai.integrations.xgboost import train


class Mark(xgb.callback.TrainingCallback):
    def after_iteration(self, model, epoch, evals_log):
        marks.step(model.num_boosted_rounds())
        return False


x = np.random.default_rng(1).normal(size=(300, 6))
data = xgb.DMatrix(x, np.sin(x.sum(1)))
given = dict(word.split("=") for word in sys.argv[1:] if "=" in word)
stopping = {"early_stopping_rounds": 3, "evals": [(data, "train")]} if "stops" in sys.argv else {}
params = {"max_depth": 4, "seed": 3, "nthread": 1, **given}
booster = train(params, data, 20, exact="equivalent" not in sys.argv, callbacks=[Mark()], **stopping)
marks.finish(predicted=booster.predict(data), rounds=booster.num_boosted_rounds())
