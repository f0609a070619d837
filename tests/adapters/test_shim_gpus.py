"""GPUs are shared out: each whole one to one leg, as long as the leg or its command lives."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from greenai.adapters.executors._gpus import devices_of, take
from greenai.adapters.executors._run_files import RunFiles
from greenai.adapters.executors.pausable import PausableExecutor
from greenai.errors import StoreError


def test_what_is_visible_is_what_there_is():
    assert devices_of({}, 2) == ("0", "1")
    assert devices_of({"CUDA_VISIBLE_DEVICES": "3, GPU-8f2"}, 2) == ("3", "GPU-8f2")
    assert devices_of({"CUDA_VISIBLE_DEVICES": ""}, 2) == ()


def test_a_gpu_is_taken_once_and_given_back(tmp_path):
    (first,), (held,) = take(tmp_path, ("0", "1"), 1)
    (second,), (also_held,) = take(tmp_path, ("0", "1"), 1)
    assert {first, second} == {"0", "1"}
    with pytest.raises(StoreError, match="1 GPUs are wanted and 0 of 2 are free"):
        take(tmp_path, ("0", "1"), 1)
    os.close(held)
    with pytest.raises(StoreError, match="2 GPUs are wanted and 1 of 2 are free"):
        take(tmp_path, ("0", "1"), 2)
    assert take(tmp_path, ("0", "1"), 1)[0] == (first,), "what could not be had whole was given back"
    os.close(also_held)


def test_a_command_that_outlives_its_shim_keeps_its_gpu(tmp_path):
    _, (held,) = take(tmp_path, ("0",), 1)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(held,))
    os.close(held)
    with pytest.raises(StoreError, match="0 of 1 are free"):
        take(tmp_path, ("0",), 1)
    child.communicate(b"\n")
    assert take(tmp_path, ("0",), 1)[0] == ("0",)


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "gpus").write_text("")
    with pytest.raises(StoreError, match="gpus cannot be used"):
        take(tmp_path, ("0",), 1)


def test_a_gpu_is_free_before_the_end_of_its_leg_is_told(tmp_path):
    files = RunFiles(tmp_path, "r")
    files.make()
    seen = []

    def ended(_exited):
        seen.append(take(tmp_path, ("0",), 1)[0])

    executor = PausableExecutor(files, way="auto", grace=timedelta(0), cwd=str(tmp_path), ended=ended)
    _, executor.inherited = take(tmp_path, ("0",), 1)
    assert executor.wait(executor.launch(("true",), "r", {})) == 0
    assert seen == [("0",)]
