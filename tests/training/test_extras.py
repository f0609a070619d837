"""The heavy libraries are named when they are missing, and not imported before they are needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from greenai.errors import InputError
from greenai.training import extras
from greenai.training.samples import sample


@pytest.mark.parametrize(
    ("module", "extra", "name"),
    [("sklearn.ensemble", "train", "scikit-learn"), ("lightgbm", "train", "lightgbm"), ("torch", "torch", "torch")],
)
def test_a_missing_library_is_one_sentence(module, extra, name, monkeypatch):
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=f"training needs {name}") as refused:
        extras.need(module, extra=extra)
    assert refused.value.hint == f"install it with: pip install 'greenai[{extra}]'"


def test_a_sample_that_needs_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match="needs scikit-learn"):
        sample("diabetes")


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_room_imports_nothing_heavy():
    code = "import sys, greenai.training; print(sorted({'numpy', 'sklearn', 'lightgbm', 'optuna', 'torch'} & set(sys.modules)))"
    assert python(code) == "[]"


def test_lightgbm_alone_leaves_the_others_out_and_usable():
    code = """
import sys
from greenai.training.extras import import_lightgbm_alone
import_lightgbm_alone()
print(sorted({'sklearn', 'pandas'} & set(sys.modules)))
import sklearn.ensemble, pandas
from greenai.training.samples import sample
from greenai.training import train, packaged_recipe
from tests.training.known_joules import Machine
from greenai.training.arms import arm_of, trained
workload = sample('tab-300')
arm = arm_of(packaged_recipe('regression', 300), classes=0)
scored = trained(arm, workload.split(1), workload, seed=1, measure=Machine().measure)
print(scored.loss < 0.5)
import_lightgbm_alone()
"""
    assert python(code) == "[]\nTrue"


def test_every_public_name_is_there():
    from greenai import training

    for name in training.__all__:
        assert getattr(training, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        training.nothing  # noqa: B018
