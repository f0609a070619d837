"""run and measure: what is asked, whose output is whose, how a wait ends."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli import fakes
from tests.cli.conftest import Cli, FakeApi
from tests.evidence_world import keep_run

from greenai.adapters.ledger import FileLedger
from greenai.adapters.runs import RunDirectories
from greenai.adapters.store.archive import SqliteArchive
from greenai.cli.screen import Screen
from greenai.cli.watch import WatchedClock, Watcher
from greenai.config import load
from greenai.engine.progress import Ended, Read, Replanned, Started, Waiting
from greenai.errors import StoreError


class Outcome:
    """Stands for api.RunOutcome."""

    def __init__(self, **changes: Any) -> None:
        self.run_id = fakes.RUN_ID
        self.exit_code = changes.get("exit_code", 0)
        self.decision = changes.get("decision")
        self.evidence = changes.get("evidence", fakes.evidence())
        self.warnings = changes.get("warnings", ())


def waiting(**changes: Any) -> Waiting:
    return Waiting(decision=fakes.decision(**changes), reading=fakes.reading(), until_at=fakes.NOW + timedelta(minutes=16))


def test_run_ends_with_what_it_used_and_where_the_evidence_is(cli: Cli, api: FakeApi, tmp_path: Path) -> None:
    api.answers("run", Outcome())
    result = cli("run", "--duration", "2h", "--finish-by", "24h", "--zone", "GB", "--", "python", "train.py")
    assert (result.code, result.out) == (0, "")
    assert result.err.splitlines() == [
        "note: zone GB (command line)",
        "  time      20.5 s",
        "  power     17.6 W on average",
        "  energy    0.100 Wh [0.0950 to 0.105], measured:counter",
        "  CO2       0.0264 g [0.0251 to 0.0277], at 220 g/kWh (uk, observed, GB)",
        "  saving    0.0264 g [0.0251 to 0.0277], 50 % of starting at once",
        "  verdict   claimable",
        f"  evidence  greenai evidence show {fakes.RUN_ID} ({tmp_path / 'home' / 'ledger.jsonl'})",
    ]


def test_a_run_that_may_wait_says_what_its_length_rests_on(cli: Cli, api: FakeApi, tmp_path: Path) -> None:
    api.answers("run", Outcome())
    settings = load({"GREENAI_HOME": str(tmp_path / "home")}, tmp_path)
    doors = FileLedger(settings.home), RunDirectories(settings.home), SqliteArchive(settings.home / "archive.sqlite")
    keep_run(*doors, run_id="run-1", command=("python", "train.py"))
    result = cli("run", "--finish-by", "24h", "--", "python", "train.py")
    assert re.search(r"note: takes \S+ min \(.*1 run of this command", result.err)
    assert api.asked["duration"] > timedelta(minutes=20)


def test_a_dry_run_asks_for_the_length_of_its_command(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer())
    assert cli("run", "--dry-run", "--finish-by", "24h", "--label", "a=b", "--", "python", "train.py").code == 0
    assert (api.asked["command"], api.asked["labels"]) == (("python", "train.py"), {"a": "b"})


def test_measure_ends_with_four_lines_and_the_place(cli: Cli, api: FakeApi) -> None:
    api.answers("measure", Outcome(evidence=fakes.evidence(components=[fakes.component(quality="modelled")])))
    result = cli("measure", "--", "true")
    assert result.out == ""
    assert [line.split()[0] for line in result.err.splitlines()] == ["time", "power", "energy", "CO2", "evidence"]
    assert "MODELLED" in result.err


def test_quiet_leaves_only_warnings(cli: Cli, api: FakeApi) -> None:
    api.answers("run", Outcome(warnings=("the disk is full",)))
    assert cli("run", "-q", "--", "true").err == "warning: the disk is full\n"


@pytest.mark.parametrize("code", [0, 1, 42, 143])
def test_the_exit_code_is_the_commands(cli: Cli, api: FakeApi, code: int) -> None:
    for verb in ("run", "measure"):
        api.answers(verb, Outcome(exit_code=code))
        assert cli(verb, "--", "sh").code == code


def test_everything_is_passed_on(cli: Cli, api: FakeApi) -> None:
    api.answers("run", Outcome())
    cli(
        *("run", "--duration", "2h", "--finish-by", "24h", "--deadline", "6h", "--policy", "greenest", "--min-saving", "5%"),
        *("--threshold", "150", "--percentile", "20", "--series", "s.csv", "--require", "live", "--max-wait-seconds", "60"),
        *("--defer-seconds", "3600", "--out", "e.csv", "--log-decision", "d.json", "--meter", "rapl", "--hold-w", "40"),
        *("--pue", "1.2", "--assumed-kw", "0.3", "--per", "epoch", "--count", "10", "--label", "team=a", "--label", "x=y=z"),
        *("--", "python", "train.py", "--json", "-v"),
    )
    asked = dict(api.asked)
    settings = asked.pop("settings")
    assert (settings.meter, settings.hold_w, settings.pue, settings.assumed_w) == ("rapl", 40.0, 1.2, 300.0)
    del asked["clock"], asked["tell"]
    assert asked == {
        "command": ("python", "train.py", "--json", "-v"),
        "duration": "2h",
        "finish_by": "24h",
        "deadline": "6h",
        "max_wait": timedelta(seconds=60),
        "policy": "greenest",
        "min_saving": "5%",
        "threshold": 150.0,
        "percentile": 20.0,
        "series": "s.csv",
        "require_live": True,
        "pausable": None,
        "grace": None,
        "out": "e.csv",
        "log_decision": "d.json",
        "per": "epoch",
        "count": 10.0,
        "labels": {"team": "a", "x": "y=z"},
    }


def test_options_end_at_the_command_even_without_dashes(cli: Cli, api: FakeApi) -> None:
    api.answers("run", Outcome())
    cli("run", "--duration", "1h", "python", "train.py", "--zone", "not-ours", "--help")
    assert api.asked["command"] == ("python", "train.py", "--zone", "not-ours", "--help")


def test_no_slack_is_said(cli: Cli, api: FakeApi) -> None:
    api.answers("run", Outcome())
    assert "no slack given (--finish-by, --deadline or --max-wait-seconds): running at once" in cli("run", "--", "true").err
    assert "no slack" not in cli("run", "--defer-seconds", "60", "--", "true").err


def test_the_longest_wait_of_the_prototype(cli: Cli, api: FakeApi) -> None:
    api.answers("run", Outcome())
    cli("run", "--defer-seconds", "3600", "--", "true")
    assert api.asked["max_wait"] == timedelta(hours=1)


def test_proxy_emissions_assume(cli: Cli, api: FakeApi) -> None:
    api.answers("run", Outcome())
    cli("run", "--proxy-emissions", "--assumed-kw", "0.1", "--", "true")
    settings = api.asked["settings"]
    assert (settings.meter, settings.assumed_w) == ("assumed", 100.0)


def test_live_without_a_zone_is_gb_and_says_so(cli: Cli, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api.answers("run", Outcome())
    result = cli("run", "--ci", "live", "--", "true")
    assert api.asked["settings"].zone == "GB"
    assert "--ci live without a zone means GB" in result.err
    api.calls.clear()
    monkeypatch.setenv("GREENAI_ZONE", "FR")
    cli("run", "--ci", "live", "--", "true")
    assert api.asked["settings"].zone == "FR"


def test_csv_is_a_series(cli: Cli, api: FakeApi, tmp_path: Path) -> None:
    api.answers("run", Outcome())
    table = tmp_path / "meta.csv"
    table.write_text("region,UTC_hour,carbon_intensity_gco2_per_kwh\nGB,0,200\n", encoding="utf-8")
    cli("run", "--ci", "csv", "--ci-csv", str(table), "--", "true")
    assert api.asked["series"] == str(table)
    assert "ci" not in api.asked


def test_a_table_of_several_regions_is_not_guessed_at(cli: Cli, api: FakeApi, tmp_path: Path) -> None:
    """One region is taken and said; of two, none of them here, neither is: another grid's intensity proves nothing."""
    api.answers("run", Outcome())
    table = tmp_path / "meta.csv"
    lines = ["region,UTC_hour,carbon_intensity_gco2_per_kwh", "QA,0,30"]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = ("run", "--ci", "csv", "--ci-csv", str(table))
    done = cli(*words, "--", "true")
    assert api.asked["settings"].zone == "QA"
    assert "--ci csv without a zone means QA here" in done.err
    api.calls.clear()
    table.write_text("\n".join([*lines, "OM,0,400"]) + "\n", encoding="utf-8")
    refused = cli(*words, "--", "true")
    assert (refused.code, api.calls) == (2, [])
    assert "it has OM, QA: choose one with --zone or GREENAI_ZONE" in refused.err
    assert cli("--zone", "OM", *words, "--", "true").code == 0
    assert api.asked["settings"].zone == "OM"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "run needs a command, for example"),
        (["run", "--duration", "2h", "--"], "run needs a command, for example"),
        (["measure"], "measure needs a command, for example"),
        (["run", "--interruptible", "--", "true"], "run cannot plan pauses: --interruptible is for greenai plan and"),
        (["run", "--min-chunk", "5m", "--", "true"], "run cannot plan pauses: --min-chunk is for greenai plan and"),
        (["run", "--ci", "csv", "--", "true"], "--ci csv needs the file: add --ci-csv FILE"),
        (["run", "--ci", "live", "--ci-csv", "x", "--", "true"], "--ci live reads the grid service, not a file"),
        (["run", "--assumed-kw", "-1", "--", "true"], "invalid value for '--assumed-kw'"),
        (["run", "--hold-w", "-1", "--", "true"], "invalid value for '--hold-w'"),
        (["run", "--pue", "0.9", "--", "true"], "invalid value for '--pue'"),
        (["run", "--count", "0", "--", "true"], "invalid value for '--count'"),
        (["run", "--max-wait-seconds", "-1", "--", "true"], "invalid value for '--max-wait-seconds'"),
        (["run", "--label", "nothing", "--", "true"], "a label is written KEY=VALUE, not 'nothing'"),
        (["run", "--proxy-emissions", "--meter", "rapl", "--", "true"], "--proxy-emissions measures nothing, --meter rapl does"),
        (["run", "--json-to", "/dev/null/x.json", "--", "true"], "/dev/null/x.json cannot be written: "),
        (["measure", "--zone", "??", "--", "true"], "zone (from command line): '??' is not a grid zone"),
    ],
)
def test_what_cannot_be_meant_starts_nothing(cli: Cli, api: FakeApi, words: list[str], message: str) -> None:
    api.answers("run", AssertionError("started"))
    api.answers("measure", AssertionError("started"))
    result = cli(*words)
    assert result.code == 2
    assert f"error: {message}" in result.err
    assert api.calls == []


def test_dry_run_is_one_line(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer())
    result = cli("run", "--dry-run", "--duration", "2h", "--finish-by", "24h", "--", "true")
    assert result.code == 0
    assert result.out == "Best start: 2026-11-25 08:00 UTC (101 gCO2e/kWh, now: 231) -> saves ~56%\n"
    assert result.err == ""


def test_dry_run_needs_no_command_and_says_what_it_assumes(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer(fakes.run_at_once()))
    result = cli("run", "--dry-run")
    assert result.out == "Best start: 2026-11-24 16:44 UTC (231 gCO2e/kWh, now: 231) -> saves ~0%: run now\n"
    assert "looking 24h ahead" in result.err
    assert api.asked["max_wait"] == "24h"


def test_dry_run_labels_what_is_modelled(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer(read=fakes.reading(step="climatology", reason="no answer")))
    assert "MODELLED" in cli("run", "--dry-run", "--finish-by", "24h", "--duration", "2h").err


def test_dry_run_of_an_unknown_grid(cli: Cli, api: FakeApi) -> None:
    blind = fakes.decision(action="run", windows=fakes.run_at_once().windows, at_once_g_per_kwh=None, expected_g_per_kwh=None)
    api.answers("plan", fakes.Answer(blind))
    assert cli("run", "--dry-run").out == "Best start: 2026-11-24 16:44 UTC (intensity unknown): run now\n"


def test_dry_run_as_json_is_the_plan(cli: Cli, api: FakeApi) -> None:
    api.answers("plan", fakes.Answer())
    assert json.loads(cli("run", "--dry-run", "--json", "--finish-by", "9h", "--duration", "1h").out) == {"action": "wait"}


def speaking(**changes: Any) -> Any:
    """A verb that runs a child which writes on both streams."""

    def verb(*_: Any, **__: Any) -> Outcome:
        os.system("echo out; echo err >&2")
        return Outcome(**changes)

    return verb


@pytest.mark.parametrize("verb", ["run", "measure"])
def test_the_childs_streams_are_its_own(cli: Cli, api: FakeApi, verb: str) -> None:
    api.answers(verb, speaking())
    result = cli(verb, "--", "true")
    assert result.out == "out\n"
    assert "err\n" in result.err


@pytest.mark.parametrize("verb", ["run", "measure"])
def test_with_json_stdout_is_the_document_alone(cli: Cli, api: FakeApi, verb: str) -> None:
    api.answers(verb, speaking(exit_code=7))
    result = cli(verb, "--json", "--", "true")
    document = json.loads(result.out)
    assert (result.code, document["exit_code"], document["run_id"]) == (7, 7, fakes.RUN_ID)
    assert document["evidence"]["it_kwh"] == 0.0001
    assert "out\n" in result.err
    assert os.fstat(1), "stdout is given back"


def test_json_to_leaves_both_streams_alone(cli: Cli, api: FakeApi, corner: Path) -> None:
    api.answers("run", speaking())
    result = cli("run", "--json-to", "runs/run.json", "--", "true")
    assert result.out == "out\n"
    assert json.loads((corner / "runs" / "run.json").read_text())["run_id"] == fakes.RUN_ID


def test_a_file_that_cannot_be_written_starts_nothing(
    cli: Cli, api: FakeApi, corner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert (
        cli("run", "--json-to", "run.json", "--", "true").err.splitlines()[-2]
        == "error: run.json cannot be written: Permission denied"
    )
    assert api.calls == []


def test_evidence_that_could_not_be_stored_is_a_warning(cli: Cli, api: FakeApi) -> None:
    api.answers("run", Outcome(evidence=None, warnings=("no space left",)))
    result = cli("run", "--", "true")
    assert result.code == 0
    assert result.err.splitlines()[-1] == "warning: no space left"


def test_errors_of_the_engine_have_their_code(cli: Cli, api: FakeApi) -> None:
    api.answers("run", StoreError("the ledger cannot be written"))
    assert cli("run", "--json", "--", "true").code == 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_while_waiting_runs_nothing(cli: Cli, api: FakeApi, number: int, code: int) -> None:
    def wait(*_: Any, tell: Any, **__: Any) -> None:
        tell(waiting())
        signal.raise_signal(number)

    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    api.answers("run", wait)
    result = cli("run", "--finish-by", "24h", "--duration", "2h", "--", "true")
    assert result.code == code
    assert result.err.splitlines()[-1] == f"warning: stopped while waiting; nothing was run; recorded as {fakes.RUN_ID}"
    assert {each: signal.getsignal(each) for each in before} == before


def test_a_hangup_that_is_ignored_stays_ignored(cli: Cli, api: FakeApi) -> None:
    def wait(*_: Any, tell: Any, **__: Any) -> Outcome:
        tell(waiting())
        signal.raise_signal(signal.SIGHUP)
        return Outcome()

    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        api.answers("run", wait)
        assert cli("run", "--finish-by", "24h", "--duration", "2h", "--", "true").code == 0
    finally:
        signal.signal(signal.SIGHUP, previous)


@pytest.mark.parametrize(
    ("ended", "words"), [(False, "stopped while the command ran"), (True, "stopped after the command ended")]
)
def test_an_interruption_later_says_where_things_stand(cli: Cli, api: FakeApi, ended: bool, words: str) -> None:
    def run(*_: Any, tell: Any, **__: Any) -> None:
        tell(Started(run_id=fakes.RUN_ID, command=("true",), started_at=fakes.NOW))
        if ended:
            tell(Ended(run_id=fakes.RUN_ID, exit_code=0, ended_at=fakes.NOW))
        raise KeyboardInterrupt

    api.answers("run", run)
    result = cli("run", "--", "true")
    assert result.code == 130
    assert f"warning: {words}; greenai evidence settle completes its evidence; recorded as {fakes.RUN_ID}" in result.err


def test_a_start_without_a_wait_says_why(cli: Cli, api: FakeApi) -> None:
    def run(*_: Any, tell: Any, **__: Any) -> Outcome:
        tell(Started(run_id=fakes.RUN_ID, command=("true",), started_at=fakes.NOW, reason="not worth waiting: 1 % saved"))
        return Outcome()

    api.answers("run", run)
    lines = cli("run", "--finish-by", "24h", "--duration", "2h", "--", "true").err.splitlines()[1:3]
    assert lines[0] == "note: not worth waiting: 1 % saved"
    assert lines[1].startswith("note: started ")


def test_piped_a_wait_says_a_line_each_time_it_looks(cli: Cli, api: FakeApi) -> None:
    def run(*_: Any, tell: Any, **__: Any) -> Outcome:
        tell(waiting())
        tell(waiting())
        moved = fakes.run_at_once()
        tell(Replanned(decision=moved, reading=fakes.reading()))
        tell(Started(run_id=fakes.RUN_ID, command=("true",), started_at=fakes.NOW))
        return Outcome()

    api.answers("run", run)
    lines = cli("run", "--finish-by", "24h", "--duration", "2h", "--", "true").err.splitlines()[1:5]
    purpose = "waiting 15 h 15 min until Wed 09:00 CET (08:00 UTC): 101 instead of 231 g/kWh, saves about 56 %"
    assert lines == [
        f"note: {purpose}",
        f"note: {purpose}",
        "note: new forecast: the start moved to Tue 24 Nov 2026 17:44 CET (16:44 UTC); not worth waiting: 1.2 % is less than 3 %",
        f"note: started Tue 24 Nov 2026 17:44 CET (16:44 UTC) as run {fakes.RUN_ID}",
    ]


class Steps:
    """A clock that moves only when waited on."""

    def __init__(self, now_at: datetime) -> None:
        self.now_at = now_at

    def now(self) -> datetime:
        return self.now_at

    def wait_until(self, moment: datetime) -> None:
        self.now_at = moment


def test_on_a_terminal_the_countdown_is_redrawn_each_second(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    screen = Screen()
    watcher = Watcher(screen, UTC)
    assert watcher.redraws
    start_at = fakes.decision().start_at
    with watcher:
        watcher.tell(waiting())
        clock = WatchedClock(Steps(start_at - timedelta(seconds=3)), watcher.draw)
        clock.wait_until(start_at)
        assert clock.now() == start_at
        watcher.tell(Started(run_id=fakes.RUN_ID, command=("true",), started_at=start_at))
    drawn = capsys.readouterr().err.split("\r\x1b[K")
    assert [line[:15] for line in drawn[1:4]] == ["waiting 0:00:03", "waiting 0:00:02", "waiting 0:00:01"]
    assert all(len(line) < 80 for line in drawn[1:4])
    assert "started" in drawn[4]


def test_on_a_terminal_a_long_read_is_shown_and_wiped_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Watcher(Screen(), UTC) as watcher:
        for done in range(2):
            watcher.tell(Read(what="reading the past of GB from uk", done=done, of=14))
    first, second = (f"reading the past of GB from uk: {done} of 14" for done in range(2))
    assert capsys.readouterr().err.split("\r\x1b[K") == ["", first, second, ""]


def test_elsewhere_a_long_read_is_not_worth_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Watcher(Screen(), UTC) as watcher:
        watcher.tell(Read(what="reading the past of GB from uk", done=0, of=14))
    assert capsys.readouterr().err == ""


def test_a_plan_of_an_unknown_grid_counts_down_without_numbers(cli: Cli, api: FakeApi) -> None:
    def run(*_: Any, tell: Any, **__: Any) -> Outcome:
        tell(waiting(at_once_g_per_kwh=None, expected_g_per_kwh=None))
        return Outcome()

    api.answers("run", run)
    err = cli("run", "--finish-by", "24h", "--duration", "2h", "--", "true").err
    assert "note: waiting 15 h 15 min until Wed 09:00 CET (08:00 UTC)\n" in err


def test_waiting_on_what_is_modelled_says_so_once_and_in_detail_why(cli: Cli, api: FakeApi) -> None:
    def run(*_: Any, tell: Any, **__: Any) -> Outcome:
        modelled = fakes.reading(step="climatology", reason="the service did not answer")
        for _again in range(2):
            tell(Waiting(decision=fakes.decision(), reading=modelled, until_at=fakes.NOW))
        return Outcome()

    api.answers("run", run)
    words = ("run", "--finish-by", "24h", "--duration", "2h", "--", "true")
    err = cli(*words).err
    assert err.count("MODELLED: the usual day of this season, not today's grid (the service did not answer)") == 1
    assert "halves the intensity" not in err
    assert "note: waiting 15 h 15 min halves the intensity\n" in cli("-v", *words).err
