"""The built-in estimator families, one file each; each is named under the entry-point group greenai.estimators."""
