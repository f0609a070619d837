"""Slurm's commands played by small scripts: what they are told, and what comes of what they say."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from greenai.adapters.executors.slurm import SlurmExecutor
from greenai.adapters.executors.slurm_commands import Slurm, SlurmJob, job_labels, stamp
from greenai.errors import InputError, StoreError
from greenai.model.queue import Alive, Gone, Task, Unstarted

MOMENT = datetime(2026, 11, 25, 3, tzinfo=UTC)
TAKES = """printf '%s\\n' "$@" >>{said}; echo "$SECRET|$SLURM_JOB_ID|$TZ" >>{place}/env
echo "5|PENDING|BeginTime|1795575600|$(grep -m1 -o 'greenai:run=.*' {said})" >{place}/jobs; echo "5;cluster"; {after}"""
LISTS = "cat {place}/jobs 2>/dev/null || true"


class Fake:
    """A directory of commands, each of which is a script and notes what it was told."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.environ = {
            "PATH": f"{place}:{os.environ['PATH']}",
            "TZ": "Europe/Berlin",
            "SQUEUE_STATES": "RUNNING",
            "SLURM_JOB_ID": "1",
        }
        self.put("squeue", LISTS)

    def put(self, name: str, script: str, after: str = "") -> None:
        path = self.place / name
        path.write_text("#!/bin/sh\n" + script.format(said=self.place / f"{name}.said", place=self.place, after=after) + "\n")
        path.chmod(0o755)

    def jobs(self, *lines: str) -> None:
        (self.place / "jobs").write_text("".join(f"{line}\n" for line in lines))

    def said(self, name: str) -> list[str]:
        path = self.place / f"{name}.said"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    place = tmp_path / "bin"
    place.mkdir()
    return Fake(place)


def executor(fake: Fake) -> SlurmExecutor:
    return SlurmExecutor(fake.place / "home", fake.environ, partitions={"GB": "gb"}, settled_after=timedelta(0))


def task(**given: Any) -> Task:
    known: dict[str, Any] = {
        "run_id": "run-1",
        "job_id": "1",
        "command": ("echo", "$(rm -rf x); 'y'"),
        "cwd": "/",
        "zone": "GB",
        "environment": {"SECRET": "s3cret"},
        "runnable_at": MOMENT,
        "duration": timedelta(hours=1),
        "demands": {"cpus": 1.5, "gpus": 2.0, "memory_gb": 1.25},
        **given,
    }
    return Task(**known)


def test_a_leg_is_handed_over_as_a_list_of_arguments_with_nothing_of_the_users_in_the_script(fake: Fake) -> None:
    fake.put("sbatch", TAKES)
    assert executor(fake).schedule(task(), MOMENT) == "5"
    said = fake.said("sbatch")
    assert {"--comment=greenai:run=run-1", "--cpus-per-task=2", "--gres=gpu:2", "--mem=1280M", "--partition=gb"} < set(said)
    assert {"--no-requeue", f"--begin={stamp(MOMENT)}", "--signal=B:USR1@60"} < set(said)
    assert not any("s3cret" in word or "rm -rf" in word for word in said)
    script = (fake.place / "home/runs/run-1/slurm.sh").read_text()
    assert "rm -rf" not in script
    assert "s3cret" not in script
    assert (fake.place / "env").read_text() == "s3cret||Europe/Berlin\n"


def test_a_job_that_sbatch_took_though_it_says_otherwise_is_not_taken_twice(fake: Fake) -> None:
    fake.put("sbatch", TAKES, after="echo 'sbatch: error: Batch job submission failed: Socket timed out' >&2; exit 1")
    with pytest.raises(StoreError, match="Socket timed out"):
        executor(fake).schedule(task(), MOMENT)
    assert executor(fake).look("run-1", "") == Alive(handle="5", in_line=True)
    fake.put("scontrol", "true")
    assert executor(fake).schedule(task(), MOMENT) == "5"
    assert fake.said("sbatch").count("--parsable") == 1


def test_what_is_refused_for_ever_is_told_from_what_is_refused_now(fake: Fake) -> None:
    fake.put("sbatch", "echo 'sbatch: error: invalid partition specified: gb' >&2; exit 1")
    with pytest.raises(InputError, match="invalid partition specified: gb"):
        executor(fake).launch(task())
    fake.put("sbatch", "echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1")
    with pytest.raises(StoreError, match="QOSMaxSubmitJobPerUserLimit"):
        executor(fake).launch(task())


@pytest.mark.parametrize(
    "words", ["scontrol: error: Job is no longer pending execution for job 5", "slurm_update error: Invalid job id specified"]
)
def test_a_job_that_begins_or_ends_before_it_is_moved_is_no_trouble(fake: Fake, words: str) -> None:
    fake.put("sbatch", TAKES)
    fake.put("scontrol", f"printf '%s\\n' \"$@\" >>{{said}}; echo '{words}' >&2; exit 1")
    slurm = executor(fake)
    assert slurm.schedule(task(), MOMENT) == slurm.schedule(task(), MOMENT + timedelta(hours=1)) == "5"
    assert f"StartTime={stamp(MOMENT + timedelta(hours=1))}" in fake.said("scontrol")


def test_a_job_that_ends_before_it_is_asked_is_no_trouble_and_any_other_refusal_is(fake: Fake) -> None:
    fake.jobs("5|RUNNING|None|1795575600|greenai:run=run-1")
    fake.put("scancel", "exit 1")
    Slurm(fake.environ).signal("5", "USR1")
    fake.put("scancel", "echo 'scancel: error: Kill job error on job id 5: Access/permission denied' >&2; exit 1")
    with pytest.raises(InputError, match="Access/permission denied"):
        Slurm(fake.environ).signal("5", "USR1")


def test_a_controller_that_is_away_is_asked_once(fake: Fake) -> None:
    away = "echo asked >>{said}; echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1"
    fake.put("squeue", away)
    slurm = Slurm(fake.environ)
    for _ in range(3):
        with pytest.raises(StoreError, match="does not answer squeue"):
            slurm.jobs(fresh=True)
    assert fake.said("squeue") == ["asked"]


def test_without_slurm_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no squeue here"):
        Slurm({"PATH": str(tmp_path)}).jobs()


def test_lines_of_squeue_that_are_no_jobs_are_passed_over(fake: Fake) -> None:
    fake.jobs("7|RUNNING|None|1795575600|greenai:run=a|b", "a comment", "8|PENDING|JobHeldUser|N/A|(null)", "9_[1-2]|X|y|N/A|")
    assert Slurm(fake.environ).jobs() == (
        SlurmJob(job_id="7", state="RUNNING", reason="None", start_at=MOMENT, comment="greenai:run=a|b"),
        SlurmJob(job_id="8", state="PENDING", reason="JobHeldUser", start_at=None, comment="(null)"),
        SlurmJob(job_id="9_[1-2]", state="X", reason="y", start_at=None, comment=""),
    )


def test_the_number_of_an_array_means_all_its_tasks_and_one_that_waits_with_others_can_be_meant(fake: Fake) -> None:
    ends = "1795575600|greenai:run=r"
    fake.jobs(f"7_[1-2,4-8:2%2]|PENDING|BeginTime|{ends}", f"7_3|RUNNING|None|{ends}", f"70|RUNNING|None|{ends}")
    slurm = Slurm(fake.environ)
    assert [job.job_id for job in slurm.meant("7")] == ["7_[1-2,4-8:2]", "7_3"]
    assert [job.job_id for job in slurm.meant("7_3")] == ["7_3"]
    assert [(job.job_id, job.is_in_line) for job in slurm.meant("7_6", "70")] == [("7_6", True), ("70", False)]
    assert slurm.meant("7_5") == slurm.meant("7_") == slurm.meant("8") == slurm.meant("7_x") == ()


def test_what_slurm_knows_and_what_it_forgot(fake: Fake) -> None:
    fake.put("sbatch", TAKES)
    fake.put("scancel", 'echo "$@" >>{said}')
    found = executor(fake)
    assert found.look("run-1", "") == Unstarted()
    found.schedule(task(), MOMENT)
    fake.jobs("5|PENDING|PartitionConfig|N/A|greenai:run=run-1")
    assert executor(fake).look("run-1", "5") == Gone(reason="Slurm would never run its job 5: PartitionConfig")
    assert fake.said("scancel") == ["5"]
    fake.jobs()
    assert executor(fake).look("run-1", "5") == Gone(reason="Slurm's job 5 is not known there any more before the command began")
    (fake.place / "home/runs/run-1/begun.json").write_text("{}")
    fake.jobs("5|NODE_FAIL|None|1795575600|greenai:run=run-1")
    assert executor(fake).look("run-1", "5") == Gone(reason="Slurm's job 5 ended as NODE_FAIL and left no exit code")


def test_progress_is_what_the_program_tells_else_what_it_printed(fake: Fake) -> None:
    fake.put("sbatch", TAKES)
    seen = executor(fake)
    seen.schedule(task(), MOMENT)
    run = fake.place / "home/runs/run-1"
    (run / "output.log").write_text("Epoch 3/10\n")
    assert seen.look("run-1", "5") == Alive(handle="5", in_line=True)
    fake.jobs("5|RUNNING|None|1795575600|greenai:run=run-1")
    seen = executor(fake)
    assert seen.look("run-1", "5") == Alive(handle="5", progress_share=0.2, is_read=True)
    with (run / "output.log").open("a") as output:
        output.write("Epoch 4/10\n")
    assert seen.look("run-1", "5") == Alive(handle="5", progress_share=pytest.approx(0.3), is_read=True)
    (run / "progress").write_text("0.75\n")
    assert seen.look("run-1", "5") == Alive(handle="5", progress_share=0.75)


def test_trouble_on_the_node_is_told_once_then_it_is_tried_again(fake: Fake) -> None:
    fake.put("sbatch", TAKES)
    executor(fake).schedule(task(), MOMENT)
    fake.jobs()
    (fake.place / "home/runs/run-1/trouble").write_text("the disk is full\n")
    assert executor(fake).look("run-1", "5") == Unstarted()
    with pytest.raises(StoreError, match="the disk is full"):
        executor(fake).launch(task())
    assert executor(fake).launch(task()) == "5"


def test_consumed_energy_is_summed_over_legs_and_no_value_is_none(fake: Fake) -> None:
    """As the real sacct 22.05 writes them: a job without steps of srun has its energy in its script's line alone."""
    legs = ("5|", "5.batch|120", "5|120", "5.batch|130", "5.0|120", "5|18446744073709551614", "5.batch|0")
    fake.put("sacct", "printf '" + "\\n".join(legs) + "\\n'")
    assert Slurm(fake.environ).consumed_j("5") == 240.0
    fake.put("sacct", "printf '5|\\n5.batch|0\\n'")
    assert Slurm(fake.environ).consumed_j("5") is None
    fake.put("sacct", "true")
    assert Slurm(fake.environ).consumed_j("5") is None


def test_labels_are_there_only_inside_a_job() -> None:
    assert job_labels({"SLURM_CLUSTER_NAME": "c"}) == {}
    told = {"SLURM_JOB_ID": "5", "SLURMD_NODENAME": "n1", "SLURM_CPUS_ON_NODE": "4", "SLURM_GPUS_ON_NODE": "1"}
    assert job_labels(told) == {"slurm_job_id": "5", "slurm_node": "n1", "slurm_tres": "cpu=4,gpu=1"}
