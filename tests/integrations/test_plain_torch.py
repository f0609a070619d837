"""Plain PyTorch resumes to the bit: from the middle of an epoch, from its first and its last step."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.integrations.harness import HERE, THREADS, Runner, needs

from greenai.errors import InputError
from greenai.integrations.torch import SkipBatches, capture, restore

pytestmark = needs("torch")

MODULES = "torch._dynamo,numpy"
"""The first optimiser imports _dynamo, 5 s of processor: better once than in each process."""


@pytest.fixture
def runner(tmp_path):
    return Runner("plain_torch.py", MODULES, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "pauses"),
    [(("own-generator",), (1, 13)), ((), (10, 29)), (("own-generator", "workers"), (4, 25)), (("workers",), (3, 18))],
    ids=lambda value: "-".join(map(str, value)) or "plain",
)
def test_it_resumes_to_the_bit(arguments, pauses, runner):
    runner.check_exact(*arguments, pauses=pauses)


def test_ranks_stop_at_the_same_step_when_one_is_asked(tmp_path):
    legs = Runner("ranks.py", MODULES, tmp_path).check_exact(pauses=(2, 4))
    assert sorted(file.name for file in (tmp_path / "paused" / "checkpoint").iterdir()) == ["torch-0-of-2.pt", "torch-1-of-2.pt"]
    assert [leg.steps for leg in legs] == [[1, 2], [3, 4], [5, 6]]


def test_torchrun_ends_with_1_and_the_mark_says_that_it_was_a_pause(tmp_path):
    (tmp_path / "pause").touch()
    told = {"GREENAI_PAUSE_FILE": str(tmp_path / "pause"), "GREENAI_CHECKPOINT_DIR": str(tmp_path)}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    program = str(HERE / "programs" / "launched.py")
    ended = subprocess.run(
        [*launcher, program], env={**os.environ, **THREADS, **told}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        *("pause", "pause.heard", "pause.paused"),
        *("torch-0-of-2.pt", "torch-1-of-2.pt"),
    ]


@pytest.fixture
def directory(monkeypatch, tmp_path):
    monkeypatch.setenv("GREENAI_CHECKPOINT_DIR", str(tmp_path))
    return tmp_path


class Holds:
    """Something with a state."""

    def __init__(self, state):
        self.state = state

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


def test_a_state_that_could_not_be_read_back_is_refused_and_the_checkpoint_before_kept(directory):
    capture({"part": Holds({"loss": 1.5})}, epoch=2)
    with pytest.raises(InputError, match="not plain data or tensors"):
        capture({"part": Holds({"loss": Holds(1)})}, epoch=3)
    part = Holds({})
    assert restore({"part": part}) == 2
    assert part.state == {"loss": 1.5}
    assert [file.name for file in directory.iterdir()] == ["torch.pt"]


def test_a_checkpoint_of_other_parts_is_refused(directory):
    capture({"model": Holds({})}, epoch=2)
    with pytest.raises(InputError, match="the checkpoint holds model, not what is to be restored"):
        restore({"net": Holds({})})


def test_between_epochs_nothing_is_skipped(directory):
    batches = SkipBatches([[0], [1], [2]])
    assert len(batches) == 3
    assert list(batches.of(batches)) == [[0], [1], [2]]
    capture({}, batches, epoch=1)
    again = SkipBatches([[0], [1], [2]])
    assert restore({}, again) == 1
    assert list(again.of(again)) == [[0], [1], [2]]


def test_without_a_checkpoint_it_begins_at_the_beginning():
    assert restore({"part": Holds({})}) == 0
