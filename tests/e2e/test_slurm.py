"""A real slurmctld with two nodes in two regions: begin, hold, suspend, pause, requeue, cancel, restarts and the filters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from tests.cli.test_schemas import check
from tests.integrations.harness import needs
from tests.slurm_world import Cluster, cluster, is_at_hand, until

from greenai import api
from greenai.adapters.executors.slurm import SlurmExecutor
from greenai.config import load
from greenai.errors import InputError, StoreError
from greenai.integrations.submitit import parameters
from greenai.model.queue import Alive, Exited, Gone, RunState, Task, Unstarted
from greenai.testing.executors import JobExecutorContract
from greenai.testing.grid import FakeGrid

REQUIRED = os.environ.get("GREENAI_TEST_SLURM") == "required"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (is_at_hand() or REQUIRED), reason="NO SLURM HERE, so nothing of it is tested: scripts/slurm_for_tests.sh install"
    ),
]

GREENAI = (sys.executable, "-m", "greenai.cli")
QUIET = {"GREENAI_CONSTANT_G_PER_KWH": "200", "GREENAI_METER": "modelled", "GREENAI_ZONE": "GB"}
CONF = "CliFilterPlugins=lua\nJobSubmitPlugins=lua"
STEPS = """
import pathlib, sys, time
import greenai.pause
at = pathlib.Path(sys.argv[1]); done = int(at.read_text()) if at.exists() else 0
while done < 12:
    time.sleep(0.1); done += 1; print("step", done, flush=True)
    if greenai.pause.requested():
        at.write_text(str(done)); raise greenai.Paused
"""
PAUSABLE = """#!/bin/bash
#SBATCH --time=10
saved=saved$SLURM_ARRAY_TASK_ID
trap 'echo $n >$saved; {leave}' USR1
n=$(cat $saved 2>/dev/null || echo 0)
if [ $n = 0 ]; then end=1000; else end=$((n + 3)); fi
while [ $n -lt $end ]; do sleep 0.2; n=$((n+1)); echo step $n; done
"""
"""It goes on until it is asked to save, then to three steps further."""


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    def text(name: str) -> str:
        return files("greenai.facts").joinpath("slurm", f"{name}.lua").read_text(encoding="utf-8")

    with cluster(CONF, cli_filter_lua=text("cli_filter"), job_submit_lua=text("job_submit")) as running:
        slots = running.place / "slots"
        filters = running.place / "job_submit.lua"
        filters.write_text(filters.read_text(encoding="utf-8").replace("/var/lib/greenai/slots", str(slots)), encoding="utf-8")
        yield running


@pytest.fixture
def home(slurm: Cluster, request: pytest.FixtureRequest) -> Path:
    return slurm.place / f"home of {request.node.name}"


@pytest.fixture
def executor(slurm: Cluster, home: Path) -> SlurmExecutor:
    partitions = {"GB": "gb", "FR": "fr"}
    return SlurmExecutor(home, {**slurm.environ, **QUIET}, partitions=partitions, settled_after=timedelta(seconds=1))


def task(run_id: str, *command: str, **given: Any) -> Task:
    known: dict[str, Any] = {
        "job_id": "7",
        "cwd": "/tmp",
        "zone": "FR",
        "environment": {},
        "runnable_at": datetime.now(UTC),
        "duration": timedelta(minutes=1),
        "demands": {"cpus": 1.0, "memory_gb": 0.0},
        "grace": timedelta(seconds=5),
        **given,
    }
    return Task(run_id=run_id, command=command, **known)


def later(hours: float) -> datetime:
    return (datetime.now(UTC) + timedelta(hours=hours)).replace(microsecond=0)


def became(executor: SlurmExecutor, run_id: str, handle: str, kind: type[RunState]) -> Any:
    found: list[RunState] = []

    def holds() -> bool:
        found.append(executor.look(run_id, handle))
        return isinstance(found[-1], kind)

    until(holds, f"{run_id} to be {kind.__name__}")
    return found[-1]


def running(executor: SlurmExecutor, run_id: str, handle: str) -> None:
    def holds() -> bool:
        state = executor.look(run_id, handle)
        return isinstance(state, Alive) and not state.in_line

    until(holds, f"{run_id} to run")


@pytest.mark.usefixtures("slurm")
class TestContract(JobExecutorContract):
    """What greenai asks of every engine, of Slurm itself."""

    @pytest.fixture(autouse=True)
    def _engine(self, slurm: Cluster) -> None:
        self._cluster = slurm
        self._place = Path(mkdtemp(dir=slurm.place))

    def executor(self) -> SlurmExecutor:
        environ = {**self._cluster.environ, **QUIET}
        return SlurmExecutor(self._place / "home", environ, settled_after=timedelta(seconds=1))

    def place(self) -> Path:
        return self._place


# Begin, hold, move ---------------------------------------------------------------------------------------------------


def test_slurm_holds_a_leg_until_its_moment_which_may_be_moved(slurm: Cluster, executor: SlurmExecutor) -> None:
    begin_at = later(5)
    leg = task("held", "true")
    handle = executor.schedule(leg, begin_at)
    assert executor.look("held", handle) == Alive(handle=handle, in_line=True)
    assert slurm.say("squeue", "-h", "-j", handle, "-o", "%S %k", SLURM_TIME_FORMAT="%s").stdout.split() == [
        str(int(begin_at.timestamp())),
        "greenai:run=held",
    ]
    assert executor.schedule(leg, later(2)) == handle
    assert executor.launch(leg) == handle
    assert became(executor, "held", handle, Exited).exit_code == 0
    assert executor.launch(leg) == handle
    jobs = slurm.say("squeue", "-h", "--states=all", "-o", "%k").stdout.split()
    assert jobs.count("greenai:run=held") == 1


def test_one_in_line_is_kept_back_and_let_go(slurm: Cluster, executor: SlurmExecutor) -> None:
    handle = executor.schedule(task("kept", "true"), later(1))
    executor.pause("kept", handle)
    assert executor.look("kept", handle) == Alive(handle=handle, in_line=True, frozen=True)
    assert slurm.state(handle) == "PENDING JobHeldUser"
    executor.resume("kept", handle)
    assert became(executor, "kept", handle, Exited).exit_code == 0


# Running, and what is left of it -------------------------------------------------------------------------------------


def test_it_runs_in_its_region_and_its_evidence_names_job_node_and_what_was_allocated(
    slurm: Cluster, home: Path, executor: SlurmExecutor
) -> None:
    command = ("sh", "-c", 'echo "$WORD; $GREENAI_ZONE; it\'s $0"; exit 3', "a $(b) 'c'")
    leg = task("said", *command, environment={"WORD": "a b"}, name="-- a job's name", runnable_at=later(-1))
    handle = executor.launch(leg)
    assert became(executor, "said", handle, Exited).exit_code == 3
    assert (home / "runs/said/output.log").read_text(encoding="utf-8") == "a b; FR; it's a $(b) 'c'\n"
    shown = json.loads(slurm.say(*GREENAI, "evidence", "show", "said", "--json", GREENAI_HOME=str(home), **QUIET).stdout)
    labels = shown["inputs"]["labels"]
    assert (labels["slurm_job_id"], labels["slurm_node"], labels["slurm_partition"]) == (handle, "n2", "fr")
    assert labels["slurm_tres"] == "cpu=1,node=1"
    assert (labels["job_id"], shown["exit_code"]) == ("7", 3)
    verified = slurm.say(*GREENAI, "evidence", "verify", GREENAI_HOME=str(home), **QUIET)
    assert verified.returncode == 0, verified.stderr
    beside = slurm.say(*GREENAI, "slurm", "energy", "--json", GREENAI_HOME=str(home), **QUIET)
    assert beside.returncode == 2, beside.stdout  # this Slurm has no accounting, and says so
    assert "accounting" in beside.stderr.lower()


def test_a_leg_saves_and_leaves_and_the_next_one_is_another_job(slurm: Cluster, home: Path, executor: SlurmExecutor) -> None:
    saved = slurm.place / "steps"
    command = (sys.executable, "-c", STEPS, str(saved))
    first = executor.launch(task("leg1", *command, pause_way="checkpoint"))
    until(lambda: "step 3" in _output(home, "leg1"), "some steps")
    executor.pause("leg1", first)
    assert became(executor, "leg1", first, Exited).exit_code == 75
    second = executor.launch(task("leg2", *command, pause_way="checkpoint", resumes=1))
    assert second != first
    assert became(executor, "leg2", second, Exited).exit_code == 0
    steps = (_output(home, "leg1") + _output(home, "leg2")).split("\n")
    assert [line for line in steps if line] == [f"step {number}" for number in range(1, 13)]


def _output(home: Path, run_id: str) -> str:
    path = home / "runs" / run_id / "output.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_a_frozen_one_is_suspended_and_others_get_its_core(slurm: Cluster, home: Path, executor: SlurmExecutor) -> None:
    steps = "import time\nfor step in range(10): time.sleep(0.1); print(f'Epoch {step + 1}/10', flush=True)"
    handle = executor.launch(task("ice", sys.executable, "-c", steps))
    until(lambda: "Epoch 3/" in _output(home, "ice"), "some steps")
    executor.pause("ice", handle, "freeze")
    until(lambda: slurm.state(handle).startswith("SUSPENDED"), "Slurm to suspend it")
    state = executor.look("ice", handle)
    assert isinstance(state, Alive)
    assert state.frozen
    done = _output(home, "ice").count("Epoch") - 1
    assert (state.progress_share, state.is_read) == (done / 10, True), "read from what it printed"
    other = executor.launch(task("water", "true", demands={"cpus": 2.0}))
    assert became(executor, "water", other, Exited).exit_code == 0
    executor.resume("ice", handle)
    assert became(executor, "ice", handle, Exited).exit_code == 0
    assert _output(home, "ice").splitlines() == [f"Epoch {step + 1}/10" for step in range(10)]


# Ending --------------------------------------------------------------------------------------------------------------


def test_cancelling_ends_what_runs_and_what_waits(executor: SlurmExecutor) -> None:
    waiting = executor.schedule(task("waits", "true"), later(1))
    executor.stop("waits", waiting)
    assert "before the command began" in became(executor, "waits", waiting, Gone).reason
    handle = executor.launch(task("runs", "sleep", "60"))
    running(executor, "runs", handle)
    executor.stop("runs", handle)
    executor.stop("runs", handle)
    ended = became(executor, "runs", handle, Exited)
    assert (ended.exit_code, ended.note) == (143, "stopped by the user")
    executor.stop("runs", handle)
    executor.pause("runs", handle)
    executor.resume("runs", handle)


def test_what_somebody_else_ended_in_slurm_is_seen(slurm: Cluster, home: Path, executor: SlurmExecutor) -> None:
    handle = executor.schedule(task("scancelled", "true"), later(1))
    slurm.say("scancel", handle)
    assert "CANCELLED" in became(executor, "scancelled", handle, Gone).reason
    handle = executor.launch(task("ended", "sleep", "60"))
    running(executor, "ended", handle)
    until((home / "runs/ended/begun.json").exists, "the shim to begin")
    slurm.say("scancel", handle)
    assert became(executor, "ended", handle, Exited).exit_code == 143
    handle = executor.launch(task("killed", "sleep", "3"))
    begun = home / "runs/killed/begun.json"
    until(lambda: begun.exists() and begun.read_text(encoding="utf-8").endswith("}"), "the shim to begin")
    os.kill(int(json.loads(begun.read_text(encoding="utf-8"))["handle"].partition(":")[0]), signal.SIGKILL)
    assert "left no exit code" in became(executor, "killed", handle, Gone).reason


def test_two_jobs_of_one_run_run_it_once(slurm: Cluster, home: Path, executor: SlurmExecutor) -> None:
    handle = executor.schedule(task("twice", "sh", "-c", "echo ran; sleep 0.5"), later(1))
    again = slurm.say("sbatch", "--parsable", "--comment=greenai:run=twice", "-o", "/dev/null", str(home / "runs/twice/slurm.sh"),
                      GREENAI_HOME=str(home), **QUIET)  # fmt: skip
    assert again.returncode == 0, again.stderr
    executor.launch(task("twice", "sh", "-c", "echo ran; sleep 0.5"))
    slurm.say("scontrol", "update", f"JobId={handle}", "StartTime=now")
    became(executor, "twice", handle, Exited)
    until(lambda: "PENDING" not in slurm.state(handle) and "RUNNING" not in slurm.state(handle), "both jobs to end")
    assert _output(home, "twice") == "ran\n"


# What goes wrong -----------------------------------------------------------------------------------------------------


def test_a_restart_of_the_controller_loses_nothing(slurm: Cluster, home: Path, executor: SlurmExecutor) -> None:
    waiting = executor.schedule(task("over", "true"), later(1))
    through = executor.launch(task("through", "sh", "-c", "sleep 1; echo done"))
    running(executor, "through", through)
    slurm.stop_controller()
    try:
        with pytest.raises(StoreError, match="does not answer"):
            time.sleep(1.1) or executor.look("over", waiting)
        begun_s = time.monotonic()
        with pytest.raises(StoreError, match="does not answer"):
            executor.launch(task("new", "true"))
        assert time.monotonic() - begun_s < 5.0, "a controller that is away is not asked again at once"
        assert became(executor, "through", through, Exited).exit_code == 0
    finally:
        slurm.start_controller()
    fresh = SlurmExecutor(home, {**slurm.environ, **QUIET}, settled_after=timedelta(0))
    assert fresh.look("over", waiting) == Alive(handle=waiting, in_line=True)
    assert fresh.look("new", "") == Unstarted()
    fresh.launch(task("over", "true"))
    assert became(fresh, "over", waiting, Exited).exit_code == 0


def test_what_can_never_run_is_refused_with_slurms_own_words(slurm: Cluster, home: Path, executor: SlurmExecutor) -> None:
    handle = executor.launch(task("huge", "true", demands={"cpus": 999.0}))
    assert "PartitionConfig" in became(executor, "huge", handle, Gone).reason
    with pytest.raises(InputError, match="Slurm is not asked for licences"):
        executor.launch(task("odd", "true", demands={"licences": 1.0}))
    with pytest.raises(InputError, match="is not there"):
        executor.launch(task("lost", "true", cwd="/nowhere/at/all"))
    elsewhere = SlurmExecutor(home, {**slurm.environ, **QUIET}, partitions={"FR": "mars"})
    with pytest.raises(InputError, match="invalid partition"):
        elsewhere.launch(task("mars", "true"))


# People who keep their scripts ---------------------------------------------------------------------------------------


@pytest.fixture
def series(slurm: Cluster) -> Path:
    """Clean in two hours from now on."""
    path = slurm.place / "series.csv"
    start_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = [f"{start_at + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ},{300 if hour < 3 else 100}" for hour in range(48)]
    path.write_text("\n".join(["start_utc,g_per_kwh", *rows]) + "\n", encoding="utf-8")
    return path


def test_wrap_shows_then_submits_a_script_as_it_is(slurm: Cluster, home: Path, series: Path) -> None:
    script = slurm.place / "job.sh"
    script.write_text("#!/bin/sh\n#SBATCH --time=1:00:00\ntrue\n", encoding="utf-8")
    words = (*GREENAI, "slurm", "wrap", "--series", str(series), "--finish-by", "24h")
    dry = slurm.say(*words, "--dry-run", "--", "-p", "fr", "job.sh", GREENAI_HOME=str(home), GREENAI_ZONE="GB")
    assert dry.returncode == 0, dry.stderr
    assert "Would submit" in dry.stdout
    assert "UTC" in dry.stdout
    real = slurm.say(*words, "--json", "--", "-p", "fr", "job.sh", GREENAI_HOME=str(home), GREENAI_ZONE="GB")
    assert real.returncode == 0, real.stderr
    document = json.loads(real.stdout)
    check(document, "slurm_wrap")
    shown = slurm.say("squeue", "-h", "-j", document["job_id"], "-o", "%S|%P|%k", SLURM_TIME_FORMAT="%s").stdout.strip()
    begin_s = int(datetime.fromisoformat(document["begin_at"]).timestamp())
    assert shown == f"{begin_s}|fr|greenai:run={document['run_id']}"
    slurm.say("scancel", document["job_id"])
    refused = slurm.say(*words, "--", "-p", "mars", "job.sh", GREENAI_HOME=str(home), GREENAI_ZONE="GB")
    assert (refused.returncode, "invalid partition" in refused.stderr) == (2, True)


@pytest.mark.parametrize("leave", ["exit 75", "scontrol requeue $SLURM_JOB_ID; sleep 20"], ids=["RequeueExit", "requeues itself"])
def test_a_script_saves_on_usr1_and_comes_back_as_the_same_job(slurm: Cluster, home: Path, leave: str) -> None:
    place = slurm.place / f"script {leave[:4]}"
    place.mkdir()
    script = place / "pausable.sh"
    script.write_text(PAUSABLE.format(leave=leave), encoding="utf-8")
    given = ("--pausable", "--json", "--", "-D", str(place), "-o", str(place / "out"), str(script))
    taken = slurm.say(*GREENAI, "slurm", "wrap", *given, GREENAI_HOME=str(home), **QUIET)
    assert taken.returncode == 0, taken.stderr
    job_id = json.loads(taken.stdout)["job_id"]
    out = place / "out"
    until(lambda: out.exists() and "step 3" in out.read_text(encoding="utf-8"), "some steps")
    paused = slurm.say(*GREENAI, "slurm", "pause", job_id, "--until", "1h", "--json", GREENAI_HOME=str(home), **QUIET)
    assert paused.returncode == 0, paused.stderr
    check(json.loads(paused.stdout), "slurm_pause")
    assert slurm.state(job_id).startswith("PENDING")
    slurm.say("scontrol", "update", f"JobId={job_id}", "StartTime=now")
    last = int((place / "saved").read_text(encoding="utf-8")) + 3
    until(lambda: f"step {last}\n" in out.read_text(encoding="utf-8"), "it to come back and end")
    steps = [line for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("step")]
    assert steps == [f"step {number}" for number in range(1, last + 1)]
    until(lambda: slurm.state(job_id).startswith("COMPLETED"), "the job to end")
    assert slurm.field(job_id, "Restarts") == "1"


def test_an_array_goes_where_it_is_cleanest_with_one_begin_and_is_paused_as_a_whole(slurm: Cluster, home: Path) -> None:
    script = slurm.place / "array.sh"
    script.write_text(PAUSABLE.format(leave="exit 75"), encoding="utf-8")

    def greenai(*words: str) -> str:
        more = {"GREENAI_HOME": str(home), "GREENAI_SLURM_PARTITIONS": "GB-13=gb,GB-1=fr", "GREENAI_ZONE": "GB"}
        done = slurm.say(*GREENAI, "slurm", *words, GREENAI_UK_URL=url, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tasks() -> list[str]:
        return slurm.say("squeue", "-h", "-r", "-t", "PD,R", "-o", "%i %T %P", "-n", "array").stdout.split("\n")[:-1]

    with FakeGrid() as grid:
        url = grid.url
        words = (
            "--anywhere",
            "--finish-by",
            "24h",
            "--pausable",
            "--json",
            "--",
            "--array=1-3%2",
            "-J",
            "array",
            "-o",
            "/dev/null",
        )
        document = json.loads(greenai("wrap", *words, str(script)))
    check(document, "slurm_wrap")
    assert document["partition"] == "fr", "the north of Scotland has the cleaner grid"
    assert document["notes"][0].startswith("cleanest of the partitions: fr ")
    assert document["duration_s"] == 2 * 600.0, "two rounds of ten minutes"
    array = document["job_id"]
    assert sorted(tasks()) == [f"{array}_{number} PENDING fr" for number in (1, 2, 3)]
    slurm.say("scontrol", "update", f"JobId={array}", "StartTime=now")
    until(lambda: sum("RUNNING" in line for line in tasks()) == 2, "two tasks to run")
    greenai("pause", array, "--until", "5h", "--within", "50s")
    assert sorted(tasks()) == [f"{array}_{number} PENDING fr" for number in (1, 2, 3)]
    starts = slurm.say("squeue", "-h", "-r", "-j", array, "-o", "%S", SLURM_TIME_FORMAT="%s").stdout.split()
    assert all(4.5 * 3600 < int(start) - time.time() < 5.1 * 3600 for start in starts), starts
    greenai("pause", f"{array}_2")
    assert slurm.state(f"{array}_2") == "PENDING JobHeldUser"
    slurm.say("scancel", array)


TRAINS = """
import sys, time
import submitit
class Train:
    def __call__(self, done=0):
        self.done, end = done, done + 3 if done else 1000
        while self.done < end:
            time.sleep(0.2); self.done += 1; print("step", self.done, flush=True)
        return self.done
    def checkpoint(self, *_):
        return submitit.helpers.DelayedSubmission(self, self.done)
executor = submitit.AutoExecutor(folder=sys.argv[1], cluster="slurm")
executor.update_parameters(timeout_min=60, **eval(sys.argv[2]))
print(executor.submit(Train()).job_id)
"""
"""It goes on until it is asked to save, then to three steps further."""


@needs("submitit")
def test_a_job_of_submitit_begins_at_the_clean_hour_and_its_checkpoint_comes_back(
    slurm: Cluster, home: Path, series: Path
) -> None:
    plan = api.plan(
        duration="1h", finish_by="24h", settings=load({"GREENAI_HOME": str(home), "GREENAI_SERIES": str(series)}, home)
    )
    place = slurm.place / "submitit"
    taken = slurm.say(sys.executable, "-c", TRAINS, str(place), repr(parameters(plan)))
    assert taken.returncode == 0, taken.stderr
    job_id = taken.stdout.strip()
    begin = slurm.say("squeue", "-h", "-j", job_id, "-o", "%S", SLURM_TIME_FORMAT="%s").stdout.strip()
    assert int(begin) == int(plan.decision.start_at.timestamp())
    slurm.say("scontrol", "update", f"JobId={job_id}", "StartTime=now")
    out = place / f"{job_id}_0_log.out"
    until(lambda: out.exists() and "step 3" in out.read_text(encoding="utf-8"), "some steps")
    asked = ("slurm", "pause", job_id, "--signal", "USR2", "--until", "3h", "--within", "50s")
    paused = slurm.say(*GREENAI, *asked, GREENAI_HOME=str(home))
    assert paused.returncode == 0, paused.stderr
    assert slurm.state(job_id).startswith("PENDING")
    slurm.say("scontrol", "update", f"JobId={job_id}", "StartTime=now")
    until((place / f"{job_id}_0_result.pkl").exists, "it to come back and end")
    steps = [line for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("step")]
    assert steps == [f"step {number}" for number in range(1, len(steps) + 1)]


def test_the_queue_hands_a_job_to_slurm_which_runs_it_without_a_daemon(slurm: Cluster, home: Path, series: Path) -> None:
    def say(*words: str) -> str:
        more = {"GREENAI_HOME": str(home), "GREENAI_SERIES": str(series), "GREENAI_METER": "modelled"}
        done = slurm.say(*GREENAI, *words, GREENAI_ZONE="FR", GREENAI_SLURM_PARTITIONS="GB=gb,FR=fr", **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def daemon_until(holds: Callable[[], bool], what: str) -> None:
        more = {"GREENAI_HOME": str(home), "GREENAI_SERIES": str(series), "GREENAI_METER": "modelled"}
        environ = {**slurm.environ, **more, "GREENAI_ZONE": "FR", "GREENAI_SLURM_PARTITIONS": "GB=gb,FR=fr"}
        with subprocess.Popen([*GREENAI, "daemon"], env=environ, cwd=slurm.place, stderr=subprocess.DEVNULL) as daemon:
            try:
                until(holds, what)
            finally:
                daemon.kill()

    def in_line() -> list[str]:
        told = slurm.say("squeue", "-h", "-n", "night", "-o", "%i|%P|%T|%r", "--states=all").stdout
        return [line for line in told.splitlines() if line]

    def status() -> str:
        return str(json.loads(say("jobs", "list", "--json"))["jobs"][0]["status"])

    given = ("--executor", "slurm", "--name", "night", "--duration", "1h", "--finish-by", "24h")
    say("submit", *given, "--", "sh", "-c", "echo slept")
    daemon_until(lambda: bool(in_line()), "the leg to be handed over")
    (line,) = in_line()
    job_id, *rest = line.split("|")
    assert rest == ["fr", "PENDING", "BeginTime"]
    assert status() == "waiting"
    slurm.say("scontrol", "update", f"JobId={job_id}", "StartTime=now")
    until(lambda: "COMPLETED" in in_line()[0], "Slurm to run it with no daemon there")
    daemon_until(
        lambda: json.loads(say("jobs", "list", "--json"))["jobs"][0]["status"] == "ended", "a new daemon to find it done"
    )
    assert say("jobs", "logs", "1") == "slept\n"
    assert len(in_line()) == 1


# A site's filters ----------------------------------------------------------------------------------------------------


@pytest.fixture
def program(slurm: Cluster, series: Path) -> Path:
    """greenai as the filter calls it."""
    path = slurm.place / "greenai"
    environ = f"GREENAI_HOME={slurm.place}/filters GREENAI_ZONE=GB GREENAI_SERIES={series}"
    path.write_text(f'#!/bin/sh\nexec env {environ} {sys.executable} -m greenai.cli "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_cli_filter_sets_the_begin_of_jobs_that_ask_and_says_why(slurm: Cluster, program: Path) -> None:
    def sbatch(*words: str, greenai: str = str(program)) -> tuple[str, str]:
        done = slurm.say("sbatch", "--parsable", "-o", "/dev/null", *words, "--wrap", "true", SLURM_GREENAI_PROGRAM=greenai)
        assert done.returncode == 0, done.stderr
        eligible = slurm.field(done.stdout.strip(), "EligibleTime")
        submitted = slurm.field(done.stdout.strip(), "SubmitTime")
        begin = datetime.fromisoformat(eligible) - datetime.fromisoformat(submitted)
        slurm.say("scancel", done.stdout.strip())
        return ("later" if begin > timedelta(minutes=30) else "at once"), done.stderr

    asks = "--comment=greenai:finish-by=24h"
    when, said = sbatch(asks, "--time=1:00:00")
    assert (when, "greenai: begins" in said, "100 instead of 300" in said) == ("later", True, True), said
    assert sbatch("--time=1:00:00") == ("at once", "")
    when, said = sbatch(asks)
    assert (when, "no --time" in said) == ("at once", True), said
    when, said = sbatch(asks, "--time=1:00:00", greenai="/nowhere/greenai")
    assert (when, "no plan within" in said) == ("at once", True), said
    when, said = sbatch("--comment=greenai:finish-by=24h;reboot", "--time=1:00:00", greenai="/nowhere/$(reboot)")
    assert (when, "cannot read" in said) == ("at once", True), said
    assert sbatch(asks, "--time=1:00:00", "--begin=now+40minutes") == ("later", "")


def test_the_controllers_filter_reads_the_file_of_slots_and_fails_open(slurm: Cluster, program: Path) -> None:
    slots = slurm.place / "slots"
    command = ("sbatch", "--parsable", "-o", "/dev/null", "--comment=greenai:finish-by=24h", "--time=1:00:00", "--wrap", "true")

    def submit() -> tuple[str, str]:
        done = slurm.say(*command, SLURM_GREENAI_PROGRAM="/nowhere")
        assert done.returncode == 0, done.stderr
        eligible = slurm.say("squeue", "-h", "-j", done.stdout.strip(), "-o", "%S", SLURM_TIME_FORMAT="%s").stdout.strip()
        slurm.say("scancel", done.stdout.strip())
        return eligible, done.stderr

    _, said = submit()
    assert "there is no" in said, said
    written = slurm.say(str(program), "slurm", "slots", "--to", str(slots))
    assert written.returncode == 0, written.stderr
    begin_s, said = submit()
    assert "instead of 300" in said, said
    first_s, step_s, *values = (float(word) for word in slots.read_text(encoding="utf-8").split()[1:])
    assert values[int((int(begin_s) - first_s) // step_s)] == 100.0
    slots.write_text("* not numbers\n", encoding="utf-8")
    _, said = submit()
    assert "so the job starts as soon as there is room" in said, said
