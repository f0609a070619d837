"""Who measures where several processes of one job share a node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from greenai.adapters.lease import RANK_VARIABLES, claim_node

RANK_ZERO = {"LOCAL_RANK": "0", "MASTER_PORT": "29500"}

HOLDER = """
import os, sys
from pathlib import Path
from greenai.adapters.lease import claim_node
lease = claim_node({"LOCAL_RANK": "0", "MASTER_PORT": "29500"}, Path(sys.argv[1]))
print(lease.refusal, flush=True)
if "fork" in sys.argv and os.fork() == 0:
    print(flush=True)
    import time
    time.sleep(600)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lease."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "\n"
    yield process
    process.kill()
    process.communicate()


def test_outside_a_launcher_everybody_measures(tmp_path):
    assert claim_node({}, tmp_path).refusal == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", RANK_VARIABLES)
def test_only_number_zero_measures(tmp_path, name):
    assert claim_node({name: "0"}, tmp_path).refusal == ""
    assert claim_node({name: "3"}, tmp_path).refusal == f"{name}=3: number 0 on this node measures for all"


def test_a_launcher_in_a_launcher_is_looked_through(tmp_path):
    assert claim_node({"LOCAL_RANK": "0", "SLURM_LOCALID": "1"}, tmp_path).refusal.startswith("SLURM_LOCALID=1")


def test_a_number_that_is_none_says_nothing(tmp_path):
    assert claim_node({"LOCAL_RANK": "first"}, tmp_path).refusal == ""


def test_a_second_number_zero_of_the_same_job_stands_aside(tmp_path, holder):
    refusal = claim_node(RANK_ZERO, tmp_path).refusal
    assert refusal.startswith(f"process {holder.pid} measures this node for the same job")


def test_another_job_on_the_node_has_a_lease_of_its_own(tmp_path, holder):
    assert claim_node(RANK_ZERO | {"MASTER_PORT": "29501"}, tmp_path).refusal == ""


def test_a_holder_that_was_killed_leaves_nothing_behind(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert claim_node(RANK_ZERO, tmp_path).refusal == ""


def test_a_forked_child_does_not_keep_the_lease(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), "fork"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert [process.stdout.readline() for _ in range(2)] == ["\n", "\n"]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert claim_node(RANK_ZERO, tmp_path).refusal == ""
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.stdin.close()
        process.stdout.close()


def test_a_released_lease_can_be_taken_again(tmp_path):
    first = claim_node(RANK_ZERO, tmp_path)
    first.release()
    first.release()
    assert claim_node(RANK_ZERO, tmp_path).refusal == ""


def test_a_block_inside_a_block_measures_too(tmp_path):
    outer = claim_node(RANK_ZERO, tmp_path)
    inner = claim_node(RANK_ZERO, tmp_path)
    assert (outer.refusal, inner.refusal) == ("", "")
    inner.release()
    outer.release()


def test_the_runtime_directory_is_taken_where_there_is_one(tmp_path):
    lease = claim_node(RANK_ZERO | {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert [file.name.startswith(f"greenai-{os.getuid()}-") for file in tmp_path.iterdir()] == [True]
    lease.release()


@pytest.mark.parametrize("stated", ["", "relative", "/nowhere/at/all"])
def test_else_the_temporary_directory(tmp_path, monkeypatch, stated):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    claim_node(RANK_ZERO | {"XDG_RUNTIME_DIR": stated}).release()
    assert len(list(tmp_path.iterdir())) == 1


def test_where_no_file_can_be_made_the_number_decides(tmp_path):
    assert claim_node(RANK_ZERO, tmp_path / "missing").refusal == ""


def test_a_link_laid_in_the_way_is_not_followed(tmp_path):
    claim_node(RANK_ZERO, tmp_path).release()
    (file,) = tmp_path.iterdir()
    file.unlink()
    target = tmp_path / "target"
    target.write_text("mine")
    file.symlink_to(target)
    assert claim_node(RANK_ZERO, tmp_path).refusal == ""
    assert target.read_text() == "mine"
