"""A training with LightGBM; argv: parameters as name=value, and "equivalent"."""

import sys

import lightgbm as lgb
import numpy as np
from tests.integrations import marks

from greenai.integrations.lightgbm import train

x = np.random.default_rng(1).normal(size=(300, 6))
y = np.sin(x.sum(1))
given = dict(word.split("=") for word in sys.argv[1:] if "=" in word)
params = {"num_leaves": 8, "seed": 3, "num_threads": 1, "verbose": -1, "deterministic": True, **given}
booster = train(
    params,
    lgb.Dataset(x, y),
    20,
    exact="equivalent" not in sys.argv,
    callbacks=[lambda env: marks.step(env.model.current_iteration())],
)
marks.finish(predicted=booster.predict(x), rounds=booster.current_iteration())
