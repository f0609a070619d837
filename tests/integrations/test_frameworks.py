"""Hugging Face, Accelerate, Lightning and Keras: paused twice in new processes, equal to the bit; silent traps are refused."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from types import SimpleNamespace

import pytest
from tests.integrations.harness import Runner, needs

from greenai.errors import InputError
from greenai.integrations.keras import pause_callback

MODULES = {
    "hugging_face.py": "transformers.trainer,transformers.models.gpt2.modeling_gpt2",
    "with_accelerate.py": "accelerate",
    "with_lightning.py": "lightning.pytorch,torchdata.stateful_dataloader",
    "with_keras.py": "keras",
}
"""What each program needs, imported once for all its processes; torch._dynamo because the first optimiser imports it (5 s)."""


@pytest.fixture
def runner(request, tmp_path):
    program = request.param
    return Runner(program, f"{MODULES[program]},torch._dynamo", tmp_path)


def on(program):
    """The test runs this program, where its frameworks are installed."""
    marks = needs("torch", MODULES[program].partition(".")[0])
    return pytest.mark.parametrize("runner", [pytest.param(program, marks=marks, id="")], indirect=True)


def last_line(leg):
    assert leg.code == 1, leg.said
    return leg.said.rstrip().splitlines()[-1]


@on("hugging_face.py")
def test_hugging_face(runner):
    for trap in ("save_only_model", "ignore_data_skip", "enable_jit_checkpoint"):
        leg = runner.leg(trap)
        assert trap in last_line(leg)
        assert leg.steps == []
    runner.check_exact(pauses=(2, 10))
    assert runner.progress() == 1.0
    assert "begins again from nothing" in last_line(runner.leg("forgets", resumes=2))


@on("with_accelerate.py")
def test_accelerate(runner):
    assert "use_seedable_sampler" in last_line(runner.leg("plain"))
    runner.check_exact(pauses=(4, 20))


@on("with_lightning.py")
def test_lightning_in_the_middle_of_an_epoch(runner):
    assert "a plain DataLoader cannot be resumed" in last_line(runner.leg("mid-epoch"))
    legs = runner.check_exact("stateful", pauses=(4, 20, 23))
    assert [leg.steps[-1] for leg in legs] == [4, 21, 23, 30], "never between epochs"
    assert runner.progress() == 1.0
    assert "begins again from nothing" in last_line(runner.leg("stateful", "forgets", resumes=2))


@on("with_lightning.py")
def test_lightning_with_a_plain_loader_waits_for_the_end_of_the_epoch(runner):
    legs = runner.check_exact("validates", pauses=(3, 14))
    assert [leg.steps[-1] for leg in legs] == [10, 20, 30]
    assert "a pause was asked for" in legs[0].said


@on("hugging_face.py")
def test_hugging_face_with_two_ranks(runner):
    runner.ranks = 2
    legs = runner.check_exact(pauses=(2, 5))
    assert [leg.steps[-1] for leg in legs[:2]] == [2, 5]


@on("with_accelerate.py")
def test_accelerate_with_two_ranks(runner):
    runner.ranks = 2
    runner.check_exact(pauses=(3, 14))


@on("with_lightning.py")
def test_lightning_with_two_ranks_waits_for_the_end_of_the_epoch(runner):
    """In its middle it would go on in the order of epoch 0, and with a loader that keeps its place always."""
    runner.ranks = 2
    assert "a StatefulDataLoader goes on in the order of epoch 0" in last_line(runner.leg("stateful"))
    legs = runner.check_exact(pauses=(3, 9))
    assert [leg.steps[-1] for leg in legs] == [5, 10, 15]
    assert "a sampler that is told the epoch cannot be resumed" in legs[0].said
    runner.ranks = 1
    assert "was paused with 2 ranks and goes on with 1" in last_line(runner.leg(resumes=2))


@on("with_keras.py")
def test_keras(runner):
    runner.check_exact(pauses=(2, 5))
    assert runner.progress() == 1.0


@needs("lightning")
def test_lightning_finds_the_callback_by_itself_and_only_under_greenai(monkeypatch, tmp_path):
    (factory,) = (one.load() for one in entry_points(group="lightning.pytorch.callbacks_factory") if one.name == "greenai")
    assert factory() == []
    monkeypatch.setenv("GREENAI_PAUSE_FILE", str(tmp_path / "pause"))
    monkeypatch.setattr("greenai.integrations.lightning._Process.has_callback", False)
    assert [type(one).__name__ for one in factory()] == ["GreenaiCallback"]
    assert factory() == [], "a second would be refused by Lightning"


def test_keras_on_another_backend_is_refused(monkeypatch, tmp_path):
    keras = SimpleNamespace(backend=SimpleNamespace(backend=lambda: "jax"), callbacks=SimpleNamespace(Callback=object))
    monkeypatch.setitem(sys.modules, "keras", keras)
    pause_callback()
    monkeypatch.setenv("GREENAI_PAUSE_FILE", str(tmp_path / "pause"))
    with pytest.raises(InputError, match="on Keras' jax backend"):
        pause_callback()
