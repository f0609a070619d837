"""fit_in_chunks on the estimator named in argv; "plain" calls fit instead."""

import sys

import numpy as np
from sklearn import ensemble, linear_model, neural_network
from tests.integrations import marks

from greenai.integrations import sklearn as ours

x = np.random.default_rng(1).normal(size=(200, 6))
y = np.sin(x.sum(1))
KINDS = {
    "forest": lambda: ensemble.RandomForestClassifier(20, random_state=7),
    "trees": lambda: ensemble.ExtraTreesRegressor(20, random_state=7),
    "bagging": lambda: ensemble.BaggingRegressor(n_estimators=20, random_state=7),
    "boosting": lambda: ensemble.GradientBoostingRegressor(n_estimators=20, subsample=0.5, random_state=7),
    "hist": lambda: ensemble.HistGradientBoostingRegressor(max_iter=20, early_stopping=False, random_state=7),
    "sgd": lambda: linear_model.SGDClassifier(max_iter=20, random_state=7),
    "mlp": lambda: neural_network.MLPClassifier((8,), max_iter=20, random_state=7),
}
CLASSIFIERS = {"forest", "sgd", "mlp"}
told = ours.pause.progress


def marked(fraction):
    marks.step(round(fraction * 5))
    told(fraction)


kind = sys.argv[1]
target = (y > 0).astype(int) if kind in CLASSIFIERS else y
if "plain" in sys.argv:
    fitted = KINDS[kind]().fit(x, target)
else:
    ours.pause.progress = marked
    fitted = ours.fit_in_chunks(KINDS[kind](), x, target, step=4)
said = fitted.predict_proba(x) if hasattr(fitted, "predict_proba") else fitted.predict(x)
marks.finish(predicted=said, coefficients=getattr(fitted, "coef_", np.zeros(1)))
